"""The page of the fleet: what the database says, what needs somebody first, text of others as text, on a phone too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from station.commands.main import main
from station.fleet import reading
from station.fleet.drawn import shares_of
from station.fleet.page import duration, findings_of, page
from station.fleet.reading import EngineUse, Event, Fleet, FleetError, Hour, StationNow, read
from station.fleet.words import WORDS
from station.hmi.words import language_named
from station.reports.production.language import Language
from station.reports.shifts import Calendar
from tests.bench.postgres import PostgresServer, postgres
from tests.fleet.database import NASTY, READERS_WORD, Sent, fill, reader_of

GERMAN = Language("de", language_named("de").gettext)
AT = 1_800_000_000.0
WELL = StationNow("ST-1", 12.0, 0, 0.0, 0, 0.1, "1.2.3", 1200, 0.99, 0, 31.0, 44.0, "3f" * 32, "cover")


def fleet_of(*stations: StationNow, events: tuple[Event, ...] = ()) -> Fleet:
    starts = [AT // 3600 * 3600 - 3600 * back for back in (0, 3)]
    hours = tuple(Hour(one.name, start, 100, 97, 2, 1, 0) for one in stations for start in starts)
    engines = (EngineUse("cover", "3f" * 32, tuple(one.name for one in stations), AT - 900.0, AT),)
    return Fleet("plant", AT, 24, stations, hours, (("FAIL", 1, "SCORE_ABOVE_LIMIT", 12),), engines, events)


def test_what_needs_somebody_is_said_the_worst_first() -> None:
    assert findings_of(WELL, WORDS) == []
    wrong = replace(WELL, silent_s=None, waiting=7, unsent_age_s=900.0, left_out=3, clock_ahead_s=-7200.0, errors=2)
    assert findings_of(wrong, WORDS) == [
        ("bad", "was never heard"),
        ("look", "7 parts wait there, the oldest for 15 min"),
        ("look", "2 parts of the last hour ended in ERROR"),
        ("look", "3 parts were deleted there before they were sent"),
        ("look", "its clock is 2 h behind"),
    ]
    (silent,) = findings_of(replace(WELL, silent_s=7300.0), WORDS)
    assert silent == ("bad", "was not heard for 2 h")
    assert findings_of(replace(WELL, waiting=1, unsent_age_s=7200.0), WORDS)[0][0] == "bad"


@pytest.mark.parametrize(("seconds", "text"), [(-3.0, "0 s"), (119.0, "119 s"), (120.0, "2 min"), (1e6, "12 d")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_state_is_that_of_the_worst_station() -> None:
    def state(*stations: StationNow) -> str:
        found = re.search(r'<div class="state (\w+)">', page(fleet_of(*stations), Calendar()))
        assert found is not None
        return found[1]

    assert state(WELL) == "well"
    assert state(WELL, replace(WELL, name="b", errors=1)) == "look"
    assert state(WELL, replace(WELL, name="b", errors=1), replace(WELL, name="c", silent_s=1e9)) == "bad"
    assert state() == "look"  # nothing is not well
    assert WORDS["none"] in page(fleet_of(), Calendar())


def test_text_of_others_is_text() -> None:
    event = Event(NASTY, AT, "<i>kind</i>", "error", "<script>alert(1)</script>\x1b[2J")
    nasty = replace(WELL, name=NASTY, software="<img src=x>", recipe="<u>", engine_id="<b>" * 9, errors=1)
    made = page(replace(fleet_of(nasty, events=(event,)), database="<plant>"), Calendar())
    for tag in ("<script>", "<img src", "<i>", "<u>", "<b>4", "<plant>", "\x1b"):
        assert tag not in made
    assert "&lt;script&gt;" in made
    assert "http" not in re.sub(r'xmlns="[^"]+"|http-equiv', "", made), "it asks for no network"


def test_a_german_page_is_german() -> None:
    wrong = replace(WELL, name="ST-2", silent_s=9000.0, waiting=7, unsent_age_s=9000.0, left_out=1, errors=3,
                    clock_ahead_s=900.0)  # fmt: skip
    event = Event("ST-2", AT, "warning", "warning", "part ids were latched without a trigger")
    made = page(fleet_of(WELL, wrong, events=(event,)), Calendar(), GERMAN)
    assert '<html lang="de">' in made
    text = re.sub(r"<style>.*?</style>|<[^>]+>", "\n", made)
    for word in WORDS.values():
        piece = max(re.split(r"%\(\w+\)s", word), key=len).strip()
        if len(piece) > 8:
            assert piece not in text
    assert "nicht zu hören" in text


def test_shares_are_of_all_parts_of_the_hour() -> None:
    hours = [Hour("a", 0.0, 90, 90, 0, 0, 0), Hour("b", 0.0, 10, 0, 5, 3, 2), Hour("b", 3600.0, 0, 0, 0, 0, 0)]
    assert shares_of(hours) == {0.0: (100, {"FAIL": 0.05, "REVIEW": 0.03, "ERROR": 0.02})}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres() as server:
        yield server


@pytest.fixture
def conninfo(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    name = server.new_database()
    fault = ("fault", "error", "part ids were latched without a trigger")
    fill(
        server, name,
        Sent("ST-1", engine="aa" * 32), Sent("ST-2", engine="bb" * 32, bad=6, events=(fault,)),
        Sent(NASTY, engine="aa" * 32, silent_s=9000.0, waiting=12, oldest_s=9000.0, left_out=4, clock_ahead_s=400.0),
    )  # fmt: skip
    monkeypatch.setenv("PGPASSWORD", READERS_WORD)
    return reader_of(server, name)


@pytest.mark.system
def test_it_reads_what_the_stations_have_sent(conninfo: str) -> None:
    fleet = read(conninfo, 24)
    by_name = {one.name: one for one in fleet.stations}
    assert set(by_name) == {"ST-1", "ST-2", NASTY}
    assert (by_name["ST-1"].parts, by_name["ST-2"].errors) == (40, 2)
    assert by_name["ST-2"].passed_share == pytest.approx(34 / 40)
    nasty = by_name[NASTY]
    assert (nasty.waiting, nasty.left_out) == (12, 4)
    assert nasty.silent_s == pytest.approx(9000.0, abs=60.0)
    hours = [hour for hour in fleet.hours if hour.station == "ST-2"]
    assert sum(hour.parts for hour in hours) == 240
    assert [(hour.passed, hour.failed, hour.in_review, hour.errors) for hour in hours] == [(34, 2, 2, 2)] * 6
    assert {name: parts for _, _, name, parts in fleet.reasons}["SCORE_ABOVE_LIMIT"] == 6 * (1 + 2 + 1)
    uses = sorted((one.engine_id[:2], set(one.stations)) for one in fleet.engines)
    assert uses == [("aa", {NASTY, "ST-1"}), ("bb", {"ST-2"})]
    assert [(event.station, event.level) for event in fleet.events] == [("ST-2", "error")]


@pytest.mark.system
def test_the_command_writes_the_page_and_says_what_is_wrong(
    conninfo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fleet.html"
    words = ["fleet", "page", "--database", conninfo, "--output", str(file)]
    assert main([*words, "--language", "de", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["stations"], found["heard"]) == (3, 2)
    assert list(found["needs"]) == [NASTY, "ST-2"] or set(found["needs"]) >= {NASTY}
    assert "Stationen" in file.read_text()
    before = file.read_bytes()
    for wrong, why in (
        (["--database", "host=127.0.0.1 port=1 dbname=plant"], "127.0.0.1"),
        (["--database", f"{conninfo} password=x"], ".pgpass"),
        (["--database", "hosst=1"], "as psql takes it"),
        (["--database", conninfo.replace("plant", "postgres_no")], "does not exist"),
        (["--output", str(tmp_path / "fleet.pdf")], ".html"),
        (["--hours", "1000"], "1 to 168"),
        (["--language", "xx"], "there are en, de"),
    ):
        assert main([*words, *wrong]) == 2, wrong
        assert why in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.system
def test_who_may_not_read_and_another_schema_are_said(server: PostgresServer, conninfo: str) -> None:
    name = re.search(r"dbname=(\w+)", conninfo)
    assert name is not None
    server.ask(name[1], "UPDATE station_fleet.version SET version = 2")
    with pytest.raises(FleetError, match="version 2 of the schema"):
        read(conninfo, 24)
    server.ask(name[1], "UPDATE station_fleet.version SET version = 1")
    server.ask(name[1], "REVOKE SELECT ON station_fleet.fleet FROM station_reader")
    with pytest.raises(FleetError, match="GRANT station_reader"):
        read(conninfo, 24)
    server.ask(name[1], "DROP SCHEMA station_fleet CASCADE")
    with pytest.raises(FleetError, match="no schema"):
        read(conninfo, 24)


@pytest.mark.system
def test_a_server_that_hangs_is_left(server: PostgresServer, conninfo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WHOLE_S", 1.0)
    monkeypatch.setattr(reading, "_check_schema", lambda _connection: server.freeze())
    try:
        with pytest.raises(FleetError):
            read(conninfo, 24)
    finally:
        server.thaw()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(width: int, browser: Browser, tmp_path: Path) -> None:
    wide = replace(WELL, name="Station-" + "x" * 90, software="1.2.3", silent_s=9000.0, waiting=12, unsent_age_s=9000.0)
    file = tmp_path / "fleet.html"
    file.write_text(page(fleet_of(WELL, wide, replace(WELL, name="ST-3", errors=1)), Calendar(), GERMAN))
    view = browser.new_page(viewport={"width": width, "height": 800}, java_script_enabled=False)
    problems: list[str] = []
    view.on("console", lambda message: problems.append(message.text))
    view.goto(file.as_uri())
    boxes = view.locator("body *:not(.chart *)").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().right)"
    )
    assert max(boxes) <= width
    assert problems == []
    view.close()
