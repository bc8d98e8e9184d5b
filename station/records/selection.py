"""Parts chosen by time, verdict, recipe, reason and id: the newest, page by page, or how many of each kind there are.

A page goes on at a mark, never at a number of rows: a statement reads what it returns and not what lies before.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from station.codes import ReasonCode
from station.records.parts import PartRow, chosen_parts, numbered_parts
from station.results import Verdict

Kind = Literal["minute", "recipe", "reason", "engine"]
Mark: TypeAlias = tuple[float, int]
"""The place of a part in the order of time: seconds since the epoch, and the id of its row."""

INDEXES = (
    "CREATE INDEX IF NOT EXISTS parts_by_part_id ON parts (part_id)",
    "CREATE INDEX IF NOT EXISTS parts_not_passed ON parts (wall_time) WHERE verdict <> 'PASS'",
)
"""For a part by the PLC's id, and for the few that did not pass among millions."""

_KINDS: dict[Kind, str] = {
    "minute": "CAST(wall_time / 60 AS INTEGER)",
    "recipe": "recipe",
    "reason": "json_extract(reasons, '$[0].code')",
    "engine": "engine_id",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a part must be to be chosen; unset: anything."""

    since: float | None = None
    """Seconds since the epoch: parts triggered from then on."""
    until: float | None = None
    """And before this."""
    verdicts: tuple[Verdict, ...] = ()
    recipe: str | None = None
    reason: ReasonCode | None = None
    """Among its reasons, at whatever place."""
    production: bool = False
    """Not of a challenge test."""
    part_id: int | None = None
    """The PLC's."""


def newest_of(connection: sqlite3.Connection, selection: Selection, newest: int) -> list[PartRow]:
    """The newest parts of the selection, oldest of them first."""
    where, values = _conditions(selection)
    chosen = f"SELECT * FROM parts WHERE {where} ORDER BY wall_time DESC, id DESC LIMIT ?"
    return list(chosen_parts(connection, chosen, [*values, newest]))


def page_of(
    connection: sqlite3.Connection, selection: Selection, limit: int, before: Mark | None = None
) -> list[tuple[Mark, PartRow]]:
    """A page of the selection, newest first; `before`: of those that lie before this mark."""
    where, values = _conditions(selection)
    if before is not None:
        where += " AND (wall_time, id) < (?, ?)"
        values.extend(before)
    chosen = f"SELECT * FROM parts WHERE {where} ORDER BY wall_time DESC, id DESC LIMIT ?"
    rows = numbered_parts(connection, chosen, [*values, limit])
    return sorted((((row.wall_time, number), row) for number, row in rows), key=lambda item: item[0], reverse=True)


def mark_of(connection: sqlite3.Connection, part: PartRow) -> Mark:
    """Where a part of these records stands."""
    query = "SELECT wall_time, id FROM parts WHERE session = ? AND acquisition_id = ?"
    wall_time, number = connection.execute(query, (part.session, part.acquisition_id)).fetchone()
    return wall_time, number


def neighbour(connection: sqlite3.Connection, selection: Selection, mark: Mark, *, newer: bool) -> PartRow | None:
    """The next part of the selection beside this mark; None at the end."""
    where, values = _conditions(selection)
    way, order = (">", "ASC") if newer else ("<", "DESC")
    chosen = (
        f"SELECT * FROM parts WHERE {where} AND (wall_time, id) {way} (?, ?) "
        f"ORDER BY wall_time {order}, id {order} LIMIT 1"
    )
    return next(iter(chosen_parts(connection, chosen, [*values, *mark])), None)


def counted(connection: sqlite3.Connection, selection: Selection, kind: Kind) -> list[tuple[Any, Verdict, int]]:
    """How many parts of the selection there are of each kind and verdict, in the order of the kinds.

    A minute is its number since the epoch, a reason the code of the first reason (None: a part without one).
    """
    where, values = _conditions(selection)
    query = (
        f"SELECT {_KINDS[kind]} AS kind, verdict, COUNT(*) FROM parts WHERE {where} GROUP BY kind, verdict ORDER BY 1"
    )
    return [(value, Verdict[verdict], count) for value, verdict, count in connection.execute(query, values)]


def _conditions(selection: Selection) -> tuple[str, list[Any]]:
    conditions = ["1"]
    values: list[Any] = []
    for condition, value in (
        ("wall_time >= ?", selection.since),
        ("wall_time < ?", selection.until),
        ("recipe = ?", selection.recipe),
        ("part_id = ?", selection.part_id),
        (
            "EXISTS (SELECT 1 FROM json_each(parts.reasons) WHERE json_extract(value, '$.code') = ?)",
            None if selection.reason is None else int(selection.reason),
        ),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if selection.verdicts:
        if Verdict.PASS not in selection.verdicts:
            conditions.append("verdict <> 'PASS'")  # the words of the partial index
        conditions.append(f"verdict IN ({', '.join('?' * len(selection.verdicts))})")
        values.extend(verdict.name for verdict in selection.verdicts)
    if selection.production:
        conditions.append("challenge IS NULL")
    return " AND ".join(conditions), values
