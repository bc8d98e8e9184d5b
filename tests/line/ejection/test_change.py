"""Other settings for a running ejection stage: when the belt is empty, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import pytest

from drivers.plc.protocol import PlcInputs
from station.codes import ErrorCode, ReasonCode
from station.line.ejection import change as tracking_change
from station.line.ejection.belt import Belt, ClockBelt, EncoderBelt
from station.line.ejection.change import BeltNotEmpty, change_tracking, change_tracking_back
from station.line.ejection.messages import ControlWritten, Ejector, PartClosed, PartOpened, TrackingSettings
from station.line.ejection.stage import EjectionPorts, EjectionStage
from station.line.ejection.tracker import Tracker
from station.records.ejections import Ejection
from station.results import Verdict
from tests.bench.waiting import wait_for

MS = 1_000_000
FOREVER_S = 1e9
FAIL = (Verdict.FAIL, ReasonCode.SCORE_ABOVE_LIMIT)


def settings(distance: float, *, pulse_ns: int = 5 * MS) -> TrackingSettings:
    """The window is wide enough that a thread that runs late still pushes its part."""
    return TrackingSettings(100 * distance, (Ejector(distance, pulse_ns=pulse_ns),))


class Running:
    """An ejection stage on its thread, and what it says."""

    def __init__(self, tracked: TrackingSettings, encoder: EncoderBelt | None) -> None:
        self.ejections: list[Ejection] = []
        self.faults: list[ErrorCode] = []
        self.levels: list[bool] = []
        belt: Belt = ClockBelt() if encoder is None else encoder
        ports = EjectionPorts(
            show=lambda _pushing, _count: None,
            set_output=lambda _number, on: self.levels.append(on),
            record=self.ejections.append,
            event=lambda _kind, _level, _detail: None,
            fault=lambda code, _detail: self.faults.append(code),
            on_belt=lambda _parts: None,
        )
        source: Literal["plc", "time"] = "plc" if encoder is not None else "time"
        self.stage = EjectionStage(Tracker(tracked, belt), ports, encoder=encoder, encoder_from=source)
        self.stage.start()

    def plc_writes(self, inputs: PlcInputs) -> None:
        self.stage.post(ControlWritten(inputs, time.monotonic_ns()))

    def bad_part(self, acquisition_id: int) -> int:
        """Its trigger is now."""
        now = time.monotonic_ns()
        self.stage.post(PartOpened(acquisition_id, acquisition_id, now))
        self.stage.post(PartClosed(acquisition_id, *FAIL))
        return now


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def running(tracked: TrackingSettings, encoder: EncoderBelt | None = None) -> Running:
        started.append(Running(tracked, encoder))
        return started[-1]

    yield running
    for one in started:
        one.stage.stop(0.0)


def test_change_waits_for_the_part_on_the_belt(run: Callable[..., Running]) -> None:
    far, near = settings(600 * MS), settings(200 * MS)
    running = run(far)
    triggered_ns = running.bad_part(1)
    change_tracking(running.stage, near, FOREVER_S)
    assert running.stage.change(near) is None, "active"
    assert time.monotonic_ns() - triggered_ns >= 605 * MS, "the part and its pulse, with the old distance"
    assert [ejection.acquisition_id for ejection in running.ejections] == [1]
    running.bad_part(2)
    wait_for(lambda: len(running.ejections) == 2, "the second part")
    assert not running.faults


def test_parts_that_do_not_end_are_not_waited_for(run: Callable[..., Running]) -> None:
    far = settings(3000 * MS)
    running = run(far)
    running.bad_part(1)
    with pytest.raises(BeltNotEmpty, match="a part is still between camera and ejector: stop feeding"):
        change_tracking(running.stage, settings(200 * MS), time.monotonic() + 0.2)
    wait_for(lambda: len(running.ejections) == 1, "the part, as if nothing had been asked")
    assert abs(running.ejections[0].error) < 1000
    assert not running.faults


def standing_belt(run: Callable[..., Running]) -> Running:
    """A part is between camera and ejector; the encoder shows 100 for ever."""
    running = run(settings(500.0), EncoderBelt(500.0))
    running.plc_writes(PlcInputs(encoder_now=100))
    running.bad_part(1)
    return running


def test_a_belt_that_stands_is_said_to_stand(run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_change, "STANDS_S", 0.3)
    running = standing_belt(run)
    with pytest.raises(BeltNotEmpty, match="a part is between camera and ejector and the belt stands: run it empty"):
        change_tracking(running.stage, settings(300.0), FOREVER_S)
    change_tracking_back(running.stage, settings(500.0))  # undoes what was never done: the part stays where it is
    assert running.stage.change(settings(500.0)) is None
    assert not running.faults


def test_going_back_with_a_part_on_a_standing_belt_stops_the_line(
    run: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_change, "STANDS_S", 0.3)
    running = standing_belt(run)
    change_tracking_back(running.stage, settings(300.0))
    wait_for(lambda: running.faults == [ErrorCode.PART_NOT_PLACED], "the fault")
    assert running.stage.change(settings(300.0)) is None, "active"


def test_a_push_that_is_not_confirmed_yet_is_waited_for(run: Callable[..., Running]) -> None:
    tracked = settings(100 * MS)
    tracked = replace(tracked, ejectors=(replace(tracked.ejectors[0], confirm_ns=600_000 * MS),))
    running = run(tracked)
    running.bad_part(1)
    wait_for(lambda: running.levels == [True, False], "the push and its end")
    with pytest.raises(BeltNotEmpty, match="not confirmed yet"):
        change_tracking(running.stage, settings(200 * MS), time.monotonic())
    running.plc_writes(PlcInputs(reject_confirmed=True))
    change_tracking(running.stage, settings(200 * MS), FOREVER_S)
    assert [ejection.confirmed for ejection in running.ejections] == [True]


def test_the_step_that_voids_positions_follows_the_distance(run: Callable[..., Running]) -> None:
    running = run(settings(500.0), EncoderBelt(500.0))
    change_tracking(running.stage, settings(5000.0), FOREVER_S)
    running.plc_writes(PlcInputs(encoder_now=100))
    running.bad_part(1)
    running.plc_writes(PlcInputs(encoder_now=1100))  # a jump to the old settings
    wait_for(lambda: running.stage.change(settings(9000.0)) is not None, "the part, still there")
    assert not running.faults
    running.plc_writes(PlcInputs(encoder_now=7000))
    wait_for(lambda: running.faults == [ErrorCode.ENCODER_FAILED], "the fault")


def test_when_the_bin_has_confirmed_is_on_record(run: Callable[..., Running]) -> None:
    running = run(TrackingSettings(60_000 * MS, (Ejector(10 * MS, pulse_ns=5 * MS, confirm_ns=60_000 * MS),)))
    running.plc_writes(PlcInputs())
    running.bad_part(1)
    wait_for(lambda: True in running.levels, "the pulse")
    time.sleep(0.05)
    running.plc_writes(PlcInputs(reject_confirmed=True))
    wait_for(lambda: bool(running.ejections), "the confirmation")
    (pushed,) = running.ejections
    assert pushed.confirmed
    assert pushed.confirmed_ms is not None
    assert 50 <= pushed.confirmed_ms < 60_000
