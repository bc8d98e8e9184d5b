"""Why parts did not pass: the last hour beside the last day, for the page of health."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from station.codes import REASONS, ReasonCode
from station.hmi import queries
from station.hmi.site import Site
from station.records.schema import RecordingError
from station.records.selection import Selection
from station.results import Verdict

HOUR_S, DAY_S = 3600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Why:
    """One first reason. Shares are of all parts of their time."""

    code: int
    text: str
    """English, as the catalogue has it."""
    hour: int
    hour_share: float
    day: int
    day_share: float


@dataclass(frozen=True, slots=True)
class NotPassed:
    """Parts of production that did not pass, by their first reason: those of the last hour most frequent first."""

    hour: int
    hour_parts: int
    """Of this number of parts."""
    day: int
    day_parts: int
    reasons: Sequence[Why]


def not_passed(site: Site, now: float | None = None) -> NotPassed | None:
    """None: the records cannot be read, or have no part of the last day."""
    now = time.time() if now is None else now
    try:
        (hour, hour_parts), (day, day_parts) = (_counted(site, now - span, now) for span in (HOUR_S, DAY_S))
    except (RecordingError, sqlite3.Error, OSError):
        return None
    if not day_parts:
        return None
    reasons = [
        Why(code, _text(code), hour[code], hour[code] / max(1, hour_parts), count, count / day_parts)
        for code, count in day.items()
    ]
    reasons.sort(key=lambda one: (-one.hour, -one.day, one.code))
    return NotPassed(hour.total(), hour_parts, day.total(), day_parts, reasons)


def _counted(site: Site, since: float, until: float) -> tuple[Counter[int], int]:
    """Parts that did not pass by the code of their first reason (0: none), and all parts."""
    found, parts = Counter[int](), 0
    for group in queries.counts_of(site, Selection(since=since, until=until), "reason"):
        parts += group.parts
        if rejected := group.parts - group.verdicts[Verdict.PASS]:
            code = group.of.partition(" ")[0]
            found[int(code) if code.isdigit() else 0] += rejected
    return found, parts


def _text(code: int) -> str:
    try:
        return REASONS[ReasonCode(code)].text
    except ValueError:
        return str(code)
