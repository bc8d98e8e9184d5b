"""`station plc conformance` against `station run` in both roles, over TCP and RTU: every rule is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import station.commissioning.conformance.run  # noqa: F401  registers the rules
from station.commissioning.conformance.registry import RULES
from tests.bench.live_station import live_station
from tests.bench.serial_pair import SerialPair
from tests.commands.test_json import check_keys

BAUD_RATE = 115_200
ONLY_OF_A_SERVER = ("map-mirrors", "map-illegal-values", "map-other-unit")
ONLY_OF_A_TCP_SERVER = {"link-one-writer", "link-survives-garbage"}
RESPONSE_TIMEOUT_MS = 2000.0
"""Two processes and a wire answer within the default of 500 ms, but not on every busy machine."""
TEN_SECONDS = "command-released"
"""Left out where it can make no difference."""


def verdicts(directory: Path, role: str, transport: str, *options: str) -> dict[str, str]:
    """Starts a station and has it tested; what came of each rule."""
    report = directory / "report.json"
    settings: dict[str, Any] = {"plc__role": role, "camera__exposure_time_us": 20_000.0}
    if role == "client":
        settings["plc__response_timeout_ms"] = RESPONSE_TIMEOUT_MS
    with ExitStack() as stack:
        if transport == "rtu":
            line = stack.enter_context(SerialPair())
            settings |= {"plc__transport": "rtu", "plc__port": None}
            settings |= {"plc__serial_port": line.station, "plc__baud_rate": BAUD_RATE}
            connection = ["--serial", line.plc, "--baud", str(BAUD_RATE)]
        bench = stack.enter_context(live_station(directory, **settings))
        if transport == "tcp":
            connection = ["--port", str(bench.port)] if role == "server" else ["--listen", f"127.0.0.1:{bench.port}"]
        elif role == "client":
            connection.append("--listen")
        command = [sys.executable, "-m", "station", "plc", "conformance", *connection, *options]
        command += ["--require-all", "--answer-time", "20", "--settle-time", "0.2", "--json", str(report)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(report.read_text())
        check_keys("plc conformance", found)
        assert found["parts_by"] == "Trigger"
        assert found["engine_id"] == bench.engine_id[:8]
    return {rule["rule"]: rule["verdict"] for rule in found["rules"]}


def without(found: dict[str, str]) -> set[str]:
    """The rules that do not apply; all others have passed."""
    assert set(found.values()) <= {"passed", "does not apply"}
    return {rule for rule, verdict in found.items() if verdict == "does not apply"}


@pytest.mark.timeout(600)
def test_a_server_over_tcp_keeps_every_rule(tmp_path: Path) -> None:
    found = verdicts(tmp_path, "server", "tcp")
    assert found.keys() == RULES.keys()
    assert without(found) == set()


@pytest.mark.timeout(600)
def test_a_server_over_rtu_keeps_every_rule_but_those_of_tcp(tmp_path: Path) -> None:
    found = verdicts(tmp_path, "server", "rtu", "--skip", TEN_SECONDS)
    assert found.keys() == RULES.keys() - {TEN_SECONDS}
    assert without(found) == ONLY_OF_A_TCP_SERVER


@pytest.mark.timeout(600)
@pytest.mark.parametrize("transport", ["tcp", "rtu"])
def test_a_client_keeps_every_rule_but_those_of_a_server(tmp_path: Path, transport: str) -> None:
    found = verdicts(tmp_path, "client", transport, "--skip", TEN_SECONDS)
    assert found.keys() == RULES.keys() - {TEN_SECONDS}
    assert without(found) >= {*ONLY_OF_A_SERVER, *ONLY_OF_A_TCP_SERVER}
    assert all(rule.startswith(("map-", "link-")) for rule in without(found))
