"""The table of events: what happened and is no part."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

from station.records.statement import Statement

MISSED = "missed"
"""Kind of the event that stands for one trigger while the station was not ready."""


class RecordEvent(Protocol):
    """Takes an event from any thread and never blocks: the recorder, as the stages see it."""

    def __call__(self, kind: str, level: str, detail: str, /) -> None:
        """`level`: info, warning or error."""
        ...


_INSERT = (
    "INSERT INTO events (session, wall_time, kind, level, detail) VALUES (:session, :wall_time, :kind, :level, :detail)"
)


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened and is no part."""

    session: str
    wall_time: float
    kind: str
    level: str
    detail: str


def insert_event(row: EventRow) -> Statement:
    """Enters an event."""
    return Statement(_INSERT, asdict(row))


def events(
    connection: sqlite3.Connection,
    *,
    session: str | None = None,
    kind: str | None = None,
    between: tuple[float, float] | None = None,
) -> Iterator[EventRow]:
    """Events in the order they were written; `between`: of this time, in seconds since the epoch."""
    query = "SELECT session, wall_time, kind, level, detail FROM events WHERE 1"
    values: list[str | float] = []
    for column, value in (("session", session), ("kind", kind)):
        if value is not None:
            query += f" AND {column} = ?"
            values.append(value)
    if between is not None:
        query += " AND wall_time BETWEEN ? AND ?"
        values.extend(between)
    for row in connection.execute(f"{query} ORDER BY id", values):
        yield EventRow(*row)


def events_after(connection: sqlite3.Connection, after: int | None, limit: int) -> list[tuple[int, EventRow]]:
    """The events behind a row id, oldest first, with their row ids; None: the newest."""
    order = "DESC" if after is None else "ASC"
    query = f"SELECT id, session, wall_time, kind, level, detail FROM events WHERE id > ? ORDER BY id {order} LIMIT ?"
    return sorted(
        ((row[0], EventRow(*row[1:])) for row in connection.execute(query, (after or 0, limit))), key=lambda one: one[0]
    )
