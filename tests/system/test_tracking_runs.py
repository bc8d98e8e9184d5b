"""The whole station with tracking of its own: who is pushed off, when, and what stops the line."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from station.codes import ErrorCode, ReasonCode
from station.control import request
from station.records.events import EventRow, events
from station.records.schema import open_reader
from tests.bench.bench import Bench, bad, good
from tests.bench.waiting import wait_for
from tests.system.test_station_tracking import (
    BY_TIME,
    COUNT_EJECTED,
    ERROR_CODE,
    LINE_STOP,
    WINDOW_MS,
    recorded,
    register,
    status_bit,
)


@pytest.fixture(scope="module")
def one_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("station")) as bench:
        bench.config_path.write_text(bench.config_path.read_text() + BY_TIME)
        yield bench


@pytest.fixture
def bench(one_station: Bench) -> Bench:
    """The station of this file: every test leaves it on line, and no part on its belt."""
    one_station.reset()
    return one_station


def ask(bench: Bench, command: str) -> None:
    request(bench.directory / "work" / "control.sock", {"command": command})


def pushed(bench: Bench) -> int:
    """Parts since the station was started, as the PLC reads it."""
    return register(bench, COUNT_EJECTED + 1)


def on_record(bench: Bench) -> list[EventRow]:
    with open_reader(bench.directory / "work" / "records") as connection:
        return list(events(connection))


def test_bad_part_is_pushed_in_time_and_good_part_is_not(bench: Bench) -> None:
    before, count, pulses = len(recorded(bench)), pushed(bench), bench.scene.output("Line2").changes
    bench.part(good())
    triggered_ns = bench.scene.exposure().trigger_ns
    wait_for(lambda: time.monotonic_ns() > triggered_ns + 2 * WINDOW_MS * 1e6, "the next part to be far enough")
    failed = bench.part(bad())
    assert not failed.passed
    triggered_ns = bench.scene.exposure().trigger_ns
    wait_for(lambda: bench.scene.output("Line2").changes == pulses + 2, "one pulse")
    wait_for(lambda: len(recorded(bench)) > before, "the record of the ejection")
    [ejection] = recorded(bench)[before:]
    assert (ejection.ejector, ejection.reason, ejection.confirmed) == (1, ReasonCode.SCORE_ABOVE_LIMIT, None)
    assert ejection.unit == "ms"
    assert 0 <= ejection.error <= WINDOW_MS
    assert bench.scene.output("Line2").changed_ns - triggered_ns >= 1.5e9, "the end of the pulse, behind the distance"
    assert pushed(bench) == count + 1
    assert not status_bit(bench, LINE_STOP)


def test_parts_closer_than_the_window_are_both_pushed(bench: Bench) -> None:
    """Two good parts; the edge of the second one is stamped with a time within the window of the first one."""
    count, exposures = pushed(bench), bench.scene.exposure().exposures
    ask(bench, "offline")
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    bench.scene.show(good(), 1)
    first_ns = time.monotonic_ns()
    bench.scene.pulse_line1(first_ns)
    wait_for(lambda: bench.scene.exposure().exposures == exposures + 1, "the exposure")
    second_ns = first_ns + round(WINDOW_MS * 1e6) // 2
    wait_for(lambda: time.monotonic_ns() > second_ns, "the second part")
    bench.scene.pulse_line1(second_ns)
    wait_for(lambda: pushed(bench) == count + 2, "both to be pushed")
    wait_for(lambda: any(event.kind == "parts_too_close" for event in on_record(bench)), "the event")
    ask(bench, "online")


def test_missed_part_is_pushed_too(bench: Bench) -> None:
    before, count = len(recorded(bench)), pushed(bench)
    ask(bench, "offline")
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    bench.scene.show(good(), 5)
    bench.scene.pulse_line1()
    wait_for(lambda: pushed(bench) == count + 1, "the missed part to be pushed")
    wait_for(lambda: len(recorded(bench)) > before, "the record")
    assert recorded(bench)[before].reason is ReasonCode.NOT_READY
    assert not status_bit(bench, LINE_STOP)
    ask(bench, "online")


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
    ask(bench, "clear")
    wait_for(lambda: not status_bit(bench, LINE_STOP), "LineStop to fall")


def test_lost_frame_leaves_a_part_without_a_place_and_stops_the_line(bench: Bench) -> None:
    before = len(on_record(bench))
    bench.scene.fail_dropped(1)
    lost = bench.send(good())
    assert not bench.result(lost).passed
    wait_for(lambda: status_bit(bench, LINE_STOP), "LineStop")
    assert register(bench, ERROR_CODE) == ErrorCode.PART_NOT_PLACED
    wait_for(lambda: any(event.kind == "fault" for event in on_record(bench)[before:]), "the event")
    [fault] = [event for event in on_record(bench)[before:] if event.kind == "fault"]
    assert str(lost) in fault.detail
    ask(bench, "clear")
