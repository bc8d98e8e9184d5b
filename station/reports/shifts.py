"""The clock on the wall of the station, and its shifts: to which one a moment belongs, what people mean by a time.

A moment is seconds since the epoch, as in the records. What a clock shows is a datetime without a zone. Twice a year
the two do not go together: a clock skips an hour, or shows one twice. One rule covers both: the moment of a time is the
first at which the clock shows at least that. So moments never run backwards while times go on, shifts leave no gap and
never overlap, and a night shift is an hour shorter or longer as it really was.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from station.configuration.model import StationSection

WHOLE_DAY = (("day", time(0)),)
Precision = Literal["min", "s", "ms"]
_PRECISIONS: dict[Precision, str] = {"min": "minutes", "s": "seconds", "ms": "milliseconds"}
_ROUNDED_S = 1e-6
"""A moment as text is rounded to a microsecond; so found again by its text."""
_AGO = re.compile(r"([0-9]{1,6})(min|h|d)")
_SECONDS = {"min": 60, "h": 3600, "d": 86400}
_YEARS = range(1971, 2200)
_TIMES = 'as 06:00, 2026-11-29, "2026-11-29 06:00", 2026-11-29T06:00+01:00, or 30min, 8h, 7d ago'
_WRITTEN = (
    r"(?P<day>\d{4}-\d\d-\d\d)?[ T]?(?P<minute>\d{1,2}:\d\d)?(:(?P<second>\d\d)(\.(?P<part>\d{3}|\d{6}))?)?"
    r"(Z|[+-]\d\d:\d\d)?"
)
_WRITTEN_AS = "as 06:00, 06:00:12, 2026-11-29, 2026-11-29T06:00:12, 2026-11-29T06:00:12.250+01:00"


class TimeError(ValueError):
    """What a person wrote is no time or no shift; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One shift of one day, from `start` until just before `end`."""

    name: str
    day: date
    """On which it begins."""
    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.name} {self.day}"


class Calendar:
    """Time zone and shifts of a station."""

    def __init__(self, zone: ZoneInfo | None = None, starts: Sequence[tuple[str, time]] = WHOLE_DAY) -> None:
        """`zone` None: that of this computer. `starts`: name and start of each shift, all different."""
        self._zone = zone
        self._starts = sorted(starts, key=lambda entry: entry[1])
        self._last: Shift | None = None
        """The newest that was asked for; of any thread."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the shifts, in the order of the day."""
        return tuple(name for name, _ in self._starts)

    @property
    def begins_at_quarters(self) -> bool:
        """Every shift begins at a whole quarter of an hour."""
        return all(at.minute % 15 == 0 and not at.second for _, at in self._starts)

    def local(self, moment: float) -> datetime:
        """What the clock shows, with its distance from UTC."""
        if self._zone is not None:
            return datetime.fromtimestamp(moment, self._zone)
        return datetime.fromtimestamp(moment).astimezone()

    def in_words(self, moment: float | None, to: Precision = "s") -> str:
        """The moment for people, in a sentence: `2026-11-29 06:00:00 +01:00`; empty without one.

        `to`: `min`, `s`, `ms`.
        """
        return "" if moment is None else f"{self.clock(moment, to)} {self.local(moment).isoformat()[-6:]}"

    def clock(self, moment: float | None, to: Precision = "s") -> str:
        """The same without the distance from UTC, for tables and pictures, which have little room. Twice a year it is
        the same for two moments.
        """
        if moment is None:
            return ""
        return self.local(moment).replace(tzinfo=None).isoformat(" ", _PRECISIONS[to])

    def stamp(self, moment: float) -> str:
        """The moment in the name of a file: `20261129T060000+0100`."""
        return f"{self.local(moment):%Y%m%dT%H%M%S%z}"

    def hour(self, moment: float) -> str:
        """The hour in which the moment lies: `2026-11-29 06:00 +01:00`. One that the clock shows twice is two."""
        hour = self.local(moment).replace(minute=0, second=0, microsecond=0).isoformat(" ", "minutes")
        return f"{hour[:-6]} {hour[-6:]}"

    def iso(self, moment: float) -> str:
        """The moment for scripts: ISO 8601 with the distance from UTC, to the ms."""
        return self.local(moment).isoformat(timespec="milliseconds")

    def of_text(self, text: str, to: Precision = "s") -> str:
        """A moment that was written as ISO 8601 with its zone, as `clock` shows it; any other text as it stands."""
        moment = _moment_of(text)
        return text if moment is None else self.clock(moment, to)

    def iso_of_text(self, text: str) -> str:
        """As `of_text`, for scripts."""
        moment = _moment_of(text)
        return text if moment is None else self.iso(moment)

    def first(self, clock: datetime) -> float:
        """The first moment at which the clock shows at least `clock`."""
        moment = self._moment(clock, fold=0)
        if self._shown(moment) == clock:
            return moment
        before, after = math.floor(self._moment(clock, fold=1)), math.ceil(moment)
        while after - before > 1:  # the clock skips `clock`, at a whole second between these two
            middle = (before + after) // 2
            before, after = (before, middle) if self._shown(middle) >= clock else (middle, after)
        return float(after)

    def shift_at(self, moment: float) -> Shift:
        """The shift that this moment belongs to."""
        last = self._last
        if last is not None and last.start <= moment < last.end:
            return last  # whoever asks for thousands of parts asks for one shift after the other
        today = self._shown(moment).date()
        days = [today + timedelta(days=number) for number in range(-2, 3)]
        begun = [(self.first(datetime.combine(day, at)), name, day) for day in days for name, at in self._starts]
        place = bisect_right([start for start, _, _ in begun], moment)
        start, name, day = begun[place - 1]
        found = self._last = Shift(name, day, start, begun[place][0])
        return found

    def find(self, text: str, now: float) -> Shift:
        """The shift that a person means: `now`, `last`, NAME (the newest that has begun) or NAME@2026-11-29.

        Raises TimeError.
        """
        shift = self.shift_at(now)
        if text == "now":
            return shift
        if text == "last":
            return self.shift_at(shift.start - 1)
        name, _, day = text.partition("@")
        if name not in self.names:
            raise TimeError(f'no shift "{text}"; there are: now, last, {", ".join(self.names)}, each also with @DATE')
        if day:
            return self._of_day(name, day)
        while shift.name != name:
            shift = self.shift_at(shift.start - 1)
        return shift

    def moment(self, text: str, now: float, *, is_end: bool = False) -> float:
        """The moment that a person means by a time. A day alone begins at its midnight, as an end it ends there.

        Raises TimeError.
        """
        try:
            if ago := _AGO.fullmatch(text):
                return now - int(ago[1]) * _SECONDS[ago[2]]
            if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", text):
                clock = datetime.combine(self._shown(now).date(), time.fromisoformat(text.zfill(5)))
            elif re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
                clock = datetime.fromisoformat(text) + timedelta(days=int(is_end))
            else:
                clock = datetime.fromisoformat(text.replace("Z", "+00:00"))
            if clock.year not in _YEARS:
                raise ValueError
            return self.first(clock) if clock.tzinfo is None else clock.timestamp()
        except (ValueError, OverflowError) as problem:
            raise TimeError(f'"{text}" is no time; allowed: {_TIMES}') from problem

    def span(self, text: str, now: float) -> tuple[float, float]:
        """From when to just before when a person means by a time: the day, minute, second or ms that is written.

        Raises TimeError; also for a time that lies some hours ago: it names none.
        """
        written = re.fullmatch(_WRITTEN, text.strip())
        if written is None:
            raise TimeError(f'"{text}" names no minute and no second; allowed: {_WRITTEN_AS}')
        start = self.moment(text.strip(), now)
        if not written["minute"]:
            return start, self.moment(text.strip(), now, is_end=True)  # a whole day
        digits = len(written["part"] or "")
        lasts_s = 10.0**-digits if digits else 1.0 if written["second"] else 60.0
        return start - _ROUNDED_S, start + lasts_s - _ROUNDED_S

    def _of_day(self, name: str, day: str) -> Shift:
        try:
            wanted = date.fromisoformat(day)
            if wanted.year not in _YEARS:
                raise ValueError
        except ValueError as problem:
            raise TimeError(f'"{day}" is no date; allowed: as 2026-11-29') from problem
        shift = self.shift_at(self.first(datetime.combine(wanted, dict(self._starts)[name])))
        if (shift.name, shift.day) != (name, wanted):
            raise TimeError(f"there was no shift {name} on {day}: the clock skipped it")
        return shift

    def _shown(self, moment: float) -> datetime:
        return self.local(moment).replace(tzinfo=None, fold=0)

    def _moment(self, clock: datetime, fold: int) -> float:
        """The moment of a time that the clock shows once; of one that it shows twice the first or the second."""
        return clock.replace(tzinfo=self._zone, fold=fold).timestamp()


def calendar_of(station: StationSection) -> Calendar:
    """Clock and shifts of a configuration."""
    zone = None if station.time_zone is None else ZoneInfo(station.time_zone)
    return Calendar(zone, [(one.name, time.fromisoformat(one.start)) for one in station.shifts] or WHOLE_DAY)


def _moment_of(text: str) -> float | None:
    """None: no time with its zone."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return None if found.tzinfo is None else found.timestamp()
    except (ValueError, OverflowError):
        return None
