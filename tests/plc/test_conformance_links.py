"""`station plc conformance` against `station run` in both roles, over TCP and RTU: every rule is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from station.conformance.run import RULES
from tests.plc.live_station import live_station
from tests.plc.serial_pair import SerialPair, needs_socat

HEARTBEAT_TIMEOUT_S = 3.0
LINKS = ("server over TCP", "server over RTU", "client over TCP", "client over RTU")
BAUD_RATE = 115_200
ONLY_OF_A_SERVER = ("map-mirrors", "map-illegal-values", "map-other-unit")
ONLY_OF_A_TCP_SERVER = ("link-one-writer", "link-survives-garbage")


class StationUnderTool:
    """A station, and the tool that tests it in a process of its own."""

    def __init__(self, directory: Path, link: str, stack: ExitStack) -> None:
        self._report = directory / "report.json"
        role, transport = link.split(" over ")
        settings: dict[str, Any] = {"plc__role": role}
        self._connection = [] if role == "server" else ["--listen"]
        if transport == "RTU":
            line = stack.enter_context(SerialPair())
            settings |= {"plc__transport": "rtu", "plc__port": None, "plc__serial_port": line.station}
            settings["plc__baud_rate"] = BAUD_RATE
            self._connection += ["--serial", line.plc, "--baud", str(BAUD_RATE)]
        self._bench = stack.enter_context(
            live_station(
                directory,
                plc__heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S,
                camera__exposure_time_us=20_000.0,
                **settings,
            )
        )
        if transport == "TCP":
            port = self._bench.port
            self._connection += ["--port", str(port)] if role == "server" else [f"127.0.0.1:{port}"]
        self._tool: subprocess.Popen[str] | None = None

    def test(self) -> None:
        """Starts the tool when the station is ready for it."""
        command = [
            *(sys.executable, "-m", "station", "plc", "conformance", *self._connection),
            *("--heartbeat-timeout", str(HEARTBEAT_TIMEOUT_S), "--answer-time", "20"),
            *("--require-all", "--json", str(self._report)),
        ]
        self._tool = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def verdicts(self) -> dict[str, str]:
        """What came of each rule."""
        assert self._tool is not None
        said, _ = self._tool.communicate(timeout=250)
        assert self._tool.returncode == 0, said
        report = json.loads(self._report.read_text())
        assert report["parts_by"] == "Trigger"
        assert report["engine_id"] == self._bench.engine_id[:8]
        return {rule["rule"]: rule["verdict"] for rule in report["rules"]}

    def stop(self) -> None:
        if self._tool is not None and self._tool.poll() is None:
            self._tool.kill()
            self._tool.communicate()


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, StationUnderTool]]:
    """The four of them; while one is tested the next one starts. Most of the time is waiting."""
    directory = tmp_path_factory.mktemp("links")
    with ExitStack() as stack:
        stations = {}
        for link in LINKS:
            stations[link] = station = StationUnderTool(directory / link.replace(" ", "-"), link, stack)
            stack.callback(station.stop)
            station.test()
        yield stations


@needs_socat
@pytest.mark.parametrize("link", LINKS)
def test_a_real_station_keeps_every_rule(tested: dict[str, StationUnderTool], link: str) -> None:
    verdicts = tested[link].verdicts()
    assert verdicts.keys() == RULES.keys()
    without = {rule for rule, verdict in verdicts.items() if verdict == "does not apply"}
    assert set(verdicts.values()) <= {"passed", "does not apply"}
    match link:
        case "server over TCP":
            assert without == set()
        case "server over RTU":
            assert without == set(ONLY_OF_A_TCP_SERVER)
        case _:
            assert without >= {*ONLY_OF_A_SERVER, *ONLY_OF_A_TCP_SERVER}
            assert all(rule.startswith(("map-", "link-")) for rule in without)
