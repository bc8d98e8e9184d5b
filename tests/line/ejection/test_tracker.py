"""The tracker, case by case: confirmations, sensors, bins, parts that nobody finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from station.codes import ErrorCode, ReasonCode
from station.line.ejection.messages import (
    Ejected,
    Ejector,
    LetThrough,
    LostTrack,
    PartClosed,
    PartMissed,
    PartOpened,
    Push,
    Release,
    Report,
    StopLine,
    TrackingEvent,
    TrackingSettings,
)
from station.line.ejection.tracker import Tracker
from station.results import Verdict
from tests.bench.belts import KnownBelt

MS = 1_000_000
EJECTOR = Ejector(distance=1000.0, pulse=100.0, confirm_ns=80 * MS)
SETTINGS = TrackingSettings(window=200.0, ejectors=(EJECTOR,))
FAIL = (Verdict.FAIL, ReasonCode.SCORE_ABOVE_LIMIT)
PASS = (Verdict.PASS, ReasonCode.NONE)


class Line:
    """A tracker on a belt of 1000 counts/s: 1 count is 1 ms."""

    def __init__(self, settings: TrackingSettings = SETTINGS) -> None:
        self.now_ms = 0.0
        self.belt = KnownBelt()
        self.belt.run(1000)
        self.tracker = Tracker(settings, self.belt)
        self.events: list[TrackingEvent] = []

    @property
    def now(self) -> int:
        return round(self.now_ms * MS)

    def part(self, acquisition_id: int, decision: tuple[Verdict, ReasonCode] | None = None) -> None:
        """A part comes to the camera now."""
        self.take(self.tracker.part_opened(PartOpened(acquisition_id, 100 + acquisition_id, self.now), self.now))
        if decision is not None:
            self.close(acquisition_id, *decision)

    def close(self, acquisition_id: int, verdict: Verdict, reason: ReasonCode) -> None:
        self.take(self.tracker.part_closed(PartClosed(acquisition_id, verdict, reason)))

    def take(self, events: list[TrackingEvent]) -> None:
        self.events += events

    def run_to(self, ms: float) -> None:
        while self.now_ms < ms:
            self.now_ms = min(self.now_ms + 1, ms)
            self.take(self.tracker.advance(self.now))

    def of(self, kind: type[TrackingEvent]) -> list[TrackingEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def stops(self) -> list[ErrorCode]:
        return [event.code for event in self.events if isinstance(event, StopLine)]

    @property
    def pushed(self) -> list[int]:
        return [event.acquisition_id for event in self.events if isinstance(event, Push)]


def test_reject_is_pushed_released_and_confirmed() -> None:
    line = Line()
    line.part(1, FAIL)
    line.run_to(999)
    assert not line.events
    line.run_to(1000)
    assert line.events == [Push(1, 1, 101, 0.0)]
    line.run_to(1050)
    line.take(line.tracker.confirmed(1))
    line.run_to(1300)
    assert line.events[1:] == [
        Ejected(1, 101, 1, 1000 * MS, 0.0, ReasonCode.SCORE_ABOVE_LIMIT, True),
        Release(1),
    ]
    assert line.tracker.is_idle


def test_pass_goes_through() -> None:
    line = Line()
    line.part(1, PASS)
    line.run_to(1100)
    assert line.events == [LetThrough(1)]


def test_no_verdict_is_pushed_and_the_late_one_reported() -> None:
    line = Line(TrackingSettings(200.0, (replace(EJECTOR, confirm_ns=None),)))
    line.part(1)
    line.run_to(1000)
    assert isinstance(line.events[1], Ejected)
    assert line.events[1].reason is ReasonCode.NO_VERDICT
    line.close(1, *PASS)
    line.close(1, *PASS)
    assert [event.kind for event in line.events if isinstance(event, Report)] == ["verdict_too_late"]


def test_withdrawn_pass_is_pushed_and_a_reject_keeps_its_reason() -> None:
    line = Line(TrackingSettings(200.0, (replace(EJECTOR, confirm_ns=None),)))
    line.part(1, PASS)
    line.run_to(500)
    line.part(2, FAIL)
    for acquisition_id in (1, 2):
        line.close(acquisition_id, Verdict.ERROR, ReasonCode.OFFLINE)
    line.run_to(2000)
    assert [event.reason for event in line.events if isinstance(event, Ejected)] == [
        ReasonCode.OFFLINE,
        ReasonCode.SCORE_ABOVE_LIMIT,
    ]


def test_missed_part_is_pushed() -> None:
    line = Line()
    line.take(line.tracker.part_missed(PartMissed(7, line.now), line.now))
    line.run_to(1000)
    assert line.events == [Push(1, 0, 7, 0.0)]


def test_reject_not_confirmed_stops_the_line_and_names_the_part() -> None:
    line = Line()
    line.part(1, FAIL)
    line.run_to(1079)
    assert not line.stops
    line.run_to(1080)
    assert line.stops == [ErrorCode.REJECT_NOT_CONFIRMED]
    stop = line.of(StopLine)[0]
    assert isinstance(stop, StopLine)
    assert "part 101" in stop.detail
    assert "acquisition 1" in stop.detail
    assert [event.confirmed for event in line.events if isinstance(event, Ejected)] == [False]


def test_confirmation_without_a_reject_stops_the_line() -> None:
    line = Line()
    line.part(1, PASS)
    line.run_to(1000)
    line.take(line.tracker.confirmed(1))
    assert line.stops == [ErrorCode.UNEXPECTED_PART]


@pytest.mark.parametrize("ejector", [2, 4])
def test_confirmation_of_an_ejector_that_is_not_there_means_nothing(ejector: int) -> None:
    line = Line()
    assert line.tracker.confirmed(ejector) == []


def test_close_parts_are_both_pushed_and_it_is_said() -> None:
    line = Line(TrackingSettings(200.0, (replace(EJECTOR, confirm_ns=None),)))
    line.part(1, PASS)
    line.run_to(199)
    line.part(2, PASS)
    line.run_to(399)
    line.part(3, PASS)  # 200 behind: far enough
    line.run_to(2000)
    assert line.pushed == [1, 2]
    assert [event.reason for event in line.events if isinstance(event, Ejected)] == [ReasonCode.PARTS_TOO_CLOSE] * 2
    report = line.of(Report)[0]
    assert isinstance(report, Report)
    assert "part 101" in report.detail
    assert "part 102" in report.detail
    assert line.of(LetThrough) == [LetThrough(3)]


def test_pulses_of_close_parts_run_into_each_other() -> None:
    line = Line()
    line.part(1, FAIL)
    line.run_to(60)
    line.part(2, FAIL)
    line.run_to(2000)
    assert [type(event) for event in line.events if isinstance(event, Push | Release)] == [Push, Push, Release]


def test_three_parts_at_one_place_stop_the_line() -> None:
    line = Line()
    line.belt.run(0)  # the encoder does not move, and parts come
    for acquisition_id in (1, 2, 3):
        line.part(acquisition_id, PASS)
    assert line.stops == [ErrorCode.ENCODER_FAILED]


def test_part_without_a_place_stops_the_line() -> None:
    line = Line()
    line.take(line.tracker.part_opened(PartOpened(1, 101, None), line.now))
    assert line.events[0] == LostTrack(1, 101)
    assert line.stops == [ErrorCode.PART_NOT_PLACED]
    line.close(1, Verdict.ERROR, ReasonCode.NO_FRAME)
    assert len(line.events) == 2


def test_part_announced_behind_the_ejector_stops_the_line() -> None:
    line = Line()
    line.now_ms = 1500
    line.take(line.tracker.part_opened(PartOpened(1, 101, 0), line.now))
    assert line.stops == [ErrorCode.PART_PASSED_EJECTOR]


def test_ejector_that_is_woken_too_late_stops_the_line_and_hits_nobody() -> None:
    line = Line()
    line.part(1, FAIL)
    line.now_ms = 1201
    line.take(line.tracker.advance(line.now))
    assert not line.pushed
    assert line.stops == [ErrorCode.PART_PASSED_EJECTOR]


def test_ejector_that_is_woken_late_but_within_the_window_pushes_and_says_how_late() -> None:
    line = Line()
    line.part(1, FAIL)
    line.now_ms = 1150
    line.take(line.tracker.advance(line.now))
    assert line.events == [Push(1, 1, 101, 150.0)]


NEARER = TrackingSettings(200.0, (replace(EJECTOR, distance=600.0),))


def test_other_settings_are_for_parts_that_are_triggered_from_then_on() -> None:
    line = Line()
    line.part(1, FAIL)
    line.run_to(1400)
    assert line.tracker.is_idle
    assert line.tracker.change(NEARER, line.now) == []
    line.part(2, FAIL)
    line.run_to(1999)
    assert line.pushed == [1]
    line.run_to(2000)
    assert line.pushed == [1, 2]
    line.run_to(2400)
    line.take(line.tracker.change(SETTINGS, line.now))
    line.part(3, FAIL)
    line.run_to(3399)
    assert line.pushed == [1, 2]
    line.run_to(3400)
    assert line.pushed == [1, 2, 3]


def test_part_that_was_triggered_before_the_change_and_is_told_of_later_stops_the_line() -> None:
    """A frame may be on its way while the settings change. Nobody knows whose distance is right, so nobody guesses."""
    line = Line()
    line.now_ms = 500
    line.tracker.change(NEARER, line.now)
    line.take(line.tracker.part_missed(PartMissed(7, line.now - 1), line.now))
    assert line.stops == [ErrorCode.PART_NOT_PLACED]
    assert line.tracker.is_idle
    line.take(line.tracker.part_missed(PartMissed(8, line.now), line.now))
    line.run_to(1100)
    assert line.pushed == [0]


def test_parts_that_are_on_the_belt_at_a_change_are_lost_and_the_line_stops() -> None:
    line = Line()
    line.part(1, PASS)
    line.run_to(800)
    line.part(2, FAIL)
    line.run_to(900)
    line.take(line.tracker.change(NEARER, line.now))
    line.run_to(3000)
    assert line.events[0::2] == [LostTrack(1, 101), LostTrack(2, 102)]
    assert line.stops == [ErrorCode.PART_NOT_PLACED] * 2


def test_a_pulse_and_its_confirmation_outlast_a_change() -> None:
    line = Line()
    line.part(1, FAIL)
    line.run_to(1010)
    line.tracker.change(replace(NEARER, ejectors=(replace(EJECTOR, distance=600.0, confirm_ns=None),)), line.now)
    assert not line.tracker.is_idle
    line.run_to(1500)
    assert line.of(Release) == [Release(1)]
    assert line.stops == [ErrorCode.REJECT_NOT_CONFIRMED]


def test_the_number_of_ejectors_is_wired() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Line().tracker.change(TrackingSettings(200.0, (EJECTOR, EJECTOR)), 0)


SENSOR = TrackingSettings(200.0, (replace(EJECTOR, confirm_ns=None),), sensor=700.0)


def test_part_that_comes_to_the_sensor_is_as_expected() -> None:
    line = Line(SENSOR)
    line.part(1, PASS)
    line.run_to(850)
    line.take(line.tracker.part_at_sensor(line.now))
    line.run_to(2000)
    assert line.events == [LetThrough(1)]


def test_double_part_stops_the_line() -> None:
    line = Line(SENSOR)
    line.part(1, PASS)
    line.run_to(700)
    line.take(line.tracker.part_at_sensor(line.now))
    line.run_to(760)
    line.take(line.tracker.part_at_sensor(line.now))
    assert line.stops == [ErrorCode.DOUBLE_PART]


def test_lost_part_stops_the_line_is_named_and_pushed_all_the_same() -> None:
    line = Line(replace(SENSOR, ejectors=(EJECTOR,)))
    line.part(1, FAIL)
    line.run_to(899)
    assert not line.events
    line.run_to(2000)
    assert line.stops == [ErrorCode.LOST_PART], "no second stop: nobody waits for its confirmation"
    assert line.pushed == [1]


def test_full_bin_stops_the_line_until_it_is_empty() -> None:
    line = Line()
    line.take(line.tracker.bin_full(True))
    line.take(line.tracker.line_stop_cleared())
    assert line.stops == [ErrorCode.BIN_FULL] * 2
    line.take(line.tracker.bin_full(False))
    line.take(line.tracker.line_stop_cleared())
    assert line.stops == [ErrorCode.BIN_FULL] * 2


def test_clearing_settles_what_was_not_confirmed() -> None:
    line = Line()
    line.part(1, FAIL)
    line.run_to(1010)
    line.take(line.tracker.line_stop_cleared())
    line.run_to(3000)
    assert not line.stops
    assert [event.confirmed for event in line.events if isinstance(event, Ejected)] == [False]


def test_lost_positions_stop_the_line_for_every_part() -> None:
    line = Line()
    line.part(1, FAIL)
    line.run_to(300)
    line.part(2, PASS)
    line.take(line.tracker.positions_lost("the encoder jumped to 5"))
    assert line.stops == [ErrorCode.ENCODER_FAILED] * 2
    assert line.tracker.parts_on_belt == 0


def test_standing_belt_ends_a_pulse_of_counts() -> None:
    line = Line()
    line.part(1, FAIL)
    line.run_to(1010)
    line.take(line.tracker.confirmed(1))
    line.belt.move_to(line.now)
    line.belt.run(0)
    line.run_to(10_999)
    assert not line.of(Release)
    line.run_to(11_001)
    assert line.of(Release)


def test_its_repr_names_the_parts_on_the_belt_and_the_ejectors_that_are_on() -> None:
    line = Line()
    assert repr(line.tracker) == "<Tracker on the belt: none; ejectors on: none>"
    line.part(1, FAIL)
    assert repr(line.tracker) == "<Tracker on the belt: part 101 (acquisition 1) at 0; ejectors on: none>"
    line.run_to(1000)
    assert repr(line.tracker) == "<Tracker on the belt: none; ejectors on: 1>"


def test_a_part_that_is_off_the_belt_comes_back_by_no_second_message() -> None:
    line = Line()
    line.part(1, PASS)
    line.run_to(1100)
    line.part(1)
    assert line.tracker.is_idle
    assert line.events == [LetThrough(1)]


def test_only_a_part_that_was_pushed_without_a_verdict_has_a_late_one() -> None:
    """The reject that was pushed is withdrawn from the PLC afterwards: nothing of it came too late."""
    line = Line()
    line.part(1, FAIL)
    line.run_to(1000)
    line.close(1, Verdict.ERROR, ReasonCode.OFFLINE)
    assert line.pushed == [1]
    assert not line.of(Report)


def test_a_pulse_ends_where_the_next_part_may_lie() -> None:
    line = Line(TrackingSettings(200.0, (replace(EJECTOR, pulse=500.0),)))
    line.part(1, FAIL)
    line.run_to(1199)
    assert not line.of(Release)
    line.run_to(1200)
    assert line.of(Release) == [Release(1)]


def test_the_time_for_a_confirmation_begins_when_the_ejector_is_there() -> None:
    line = Line(TrackingSettings(200.0, (replace(EJECTOR, lead_ns=100 * MS),)))
    line.part(1, FAIL)
    line.run_to(1079)
    assert line.pushed == [1]
    assert not line.stops
    line.run_to(1080)
    assert line.stops == [ErrorCode.REJECT_NOT_CONFIRMED]


def test_the_sensor_sees_the_part_that_is_nearest_to_it() -> None:
    line = Line(SENSOR)
    line.part(1, PASS)
    line.run_to(220)
    line.part(2, PASS)
    line.run_to(850)  # within the window of both
    line.take(line.tracker.part_at_sensor(line.now))
    line.run_to(2000)
    (stop,) = line.of(StopLine)
    assert stop == StopLine(ErrorCode.LOST_PART, "part 101 (acquisition 1)")
