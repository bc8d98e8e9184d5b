"""Shifts and time zone of a station: `[station] time_zone` and `[[station.shifts]]`. They concern reports alone."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from station.configuration.section import Section

RESERVED = ("now", "last")
"""Names that mean a shift by when it is, see `station.reports.shifts`."""


class ShiftSection(Section):
    """Lasts until the next one begins, over midnight, too. A shift belongs to the day on which it begins.

    `start` is what the clock on the wall shows. When the clock skips it, the shift begins with the skip; when the clock
    shows it twice, the first time. Without any shift a day is one, named `day`.
    """

    name: str = Field(pattern=r"^[\w-]{1,32}$", description="Letters of any language, digits, `_` and `-`.")
    start: str = Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description='Local time, as "06:00".')


def check_time_zone(name: str | None) -> str | None:
    """The name, if this computer knows the time zone. Raises ValueError."""
    if name is not None:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
            raise ValueError(
                f'no time zone "{name}" on this computer; names are as "Europe/Berlin" (timedatectl list-timezones), '
                "their files come with the package tzdata"
            ) from problem
    return name


def check_shifts(shifts: Sequence[ShiftSection]) -> None:
    """Raises ValueError when two shifts have the same name or the same start, or one a name that means another."""
    for what, values in (("name", [one.name for one in shifts]), ("start", [one.start for one in shifts])):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f'[[station.shifts]] {what} = "{twice[0]}" stands there twice')
    reserved = sorted({one.name for one in shifts} & set(RESERVED))
    if reserved:
        raise ValueError(f'[[station.shifts]] name = "{reserved[0]}" has another meaning in commands; take another')
