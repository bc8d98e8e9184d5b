"""No page, no endpoint and no command reads a whole table: every statement on the records, with the plan it gets.

Of 100,000 parts. What each of them takes at ten million is measured by `benchmarks/records_scale.py`.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from station.access import shared_folder
from station.commands import main as cli
from station.hmi import site
from station.hmi.api.endpoints import BASE
from station.hmi.review import desk
from station.jobs.refresh_labels import _SAME_ID
from station.jobs.refresh_selection import from_records, has_parts, named_on_record
from station.records.challenge_memory import read_memory
from station.records.schema import DATABASE_FILE, open_reader
from station.records.selection import _KINDS
from station.reports.production.making import Order, make
from station.reports.production.reading import Period
from tests.bench.many_parts import OLD_RECIPE, RARE_REASON, ManyParts, fill, plan_of
from tests.bench.pages import Client, Pages, serving

COUNT = 100_000
LARGE = ("parts", "views", "events", "ejections")
OF_ALL = tuple(f"SEARCH {table}" for table in LARGE)
WHOLE = re.compile(rf"\bSCAN ({'|'.join(LARGE)}|v)\b")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pages, ManyParts]]:
    with serving(tmp_path_factory.mktemp("pages")) as pages:
        yield pages, fill(pages.site.records, COUNT, now=time.time(), with_images=2000)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement on the records, as it was executed."""
    found: list[str] = []
    connect = shared_folder.connected

    def listening(file: Path, how: str, timeout_s: float) -> tuple[sqlite3.Connection, int]:
        connection, version = connect(file, how, timeout_s)
        connection.set_trace_callback(found.append)
        return connection, version

    monkeypatch.setattr(shared_folder, "connected", listening)
    return found


def is_whole(step: str, statement: str) -> bool:
    """Also `MIN(id) ... WHERE wall_time >= ?`, which goes from the first row on until one fulfils the condition."""
    return WHOLE.search(step) is not None or (step in OF_ALL and "WHERE" in statement)


def whole_reads(records: Path, statements: list[str]) -> list[str]:
    """Those that read a large table from its first row to its last."""
    found = []
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        for statement in dict.fromkeys(statements):
            if statement.lstrip().upper().startswith(("SELECT", "WITH")):
                known = statement.replace("-Inf", "-9e999").replace(" Inf", " 9e999")  # as SQLite reads it
                steps = [step for step in plan_of(connection, known) if is_whole(step, known)]
                found += [f"{step}: {statement}" for step in steps]
    return found


def test_what_the_tests_of_plans_look_for_is_found(many: tuple[Pages, ManyParts]) -> None:
    records = many[1].folder
    assert whole_reads(records, ["SELECT COUNT(*) FROM parts WHERE engine_id = 'x'"])
    assert whole_reads(records, ["SELECT * FROM parts WHERE score > 1 ORDER BY wall_time LIMIT 5"])
    assert whole_reads(records, ["SELECT * FROM views AS v WHERE v.camera = 'x'"])
    assert whole_reads(records, ["SELECT MIN(id) FROM parts WHERE wall_time >= 5"])
    assert not whole_reads(
        records, ["SELECT * FROM parts WHERE id = 5", "SELECT MAX(id) FROM parts", "PRAGMA page_count"]
    )


def paths(made: ManyParts) -> Iterator[str]:
    session, number = made.key_of(24_000)
    filters = [
        *("", "verdict=FAIL", "verdict=ERROR", "verdict=FAIL&verdict=REVIEW", "verdict=PASS", "recipe=flange"),
        *(f"recipe={OLD_RECIPE}&verdict=FAIL", f"reason={RARE_REASON}", "reason=32", "part=24000", "part=0"),
        *("since=1h&until=30min", "shift=now", f"shift=now&verdict=FAIL&recipe=flange&reason={RARE_REASON}"),
        *(f"before={made.time_of(50_000)}_50001", f"recipe=flange&before={made.time_of(50_000)}_50001"),
    ]
    for one in filters:
        yield f"/parts?{one}"
        yield f"/parts/{session}/{number}?{one}"
        yield f"{BASE}/parts?{one}&limit=200"
        if not one.startswith(("before", "recipe=flange&before")):
            yield f"{BASE}/parts?after=50000&{one}&limit=200"
    yield from (f"{BASE}/parts?engine=eee", f"{BASE}/parts?after=0&engine=eee", f"{BASE}/counts?by=recipe&engine=eee")
    yield from (f"{BASE}/parts/by-id/24000", f"{BASE}/parts/{session}/{number}/trace", "/readyz")
    yield from (f"{BASE}/events", f"{BASE}/events?after=5", f"{BASE}/challenges", f"{BASE}/challenges?after=0")
    yield from (f"{BASE}/audit", f"{BASE}/audit?after=0", f"{BASE}/dispositions?since=7d&after=0", f"{BASE}/shifts")
    for by in ("shift", "hour", "recipe", "reason", "engine"):
        for one in filters[:-2]:
            yield f"{BASE}/counts?by={by}&{one}"
    yield from ("/parts.csv", "/parts.csv?verdict=FAIL", f"/parts/{session}/{number}/evidence.zip", "/review")
    yield from (f"{BASE}/parts/{session}/{number}", f"{BASE}/health", f"{BASE}/status", "/metrics", "/healthz")
    yield from ("/health", "/challenge", "/reports", "/setup", "/setup/zones", "/setup/limits", "/setup/settings")
    yield from ("/setup/plc", "/setup/challenge", "/setup/what-if?decision.reject_score=0.7", "/engines", "/teach")


_OF_QUALITY = ("/parts", "/revie", "/repor")


def test_pages_and_endpoints(many: tuple[Pages, ManyParts], asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pages, made = many
    monkeypatch.setattr(site, "LOOK_S", 60.0)  # what this asks about is no time
    pages.site.live._counts_now()  # of the shift, for Live
    secret = pages.site.tokens.make("reader", ["read", "audit"], 10, "test", via="test")
    headers = {"Authorization": f"Bearer {secret}"}
    person = {role: pages.client(role) for role in ("quality", "maintenance", "integrator")}
    for path in paths(made):
        if path.startswith((BASE, "/metrics", "/healthz", "/readyz")):
            got = Client(pages.port).ask("GET", path, headers=headers)
        else:
            role = (
                "integrator" if path.startswith("/setup") else "quality" if path[:6] in _OF_QUALITY else "maintenance"
            )
            got = person[role].get(path)
        assert got.status in (200, 503), f"{path}: {got.body[:300]!r}"
        assert b"took more than" not in got.body, path
    assert sum("FROM parts" in one for one in asked) > 100, "the statements were heard"
    assert whole_reads(made.folder, asked) == []


def test_commands(many: tuple[Pages, ManyParts], asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pages, made = many
    session, number = made.key_of(24_000)
    place = ["--config", str(pages.site.station.path)]
    key = [str(number), "--acquisition", "--session", session]
    for command in (
        ["parts"],
        ["parts", "--verdict", "fail", "--recipe", OLD_RECIPE, "--since", "8h"],
        ["parts", "--reason", str(RARE_REASON), "--json"],
        *(["counts", "--by", by] for by in _BY),
        ["counts", "--verdict", "fail", "--shift", "now"],
        ["show", "last"],
        ["show", "last", "--session", session],
        ["show", "24000"],
        ["show", str(number), "--acquisition"],
        ["trace", *key],
        ["trace", "24000", "--at", time.strftime("%Y-%m-%d", time.localtime(made.time_of(24_000)))],
        ["trace", "24000", "--session", session],
    ):
        assert cli.main([*command, *place]) == 0, command
    assert cli.main(["show", "999999999", *place]) == 2
    capsys.readouterr()
    assert sum("FROM parts" in one for one in asked) > 20
    assert whole_reads(made.folder, asked) == []


_BY = ("shift", "hour", "recipe", "reason", "engine")


def test_reports_review_refresh_and_the_start_of_the_station(many: tuple[Pages, ManyParts], asked: list[str]) -> None:
    pages, made = many
    period = Period("hour", made.now - 7200, made.now - 3600)
    for recipe in (None, OLD_RECIPE):
        make(made.folder, Order(period, recipe), station="x", deadline_ms=500.0, now=made.now)
    desk.INTAKE._looked.clear()
    assert pages.client("quality").get("/review").status == 200
    assert has_parts(made.folder, "flange")
    from_records_or_not(made.folder)
    session, number = made.key_of(24_000)
    with open_reader(made.folder) as connection:
        (recipe,) = connection.execute("SELECT recipe FROM parts WHERE id = 24001").fetchone()
        connection.execute(_SAME_ID, {"part_id": 0, "recipe": "x", "session": "", "since": None, "until": 1, "most": 9})
    with pytest.raises(Exception, match="has an image any more"):
        named_on_record(made.folder, [f"{session}/{number}"], recipe=recipe)
    with sqlite3.connect(made.folder / DATABASE_FILE) as connection:
        connection.execute(
            "INSERT INTO challenges VALUES (1, 'flange', '', 'e', 'x', 0, 1, 2, 'PASSED', 0, '', '[]', '[]', '', 0, '')"
        )
    assert read_memory(made.folder, "flange", made.now).parts_since == pytest.approx(COUNT, rel=0.01)
    assert whole_reads(made.folder, asked) == []


def from_records_or_not(records: Path) -> None:
    """No image is there as a file: what is looked for is the statement."""
    for recipe in ("flange", "nobody"):
        with pytest.raises(Exception, match="hold no image"):
            from_records(records, recipe=recipe, newest=500)


def test_every_kind_that_is_counted_is_tested() -> None:
    assert len(_KINDS) + 1 == len(_BY)
