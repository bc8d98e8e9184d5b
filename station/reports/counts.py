"""Parts in numbers: by shift, hour, recipe, reason or engine. Parts of challenge tests are no production."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from station.codes import REASONS, ReasonCode
from station.records.rollups.counting import counted_with
from station.records.selection import Kind, Selection, counted
from station.reports.shifts import Calendar
from station.results import Verdict

By = Literal["shift", "hour", "recipe", "reason", "engine"]
ALL_BY: tuple[By, ...] = get_args(By)
_KINDS: dict[By, Kind] = {
    "shift": "minute",
    "hour": "minute",
    "recipe": "recipe",
    "reason": "reason",
    "engine": "engine",
}


@dataclass(slots=True)
class Counts:
    """The parts of one shift, hour, recipe, first reason or engine."""

    of: str
    """As it is written: the shift with its day, the hour with its distance from UTC, a code with its name."""
    verdicts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))

    @property
    def parts(self) -> int:
        return sum(self.verdicts.values())

    @property
    def pass_share(self) -> float | None:
        return self.verdicts[Verdict.PASS] / self.parts if self.parts else None


def count(
    connection: sqlite3.Connection,
    selection: Selection,
    by: By,
    calendar: Calendar,
    rollups: sqlite3.Connection | None = None,
) -> list[Counts]:
    """What there is of the selection: in the order of time, or of names; reasons most frequent first. `rollups`: what
    was counted before, so that only what lies beside whole quarters of an hour is counted from rows.
    """
    found: dict[str, Counts] = {}
    production, kind = replace(selection, production=True), _KINDS[by]
    if rollups is None or (by == "shift" and not calendar.begins_at_quarters):
        rows = counted(connection, production, kind)
    else:
        rows = counted_with(rollups, connection, production, kind)
    for of, verdict, number in _named(rows, by, calendar):
        found.setdefault(of, Counts(of)).verdicts[verdict] += number
    groups = list(found.values())
    return sorted(groups, key=lambda group: -group.parts) if by == "reason" else groups


def total(groups: list[Counts]) -> Counts:
    """All of them together."""
    return Counts("all", {verdict: sum(group.verdicts[verdict] for group in groups) for verdict in Verdict})


def reason_text(code: int | None) -> str:
    """A reason as people know it; codes of another version stay numbers."""
    if code is None:
        return "none: nothing was found"
    try:
        known = ReasonCode(code)
    except ValueError:
        return f"{code} (of another version)"
    return f"{code} {REASONS[known].text}"


def _named(rows: list[tuple[Any, Verdict, int]], by: By, calendar: Calendar) -> Iterator[tuple[str, Verdict, int]]:
    shift = None
    for value, verdict, number in rows:
        if by == "shift":
            moment = 60 * value
            if shift is None or not shift.start <= moment < shift.end:
                shift = calendar.shift_at(moment)
            yield str(shift), verdict, number
        elif by == "hour":
            yield calendar.hour(60 * value), verdict, number
        elif by == "reason":
            yield reason_text(value), verdict, number
        else:
            yield value or "none", verdict, number
