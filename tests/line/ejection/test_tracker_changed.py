"""The tracker under other settings, and the part sensor in front of the ejectors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from station.codes import ErrorCode
from station.line.ejection.messages import (
    LetThrough,
    LostTrack,
    PartMissed,
    Release,
    StopLine,
    TrackingSettings,
)
from tests.line.ejection.tracker_bench import EJECTOR, FAIL, PASS, SENSOR, SETTINGS, Line

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
