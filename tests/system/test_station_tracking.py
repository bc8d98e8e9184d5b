"""The whole station with tracking of its own: who is pushed off, when, and what stops the line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyModbusTCP.client import ModbusClient

from station.codes import ErrorCode, ReasonCode
from station.control import request
from station.records.ejections import Ejection, ejections
from station.records.events import events
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


def test_bad_part_is_pushed_in_time_and_good_part_is_not(bench: Bench) -> None:
    bench.part(good())
    triggered_ns = bench.scene.exposure().trigger_ns
    wait_for(lambda: time.monotonic_ns() > triggered_ns + 2 * WINDOW_MS * 1e6, "the next part to be far enough")
    failed = bench.part(bad())
    assert not failed.passed
    triggered_ns = bench.scene.exposure().trigger_ns
    wait_for(lambda: bench.scene.output("Line2").changes == 2, "one pulse")
    wait_for(lambda: bool(recorded(bench)), "the record of the ejection")
    [ejection] = recorded(bench)
    assert (ejection.ejector, ejection.reason, ejection.confirmed) == (1, ReasonCode.SCORE_ABOVE_LIMIT, None)
    assert ejection.unit == "ms"
    assert 0 <= ejection.error <= WINDOW_MS
    assert bench.scene.output("Line2").changed_ns - triggered_ns >= 1.5e9, "the end of the pulse, behind the distance"
    assert register(bench, COUNT_EJECTED + 1) == 1
    assert not status_bit(bench, LINE_STOP)


def test_parts_closer_than_the_window_are_both_pushed(bench: Bench) -> None:
    """Two good parts; the edge of the second one is stamped with a time within the window of the first one."""
    request(bench.directory / "work" / "control.sock", {"command": "offline"})
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    bench.scene.show(good(), 1)
    first_ns = time.monotonic_ns()
    bench.scene.pulse_line1(first_ns)
    wait_for(lambda: bench.scene.exposure().exposures == 1, "the exposure")
    second_ns = first_ns + round(WINDOW_MS * 1e6) // 2
    wait_for(lambda: time.monotonic_ns() > second_ns, "the second part")
    bench.scene.pulse_line1(second_ns)
    wait_for(lambda: register(bench, COUNT_EJECTED + 1) == 2, "both to be pushed")
    with open_reader(bench.directory / "work" / "records") as connection:
        wait_for(lambda: any(event.kind == "parts_too_close" for event in events(connection)), "the event")


def test_missed_part_is_pushed_too(bench: Bench) -> None:
    request(bench.directory / "work" / "control.sock", {"command": "offline"})
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    bench.scene.show(good(), 5)
    bench.scene.pulse_line1()
    wait_for(lambda: register(bench, COUNT_EJECTED + 1) == 1, "the missed part to be pushed")
    wait_for(lambda: bool(recorded(bench)), "the record")
    assert recorded(bench)[0].reason is ReasonCode.NOT_READY
    assert not status_bit(bench, LINE_STOP)


def test_lost_camera_stops_the_line_and_its_ejector_cannot_be_trusted(bench: Bench) -> None:
    bench.scene.lose_device()
    wait_for(lambda: status_bit(bench, LINE_STOP), "LineStop")
    bench.scene.restore_device()
    wait_for(lambda: not status_bit(bench, LINE_STOP), "LineStop to fall")
    bench.part(bad())
    bench.scene.lose_device()  # the part is on the belt, its ejector hangs on this camera
    wait_for(lambda: register(bench, ERROR_CODE) == ErrorCode.EJECTOR_FAILED, "the fault")
    bench.scene.restore_device()
    wait_for(lambda: bench.status()["camera"] == "streaming", "the camera")
    assert status_bit(bench, LINE_STOP), "until a person has looked"
    request(bench.directory / "work" / "control.sock", {"command": "clear"})
    wait_for(lambda: not status_bit(bench, LINE_STOP), "LineStop to fall")


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


def test_lost_frame_leaves_a_part_without_a_place_and_stops_the_line(bench: Bench) -> None:
    bench.scene.fail_dropped(1)
    lost = bench.send(good())
    assert not bench.result(lost).passed
    wait_for(lambda: status_bit(bench, LINE_STOP), "LineStop")
    assert register(bench, ERROR_CODE) == ErrorCode.PART_NOT_PLACED
    with open_reader(bench.directory / "work" / "records") as connection:
        wait_for(lambda: any(event.kind == "fault" for event in events(connection)), "the event")
        [fault] = [event for event in events(connection) if event.kind == "fault"]
    assert str(lost) in fault.detail


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
