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
from station.labels.schema import LabelError
from station.records.parts import PartRow
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
    newest: PartRow | None
    """Of the last hour."""
    detail: str
    """Of its first reason, as the station has written it: the value and what is allowed."""


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
    codes = sorted(day, key=lambda code: (-hour[code], -day[code], code))
    reasons = []
    for code in codes:
        part = _newest(site, code, now - HOUR_S) if hour[code] else None
        detail = next((reason.detail for reason in part.reason_list if reason.code == code), "") if part else ""
        share = hour[code] / max(1, hour_parts)
        reasons.append(Why(code, _text(code), hour[code], share, day[code], day[code] / day_parts, part, detail))
    return NotPassed(hour.total(), hour_parts, day.total(), day_parts, reasons)


def _newest(site: Site, code: int, since: float) -> PartRow | None:
    try:
        chosen = Selection(since=since, reason=ReasonCode(code), production=True)
        rows = queries.newest(site, chosen, 1, with_views=False).rows
    except (ValueError, RecordingError, LabelError, sqlite3.Error, OSError):
        return None
    return rows[0] if rows else None


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
