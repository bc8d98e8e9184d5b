"""Parts chosen by time, verdict, recipe and reason: the newest of them, or how many of each kind there are."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from station.codes import ReasonCode
from station.records.parts import PartRow, chosen_parts
from station.results import Verdict

Kind = Literal["minute", "recipe", "reason", "engine"]

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


def newest_of(connection: sqlite3.Connection, selection: Selection, newest: int) -> list[PartRow]:
    """The newest parts of the selection, oldest of them first."""
    where, values = _conditions(selection)
    chosen = f"SELECT * FROM parts WHERE {where} ORDER BY wall_time DESC, id DESC LIMIT ?"
    return list(chosen_parts(connection, chosen, [*values, newest]))


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
        (
            "EXISTS (SELECT 1 FROM json_each(parts.reasons) WHERE json_extract(value, '$.code') = ?)",
            None if selection.reason is None else int(selection.reason),
        ),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if selection.verdicts:
        conditions.append(f"verdict IN ({', '.join('?' * len(selection.verdicts))})")
        values.extend(verdict.name for verdict in selection.verdicts)
    if selection.production:
        conditions.append("challenge IS NULL")
    return " AND ".join(conditions), values
