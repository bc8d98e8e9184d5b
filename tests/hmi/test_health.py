"""Health and the guide through a challenge test: what is wrong comes first with what to do, and nothing is guessed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from station.codes import ReasonCode, WarningCode
from station.configuration.model import Configuration
from station.forwarding.progress import Cursor, Progress
from station.hmi.health.lines import Line, lines_of
from station.hmi.health.looking import Disk, Look, look, quantile
from station.hmi.health.reasons import not_passed
from station.hmi.queries import Happened
from station.hmi.words import languages
from station.records.challenge_runs import MasterPart, Outcome, Run, RunVerdict, Step
from station.records.challenges import ChallengeRow, upsert_challenge
from station.records.schema import open_writer
from station.results import Decision, Reason, Verdict
from tests.bench.pages import Client, Pages, serving, some_parts
from tests.bench.sample_parts import WALL_TIME, PartMaker
from tests.hmi.maintenance_pages import Daemon, listening_daemon
from tests.hmi.test_engines import send

MASTERS = '[[challenge.parts]]\nname = "hole <b>missing</b>"\n[[challenge.parts]]\nname = "good"\nexpected = "pass"\n'
STATUS = {
    "online": True, "error_code": 0, "offline_code": 0, "warning_codes": [], "engine_id": "e" * 64, "runtime": "onnx",
    "cameras": {"top": {"state": "streaming", "detail": ""}}, "in_flight": 1, "plan": {"phase": "idle"}, "refused": "",
    "records": {"ok": True, "waiting": 0, "oldest_s": 0.0, "lost": 0},
    "trends": {"state": "known", "at": 1.0, "days": 30, "advice": [], "problem": ""},
    "monitoring": {"state": "watching", "learned": 1.0, "standing": [], "streams": [
        {"name": "grey: <b>top", "learned": 1.0, "changed": True, "detail": "normal 117 to 122, now 100"}]},
}  # fmt: skip
HAPPENED = Happened([20.0] * 99 + [400.0], 0, 100, 1, [])
WELL = Look(1.0, STATUS, "", 0.1, HAPPENED, "", Disk(50 * 10**9, 100 * 10**9))


def lines(seen: Look, language: str = "en") -> dict[str, Line]:
    settings = Configuration.model_validate({"cameras": {"top": {"producer": "simtl"}}, "engine": {"path": "e"}})
    return {line.name: line for line in lines_of(seen, settings, languages()[language])}


def test_a_station_that_does_well_needs_nobody() -> None:
    found = lines(WELL)
    assert {line.state for line in found.values()} == {"good"}, found
    assert found["Trigger to result"].value == "p50 20, p95 20, p99 400, max 400 ms; n 100 (deadline 500 ms)"


def test_a_second_is_a_thousand_milliseconds() -> None:
    slow = Happened([20.0] * 99 + [1134.0], 0, 100, 1, [])
    assert "max 1134 ms" in lines(replace(WELL, happened=slow))["Trigger to result"].value


@pytest.mark.parametrize(
    ("changes", "name", "state", "words"),
    [
        ({"error_code": 2, "error": "camera failed: <b>gone"}, "Station", "bad", ": <b>gone"),
        ({"online": False, "offline_code": 3}, "Station", "act", "OFF LINE"),
        ({"warning_codes": [3]}, "Warning", "act", "disk"),
        ({"warning_codes": [1]}, "PLC", "bad", "heartbeat"),
        ({"cameras": {"top": {"state": "down", "detail": "no link"}}}, "Camera top", "bad", "down: no link"),
        ({"engine_id": ""}, "Engine", "bad", "none"),
        ({"in_flight": 8}, "Parts in flight", "act", "8 / 8"),
        ({"monitoring": {"state": "off"}}, "Watching for drift", "act", "off"),
        ({"monitoring": {"state": "changed", "standing": ["darker"]}}, "Watching for drift", "act", "darker"),
        ({"refused": "engine 3: no"}, "Last change", "act", "engine 3: no"),
        ({"plan": {"phase": "failed", "detail": "no GPU"}}, "Plan", "bad", "no GPU"),
        (
            {"records": {"ok": False, "waiting": 9, "oldest_s": 7.0, "detail": "x"}},
            "Records",
            "act",
            "9 rows",
        ),
    ],
)
def test_what_is_wrong_is_a_line_with_what_to_do(changes: dict[str, object], name: str, state: str, words: str) -> None:
    found = lines(replace(WELL, status={**STATUS, **changes}))
    assert (found[name].state, words in found[name].value) == (state, True), found[name]
    assert next(iter(found.values())).state in ("bad", "act"), "what is wrong comes first"
    assert lines(replace(WELL, status={**STATUS, **changes}), "de")


def test_what_is_not_known_is_not_well() -> None:
    found = lines(Look(1.0, None, "no station listens", None, None, "gone", None))
    assert found["Station"].state == "bad"
    unknown = ("PLC", "Engine", "Disk", "Beat of signalling", "Trigger to result")
    assert {found[name].state for name in unknown} == {"unknown"}
    assert lines(replace(WELL, beat_age_s=3.0))["Beat of signalling"].state == "bad"
    assert lines(replace(WELL, disk=Disk(10**8, 10**11)))["Disk"].state == "bad"
    slow = replace(WELL, happened=replace(HAPPENED, latencies_ms=[450.0] * 100))
    assert lines(slow)["Trigger to result"].state == "act"
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0


@pytest.mark.parametrize(
    ("code", "parts"),
    [(12, "reason=25"), (13, "reason=26"), (14, "reason=27"), (17, "verdict=FAIL&verdict=REVIEW"), (3, "")],
)
def test_a_warning_about_parts_leads_to_them(code: int, parts: str) -> None:
    assert lines(replace(WELL, status={**STATUS, "warning_codes": [code]}))["Warning"].parts == parts


def test_why_parts_did_not_pass_in_the_last_hour_and_the_last_day(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason of now stands above that of yesterday, and leads to its parts."""
    make = PartMaker("why")  # the number of a part is its second
    dark = Decision(Verdict.REVIEW, (Reason(ReasonCode.LIGHT_NOT_AS_TAUGHT, "mean grey 56.3, taught <b>"),))
    yesterday = [make.inspected(number, Verdict.FAIL) for number in (100_001, 100_002, 100_003)]
    today = [replace(make.inspected(number, Verdict.REVIEW), decision=dark) for number in (140_004, 140_005)]
    pages.record([*yesterday, *today, make.inspected(140_006, Verdict.PASS)], "why")
    now = WALL_TIME + 140_600.0
    found = not_passed(pages.site, now)
    assert found is not None
    assert (found.hour, found.hour_parts) == (2, 3)
    assert [(one.code, one.hour, one.day) for one in found.reasons][:2] == [(25, 2, 2), (10, 0, 3)]
    assert found.reasons[0].hour_share == pytest.approx(2 / 3)
    newest = found.reasons[0].newest
    assert newest is not None
    assert (newest.acquisition_id, found.reasons[0].detail) == (140_005, "mean grey 56.3, taught <b>")
    assert found.reasons[1].newest is None, "none of this hour"
    monkeypatch.setattr("station.hmi.health.reasons.time", SimpleNamespace(time=lambda: now))
    text = pages.client("maintenance").get("/health").text
    assert '<a href="/parts/why/140005">141005</a>: mean grey 56.3, taught &lt;b&gt;' in text
    assert 'href="/parts?reason=25&amp;since=24h"' in text
    assert not_passed(pages.site, now + 1e8) is None


LAMP = {"cause": "the lamp ages", "place": "left", "action": "clean the lamp's window; order and exchange the lamp",
        "what": "mean grey -9 % in 13 days", "days": 21.2, "earliest": 17.0, "latest": None, "text": ""}  # fmt: skip


def test_what_wears_out_is_a_line_with_when_and_what_to_do() -> None:
    def of(language: str = "en", **state: object) -> list[Line]:
        seen = replace(WELL, status={**STATUS, "trends": {"state": "known", "advice": [], "problem": "", **state}})
        settings = Configuration.model_validate({"cameras": {"top": {"producer": "simtl"}}, "engine": {"path": "e"}})
        return [line for line in lines_of(seen, settings, languages()[language]) if line.name.startswith("Trends")]

    assert [line.state for line in of()] == ["good"]
    (one,) = of(advice=[LAMP])
    assert (one.name, one.state, one.todo) == ("Trends left", "act", LAMP["action"])
    expected = "the lamp ages: mean grey -9 % in 13 days; reaches its limit in 21 days (80 % between 17 and ∞)"
    assert one.value == expected
    (german,) = of("de", advice=[LAMP])
    assert "Lampe" in german.value
    assert "in 21 Tagen" in german.value
    assert "limit is reached" in of(advice=[LAMP | {"days": 0.0}])[0].value
    assert "2 more" in of(advice=[LAMP] * 7)[-1].value
    assert [line.state for line in of(state="failed", problem="no disk", advice=[LAMP])] == ["act", "act"]
    assert [line.state for line in of(state="waiting")] == ["unknown"]
    assert [line.state for line in of(state="off")] == ["act"]


SENT = Progress("webhook", Cursor(90, "s1", 90), 80, 0, 0, None, None, "", 1.0)


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"plant": (SENT,)}, "good", "80 sent, 10 wait"),
        ({"plant": (SENT,), "plant_runs": False}, "act", "the process does not run"),
        ({"plant": (replace(SENT, failing_since=0.0, detail="mes:443 <b>"),)}, "act", "80 sent, 10 wait; mes:443 <b>"),
        ({"plant": (replace(SENT, parked=3),)}, "act", "3 parts were refused by the receiver"),
        ({"plant": (replace(SENT, left_out=4, left_out_at=0.0),)}, "act", "4 parts were never sent"),
        ({"plant": (replace(SENT, left_out=4, left_out_at=-1e6),)}, "good", "80 sent"),
        ({"plant_problem": "broken"}, "act", "broken"),
    ],
)
def test_what_the_plant_is_not_sent_is_a_line(changes: dict[str, Any], state: str, words: str) -> None:
    webhook = {"url": "https://mes/", "secret_file": "s"}
    settings = Configuration.model_validate(
        {"cameras": {"top": {"producer": "simtl"}}, "engine": {"path": "e"}, "webhook": webhook}
    )
    seen = replace(WELL, **({"plant_runs": True, "newest_id": 100} | changes))
    (first, *_) = lines_of(seen, settings, languages()["en"])
    found = [
        line for line in lines_of(seen, settings, languages()["en"]) if line.name.startswith("Results to the plant")
    ]
    assert (found[0].state, words in found[0].value) == (state, True), found
    assert first.state == state
    assert lines_of(seen, settings, languages()["de"])
    assert "Results to the plant" not in lines(seen), "a station that sends nothing has no such line"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving(tmp_path_factory.mktemp("health"), "idle_min = 15\n" + MASTERS) as pages:
        pages.record(some_parts())
        yield pages


@pytest.fixture
def daemon(pages: Pages) -> Iterator[Daemon]:
    with listening_daemon(pages.site.station.control_socket) as daemon:
        daemon.status |= STATUS
        daemon.status["challenge"] = {"state": "due", "step": 0, "next_part": "", "overdue": True, "last_test": 0,
                                      "awaits_confirmation": False, "last_verdict": "", "last_detail": ""}  # fmt: skip
        pages.site.line.forget()
        yield daemon
    pages.site.line.forget()


def test_health_is_shown_while_the_station_stands(pages: Pages) -> None:
    client = pages.client("maintenance")
    text = client.get("/health").text
    assert "it does not answer" in text
    assert client.get("/maintenance").headers["location"] == "/health"
    assert pages.client("operator").get("/maintenance").headers["location"] == "/challenge"


def test_health_of_a_station_that_runs(pages: Pages, daemon: Daemon) -> None:
    with closing(sqlite3.connect(pages.site.records / "records.db")) as db:
        values = ("s1", 1.0, "odd", "warning", "<script>x</script>")
        db.execute("INSERT INTO events (session, wall_time, kind, level, detail) VALUES (?, ?, ?, ?, ?)", values)
        db.commit()
    daemon.status["warning_codes"] = [int(WarningCode.DISK_FULL)]
    text = pages.client("integrator").get("/health").text
    assert text.index("Warning") < text.index("Camera top")
    assert "&lt;script&gt;x" in text
    assert "grey: &lt;b&gt;top" in text
    assert "normal 117 to 122, now 100" in text
    assert look(pages.site).status is not None


def test_the_guide_leads_from_part_to_part(pages: Pages, daemon: Daemon) -> None:
    client = pages.client("operator")
    text = client.get("/challenge").text
    assert "OVERDUE" in text
    assert "hole &lt;b&gt;missing" in text
    assert send(client, "/challenge/start") == (303, "/challenge")
    daemon.status["challenge"] |= {"state": "running", "step": 1, "next_part": "hole <b>missing</b>",
                                   "awaits_confirmation": True, "last_test": 7}  # fmt: skip
    step = Step("hole <b>missing</b>", 5, Verdict.ERROR, ReasonCode.NO_FRAME, Outcome.NOT_INSPECTED)
    masters = (MasterPart("hole <b>missing</b>", Verdict.FAIL), MasterPart("good", Verdict.PASS))
    write_run(pages.site.records, Run(7, "operator anna", 1.0, masters, steps=(step,)))
    pages.site.line.forget()
    text = client.get("/challenge").text
    assert "Put on now: 1 of 2" in text
    assert "It was not inspected: put the same part on again." in text
    assert 'aria-current="step"' in text
    assert "End this test" not in text, "an operator does not reset"
    assert send(client, "/challenge/confirm") == (303, "/challenge")
    assert [asked["action"] for asked in daemon.asked] == ["start", "confirm"]
    daemon.refusal = "no test runs"
    assert send(client, "/challenge/confirm") == (409, "no test runs")


def test_maintenance_ends_a_failed_test_with_the_reason(pages: Pages, daemon: Daemon) -> None:
    daemon.status["challenge"] |= {"state": "failed", "last_test": 8, "last_detail": "hole <i>passed</i>"}
    masters = (MasterPart("hole", Verdict.FAIL),)
    step = Step("hole", 5, Verdict.PASS, ReasonCode.NONE, Outcome.ESCAPE)
    write_run(pages.site.records, Run(8, "plc", 1.0, masters, steps=(step,), verdict=RunVerdict.FAILED, end_s=2.0))
    pages.site.line.forget()
    client = pages.client("maintenance")
    text = client.get("/challenge").text
    assert "Put the part aside and call maintenance." in text
    assert "hole &lt;i&gt;passed" in text
    assert send(client, "/challenge/reset") == (400, "Say what was found and done.")
    assert send(client, "/challenge/reset", why="lamp was off") == (303, "/challenge")
    assert (daemon.asked[-1]["who"], daemon.asked[-1]["why"]) == ("maintenance", "lamp was off")
    assert send(pages.client("operator"), "/challenge/reset", why="x")[0] == 403


def write_run(records: Path, run: Run) -> None:
    statement = upsert_challenge(ChallengeRow(run, "default", "", ""))
    with closing(open_writer(records / "records.db")) as connection:
        connection.execute(statement.sql, statement.values)
        connection.commit()


def test_without_master_parts_or_station_the_guide_says_so(
    tmp_path_factory: pytest.TempPathFactory, pages: Pages
) -> None:
    client: Client = pages.client("operator")
    assert "The station does not answer, so no test can be made" in client.get("/challenge").text
    with serving(tmp_path_factory.mktemp("none")) as other:
        assert other.client("operator").get("/challenge").status == 200
