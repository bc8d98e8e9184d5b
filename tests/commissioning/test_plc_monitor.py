"""`station plc monitor` against a real station and against a small one."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from docs.generate.commands import json_of
from drivers.plc.signal_map import POINTS, Area
from station.commissioning.plc_client import ModbusClient, Order, TcpTransport
from station.commissioning.plc_monitor import HIGHLIGHT_S, Reader, in_words, picture
from tests.bench.live_station import live_station
from tests.bench.small_station import SmallStation
from tests.bench.waiting import wait_for
from tests.commands.test_json import LEAVES


def monitor(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "station", "plc", "monitor", "--port", str(port), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={"COLUMNS": "200", "PATH": ""})


def by_name(area: Area, name: str) -> Any:
    return next(point for point in POINTS if (point.area, point.name) == (area, name))


@pytest.mark.system
def test_a_real_station_is_shown_whole(tmp_path: Path) -> None:
    with live_station(tmp_path) as bench:
        table = monitor(bench.port, "--once")
        assert table.returncode == 0, table.stderr
        for point in POINTS:
            assert point.name in table.stdout
        assert "ready" in table.stdout, "the state in words"
        values = json.loads(monitor(bench.port, "--once", "--json").stdout)
        assert values["input register"]["MapVersion"] == 2
        assert ", ".join(values) in (json_of(LEAVES["plc monitor"]) or "")
        assert values["input register"]["EngineId"] == int(bench.engine_id[:8], 16)
        assert values["discrete input"]["Online"] is True
        assert values["discrete input"]["Reject"] is True
        assert bench.log().count("writes from now on") == 0, "a monitor never writes"


@pytest.mark.system
def test_changes_are_recorded_with_time_and_words(tmp_path: Path) -> None:
    with SmallStation() as station, ModbusClient(TcpTransport("127.0.0.1", station.port)) as plc:
        assert monitor(station.port, "--json", "--for", "0", "--record", str(tmp_path / "a.csv")).returncode == 0
        plc.write_coils(0, [True])
        wait_for(lambda: plc.read_bits(Area.DISCRETE_INPUT, 1, 1) == [True], "TriggerReady")
        plc.write_coils(1, [True])
        wait_for(lambda: plc.read_bits(Area.DISCRETE_INPUT, 6, 1) == [True], "ResultsValid")
        for file in ("a.csv", "a.jsonl"):
            run = monitor(station.port, "--json", "--for", "0.5", "--record", str(tmp_path / file))
            assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    with (tmp_path / "a.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["name"] for row in rows].count("MapVersion") == 2, "appended, with one heading"
    result = next(line for line in lines if line["name"] == "Result")
    assert f"a line of {', '.join(result)} per change" in (json_of(LEAVES["plc monitor"]) or "")
    assert (result["value"], result["words"]) == (2, "fail"), "part id 0 fails in the small station"
    assert any(row["name"] == "ReasonCode" and "reject limit" in row["words"] for row in rows)
    assert rows[0]["time"].endswith("+00:00")


def test_a_change_stands_out_with_its_age() -> None:
    with SmallStation() as station, ModbusClient(TcpTransport("127.0.0.1", station.port)) as plc:
        reader = Reader(plc, Order())
        assert len(reader.read(time.time())) == len(POINTS)
        plc.write_registers(0, [7])
        (change,) = [change for change in reader.read(time.time()) if change.point.name == "PlcHeartbeat"]
        assert (change.before, change.value) == (0, 7)
        assert time.time() - reader.changed_s[change.point] < HIGHLIGHT_S
        assert change.point in reader.values
        page = Console(width=200, file=io.StringIO(), force_terminal=True)
        page.print(picture(reader, "a station", "no answer", 200, 100))
        shown = page.file.getvalue()  # type: ignore[attr-defined]
        assert "\x1b[1;7m7 " in shown, "the new value is highlighted"
        assert "no answer: the values are old" in shown


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 24), (80, 200), (80, 8)])
def test_a_small_terminal_shows_what_changed_last(columns: int, lines: int) -> None:
    with SmallStation() as station, ModbusClient(TcpTransport("127.0.0.1", station.port)) as plc:
        reader = Reader(plc, Order())
        reader.read(time.time())
        plc.write_registers(0, [7])
        reader.read(time.time())
        page = Console(width=columns, file=io.StringIO())
        page.print(picture(reader, "a station", "no answer", columns, lines))
    shown = page.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(shown) <= lines
    assert next(line for line in shown if "point " in line) == shown[2]
    assert "PlcHeartbeat" in shown[3], "what changed last is first"
    assert f"of {len(POINTS)} points" in shown[1]


def test_words() -> None:
    register = Area.INPUT_REGISTER
    assert in_words(by_name(register, "OfflineReason"), 2) == "set offline by the PLC"
    assert in_words(by_name(register, "Latency"), 312) == "31.2 ms"
    assert in_words(by_name(register, "State"), 99) == "unknown code"
    assert in_words(by_name(Area.HOLDING_REGISTER, "Command"), 5) == "reset counters"
    assert in_words(by_name(Area.HOLDING_REGISTER, "Command"), 0) == ""


@pytest.mark.system
def test_nobody_there() -> None:
    run = monitor(1, "--once")
    assert run.returncode == 2
    assert "127.0.0.1:1" in run.stderr
