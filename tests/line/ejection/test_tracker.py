"""The tracker, case by case: confirmations, bins, parts that nobody finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from station.codes import ErrorCode, ReasonCode
from station.line.ejection.messages import (
    Ejected,
    LetThrough,
    LostTrack,
    PartMissed,
    PartOpened,
    Push,
    Release,
    Report,
    StopLine,
    TrackingSettings,
)
from station.results import Verdict
from tests.line.ejection.tracker_bench import EJECTOR, FAIL, MS, PASS, Line


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
