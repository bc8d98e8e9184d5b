"""The dashboards in deploy/grafana: every query runs on the real schema as one who may only read, and the files have
the shape that Grafana imports, by its own types (`make fleet-test`). Grafana itself is in none of Debian, PyPI and npm,
so it has not opened them.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.bench.fleet_environment import fleet_program
from tests.bench.places import ROOT
from tests.bench.postgres import postgres
from tests.fleet.database import NASTY, READERS_WORD, Sent, fill, reader_of

FILES = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
MACRO = re.compile(r"\$__(\w+)(?:\(([^()]*)\))?")
KINDS = {"stat", "table", "timeseries", "bargauge", "barchart"}
VIEWS = {"fleet", "yield_by_hour", "latency_by_hour", "reasons_by_day", "engine_versions", "unsent"}


def dashboard(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def queries(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title and statement of each panel and of each variable."""
    for panel in found["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']}:{target['format']}", target["rawSql"]
    for variable in found["templating"]["list"]:
        if variable["type"] == "query":
            yield f"{variable['name']}:variable", variable["query"]


def expanded(statement: str, stations: list[str]) -> str:
    """As Grafana's data source for PostgreSQL does, by its documentation."""
    now = datetime.now(timezone.utc)
    since, until = (f"'{moment:%Y-%m-%dT%H:%M:%SZ}'" for moment in (now - timedelta(days=7), now))

    def macro(match: re.Match[str]) -> str:
        name, argument = match[1], match[2]
        found = {"timeFilter": f"{argument} BETWEEN {since} AND {until}", "timeFrom": since, "timeTo": until}
        return found[name]

    quoted = ",".join("'" + name.replace("'", "''") + "'" for name in stations)
    for name, values in (("station", quoted), ("recipe", "'cover'")):
        statement = statement.replace(f"${{{name}:sqlstring}}", values)
    return MACRO.sub(macro, statement)


@pytest.fixture(scope="module")
def reader() -> Iterator[psycopg.Connection[Any]]:
    with postgres() as server:
        name = server.new_database()
        event = ("fault", "error", "the camera does not answer")
        fill(server, name, Sent("ST-1", events=(event,)), Sent(NASTY, waiting=3, oldest_s=900.0))
        with psycopg.connect(reader_of(server, name), password=READERS_WORD, autocommit=True) as connection:
            yield connection


@pytest.mark.system
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_query_runs_as_a_reader_and_shows_something(file: Path, reader: psycopg.Connection[Any]) -> None:
    seen = set()
    for title, statement in queries(dashboard(file)):
        cursor = reader.execute(expanded(statement, ["ST-1", NASTY]).encode())
        assert cursor.description is not None
        names, rows = [column.name for column in cursor.description], cursor.fetchall()
        assert rows, title
        assert len(set(names)) == len(names)
        if title.endswith("time_series"):
            assert names[0] == "time", title
            assert all(isinstance(row[0], datetime) for row in rows), title
            assert rows == sorted(rows, key=lambda row: row[0]), title
            values = [value for row in rows for value in row[1:] if not isinstance(value, str)]
            assert all(value is None or isinstance(value, float) for value in values), f"{title}: no float8"
        if title.endswith("variable"):
            assert len(names) == 1
        seen |= set(re.findall(r"station_fleet\.(\w+)", statement))
    assert seen <= VIEWS | {"parts", "events", "reasons", "stations", "engines"}


def test_all_views_are_shown() -> None:
    statements = " ".join(statement for file in FILES for _, statement in queries(dashboard(file)))
    assert set(re.findall(r"station_fleet\.(\w+)", statements)) >= VIEWS | {"events"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_has_the_shape_that_grafana_imports(file: Path) -> None:
    found = dashboard(file)
    assert found["uid"]
    assert len(found["uid"]) <= 40
    assert isinstance(found["schemaVersion"], int)
    assert "id" not in found, "an id is of one installation"
    variables = {one["name"]: one for one in found["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "grafana-postgresql-datasource", "uid": "${datasource}"}
        assert {"defaults", "overrides"} <= panel["fieldConfig"].keys()
        at = panel["gridPos"]
        assert at["x"] >= 0
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["rawQuery"] is True
            assert target["format"] in ("table", "time_series")
            used = set(re.findall(r"\$\{(\w+)", target["rawSql"]))
            assert used <= variables.keys()
            assert re.findall(r"\$\{(?!\w+:sqlstring\})", target["rawSql"]) == [], "a variable without its quotes"
    uids = {dashboard(each)["uid"] for each in FILES}
    assert len(uids) == len(FILES)
    linked = set(re.findall(r"/d/([\w-]+)", file.read_text()))
    assert linked <= uids


READ_AND_WRITTEN = """
import json, sys
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
plugins.register_default_plugins()
print(json.dumps(Dashboard.from_json(json.load(sys.stdin)), cls=JSONEncoder))
"""


def unknown(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    """What stands in ours and not in theirs, where it can be found."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from unknown(value, theirs[key], f"{where}.{key}") if key in theirs else (f"{where}.{key}",)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from unknown(one, other, f"{where}[{number}]")
    elif ours != theirs:
        yield where


@pytest.mark.fleet
@pytest.mark.system
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_types_of_grafana_know_all_that_stands_there(file: Path) -> None:
    done = subprocess.run(
        [fleet_program("python"), "-c", READ_AND_WRITTEN], input=file.read_text(), text=True, capture_output=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(unknown(dashboard(file), json.loads(done.stdout))) == []
