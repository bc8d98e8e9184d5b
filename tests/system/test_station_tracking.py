"""A station with tracking of its own: its end, a kill, no PLC. (What it does when it runs: test_tracking_runs.py.)"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyModbusTCP.client import ModbusClient

from station.codes import ErrorCode
from station.control import request
from station.records.ejections import Ejection, ejections
from station.records.schema import open_reader
from tests.bench.bench import Bench, bad, good
from tests.bench.waiting import wait_for

EJECTOR1, LINE_STOP, ERROR_CODE, COUNT_EJECTED = 20, 24, 4, 46
ENCODER_AT_START = 2**32 - 2000
"""It wraps around on the way."""
WINDOW_MS = 1000.0
"""An ejector may fire as much too late: wide, so that a machine that has other work does not make it a fault."""
BY_TIME = f"""
[reject]
by = "station"
encoder = "time"
window_ms = {WINDOW_MS}
ejectors = [{{ distance_ms = 1500.0, pulse_ms = 60.0, output = "camera", line = "Line2" }}]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A station that the test ends."""
    with Bench(tmp_path) as bench:
        bench.config_path.write_text(bench.config_path.read_text() + BY_TIME)
        bench.start()
        yield bench


def status_bit(bench: Bench, address: int) -> bool:
    client = ModbusClient("127.0.0.1", bench.port)
    try:
        bits = client.read_discrete_inputs(address, 1)
    finally:
        client.close()
    return bool(bits and bits[0])


def register(bench: Bench, address: int) -> int:
    client = ModbusClient("127.0.0.1", bench.port)
    try:
        words = client.read_input_registers(address, 1)
    finally:
        client.close()
    assert words is not None
    return int(words[0])


def recorded(bench: Bench) -> list[Ejection]:
    with open_reader(bench.directory / "work" / "records") as connection:
        return list(ejections(connection))


def test_parts_on_the_belt_are_pushed_before_the_station_ends(bench: Bench) -> None:
    bench.part(bad())
    assert bench.terminate() == 0
    assert bench.scene.output("Line2").changes == 2
    bench.start()
    assert bench.part(good()).passed, "nothing was left on the belt"


def test_killed_station_knows_that_the_belt_is_not_empty(bench: Bench) -> None:
    bench.part(bad())
    bench.kill()
    bench.start(wait_ready=False)
    wait_for(lambda: bench.plc.status is not None and bench.plc.status.fault, "Fault")
    assert register(bench, ERROR_CODE) == ErrorCode.BELT_NOT_EMPTY
    assert status_bit(bench, LINE_STOP)
    request(bench.directory / "work" / "control.sock", {"command": "clear"})
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(good()).passed


NO_PLC = """
[reject]
by = "station"
encoder = "camera"
window_counts = 1000
[[reject.ejectors]]
distance_counts = 5000
pulse_counts = 200
output = "camera"
"""


def test_without_a_plc_the_camera_tells_the_encoder_and_drives_the_ejector(tmp_path: Path) -> None:
    with Bench(tmp_path, plc__role="off") as bench:
        bench.config_path.write_text(bench.config_path.read_text() + NO_PLC)
        bench.start(wait_ready=False)
        wait_for(lambda: bench.settled() and bench.status()["ready"], "the station to be ready")

        def run_belt(counts: range) -> None:
            for count in counts:
                bench.scene.set_encoder((ENCODER_AT_START + count * 10) % 2**32)
                time.sleep(0.002)  # the speed of the belt, at most

        run_belt(range(50))
        bench.scene.show(bad(), 1)
        bench.scene.pulse_line1()
        wait_for(lambda: bench.status()["counters"]["failed"] == 1, "the verdict")
        run_belt(range(50, 450))
        time.sleep(0.3)  # the belt stands before the ejector: nothing must come of it
        assert bench.scene.output("Line2").changes == 0
        run_belt(range(450, 650))
        wait_for(lambda: bench.scene.output("Line2").changes == 2, "the pulse")
        wait_for(lambda: bool(recorded(bench)), "the record")
        [ejection] = recorded(bench)
        assert ejection.unit == "counts"
        assert 0 <= ejection.error <= 1000, "the belt stands then, so a late pulse finds the part, too"
