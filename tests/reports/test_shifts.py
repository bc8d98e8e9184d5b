"""Shifts leave no gap and never overlap, whatever the clock on the wall does; what people write becomes a moment."""

from __future__ import annotations

import itertools
import time as clock_of_system
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.reports.shifts import Calendar, Shift, TimeError

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "America/Havana",  # at midnight
    "America/Sao_Paulo",  # skipped midnight
    "Pacific/Apia",  # skipped a day
    "Asia/Kathmandu",
    "Africa/Casablanca",  # the other way round
)
THREE = (("early", time(6)), ("late", time(14)), ("night", time(22)))
BERLIN = Calendar(ZoneInfo("Europe/Berlin"), THREE)

times_of_day = st.builds(time, st.integers(0, 23), st.integers(0, 59))
starts = st.lists(times_of_day, min_size=1, max_size=5, unique=True).map(
    lambda found: tuple((f"shift{number}", at) for number, at in enumerate(found))
)
calendars = st.builds(Calendar, st.sampled_from(ZONES).map(ZoneInfo), starts)
moments = st.integers(1_100_000_000, 2_100_000_000)
clocks = st.datetimes(datetime(2005, 1, 1), datetime(2036, 1, 1)).map(lambda shown: shown.replace(microsecond=0))


def shown(calendar: Calendar, moment: float) -> datetime:
    return calendar.local(moment).replace(tzinfo=None)


def near_changes(zone: str) -> list[int]:
    """Moments around which the clock of this zone changes."""
    offsets = [
        (hour, datetime.fromtimestamp(hour, ZoneInfo(zone)).utcoffset())
        for hour in range(1_300_000_000 // 3600 * 3600, 1_400_000_000, 3600)
    ]
    return [hour for (_, before), (hour, after) in itertools.pairwise(offsets) if before != after]


CHANGES = [moment for zone in ZONES for moment in near_changes(zone)]
any_moment = st.one_of(
    moments, st.builds(lambda at, by: at + by, st.sampled_from(CHANGES), st.integers(-90_000, 90_000))
)


@given(calendars, any_moment)
def test_every_moment_is_in_one_shift_and_shifts_follow_each_other(calendar: Calendar, moment: int) -> None:
    shift = calendar.shift_at(moment)
    assert shift.start <= moment < shift.end
    assert calendar.shift_at(shift.start) == shift
    assert calendar.shift_at(shift.end - 1) == shift
    assert calendar.shift_at(shift.end).start == shift.end
    assert calendar.find(f"{shift.name}@{shift.day}", moment) == shift


@given(calendars, any_moment, any_moment)
def test_moments_do_not_run_backwards(calendar: Calendar, one: int, other: int) -> None:
    earlier, later = sorted((shown(calendar, one), shown(calendar, other)))
    assert calendar.first(earlier) <= calendar.first(later)


@given(calendars, any_moment)
def test_a_time_is_the_first_moment_that_shows_it(calendar: Calendar, moment: int) -> None:
    clock = shown(calendar, moment)
    first = calendar.first(clock)
    assert first <= moment
    assert shown(calendar, first) == clock
    assert shown(calendar, first - 1) < clock


@given(calendars, clocks)
def test_a_time_that_the_clock_skips_is_the_end_of_the_skip(calendar: Calendar, clock: datetime) -> None:
    first = calendar.first(clock)
    assert shown(calendar, first - 1) < clock <= shown(calendar, first)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-27", 8), ("2026-03-28", 7), ("2026-10-23", 8), ("2026-10-24", 9), ("2026-12-31", 8)]
)
def test_a_night_is_as_long_as_it_was(day: str, hours: int) -> None:
    night = BERLIN.find(f"night@{day}", 0)
    assert night.end - night.start == hours * 3600
    assert (f"{BERLIN.local(night.start):%H:%M}", f"{BERLIN.local(night.end):%H:%M}") == ("22:00", "06:00")
    assert BERLIN.shift_at(night.end - 1) == night, "past midnight it is the shift of the day before"


def test_a_shift_that_would_begin_in_the_skipped_hour_begins_with_the_skip() -> None:
    calendar = Calendar(ZoneInfo("Europe/Berlin"), (("a", time(2, 30)), ("b", time(12))))
    assert f"{calendar.local(calendar.find('a@2026-03-29', 0).start):%H:%M}" == "03:00"
    twice = calendar.find("a@2026-10-25", 0)
    assert f"{calendar.local(twice.start):%H:%M %z}" == "02:30 +0200"
    assert twice.end - twice.start == 10.5 * 3600


def test_a_shift_between_two_skipped_times_did_not_happen() -> None:
    calendar = Calendar(ZoneInfo("Europe/Berlin"), (("a", time(2, 10)), ("b", time(2, 40))))
    assert calendar.find("b@2026-03-29", 0).start == calendar.first(datetime(2026, 3, 29, 3))
    with pytest.raises(TimeError, match="there was no shift a on 2026-03-29"):
        calendar.find("a@2026-03-29", 0)


NOW = BERLIN.first(datetime(2026, 11, 29, 15, 30))


@pytest.mark.parametrize(
    ("text", "shift"),
    [
        ("now", "late 2026-11-29"),
        ("last", "early 2026-11-29"),
        ("late", "late 2026-11-29"),
        ("night", "night 2026-11-28"),
        ("night@2026-11-29", "night 2026-11-29"),
    ],
)
def test_a_shift_is_named_as_people_do(text: str, shift: str) -> None:
    assert str(BERLIN.find(text, NOW)) == shift


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("06:00", "2026-11-29 06:00:00+0100"),
        ("6:00", "2026-11-29 06:00:00+0100"),
        ("2026-07-01", "2026-07-01 00:00:00+0200"),
        ("2026-07-01 06:30", "2026-07-01 06:30:00+0200"),
        ("2026-07-01T06:30:10", "2026-07-01 06:30:10+0200"),
        ("2026-10-25 02:30", "2026-10-25 02:30:00+0200"),
        ("2026-10-25T02:30+01:00", "2026-10-25 02:30:00+0100"),
        ("2026-07-01T04:30:00Z", "2026-07-01 06:30:00+0200"),
        ("90min", "2026-11-29 14:00:00+0100"),
        ("8h", "2026-11-29 07:30:00+0100"),
        ("7d", "2026-11-22 15:30:00+0100"),
    ],
)
def test_a_time_is_written_as_people_do(text: str, moment: str) -> None:
    assert f"{BERLIN.local(BERLIN.moment(text, NOW)):%Y-%m-%d %H:%M:%S%z}" == moment


def test_a_day_ends_at_its_midnight() -> None:
    ends = BERLIN.moment("2026-03-29", NOW, is_end=True) - BERLIN.moment("2026-03-29", NOW)
    assert ends == 23 * 3600


@pytest.mark.parametrize(
    "text", ["", "yesterday", "25:00", "6", "2026-13-01", "0001-01-01", "9999-12-31", "9" * 30, "8 h", "06:00\n", "-1h"]
)
def test_what_is_no_time_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(TimeError, match="is no time; allowed: as 06:00"):
        BERLIN.moment(text, NOW)


@pytest.mark.parametrize("text", ["", "noon", "early@", "early@today", "early@0001-01-01", "@2026-01-01"])
def test_what_is_no_shift_is_refused(text: str) -> None:
    if text == "early@":  # a name with nothing behind it is the name
        assert BERLIN.find(text, NOW).name == "early"
        return
    with pytest.raises(TimeError, match=r"no shift|is no date"):
        BERLIN.find(text, NOW)


@pytest.fixture
def lord_howe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Australia/Lord_Howe")
        clock_of_system.tzset()
        yield
    clock_of_system.tzset()


@pytest.mark.usefixtures("lord_howe")
def test_without_a_zone_it_is_that_of_the_computer() -> None:
    ours, named = Calendar(None, THREE), Calendar(ZoneInfo("Australia/Lord_Howe"), THREE)
    for change in near_changes("Australia/Lord_Howe"):
        for minutes in range(-600, 600, 7):
            moment = change + 60 * minutes
            assert ours.local(moment).isoformat() == named.local(moment).isoformat()
            assert ours.shift_at(moment) == named.shift_at(moment)
            clock = shown(named, moment) + timedelta(minutes=1)
            assert ours.first(clock) == named.first(clock)


def test_without_shifts_a_day_is_one() -> None:
    calendar = Calendar(ZoneInfo("America/New_York"))
    day = calendar.shift_at(calendar.first(datetime(2026, 11, 1, 12)))
    assert isinstance(day, Shift)
    assert (str(day), day.end - day.start) == ("day 2026-11-01", 25 * 3600)
