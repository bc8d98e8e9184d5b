"""What is no part: events of the station and words of people, both append-only. The server keeps how far they came.

A place is the number of the last row and a mark of that row. Other records under the same number (moved away, restored)
have another mark: then what is young enough is sent again, and rows that are there already stay as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.labels.schema import labels_beside
from station.labels.schema import open_reader as open_labels
from station.northbound.postgres.rows import Values, clean
from station.northbound.readings import moment
from station.records.schema import DATABASE_FILE
from station.records.schema import open_reader as open_records

_EVENTS = "SELECT id, session, wall_time, kind, level, detail FROM events"
_LABELS = (
    "SELECT d.id, d.session, d.at, d.acquisition_id, d.camera, d.wall_time, d.label, c.name, c.severity, d.comment, "
    "d.reviewer, d.role, d.kind FROM decisions AS d LEFT JOIN classes AS c ON c.id = d.class"
)


@dataclass(frozen=True, slots=True)
class Place:
    """How far one of the two came; `last` None: nothing was ever sent."""

    last: int | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What stands behind a place."""

    rows: tuple[Values, ...]
    place: Place


class Others:
    """Reads what stands behind a place. Used by one thread."""

    def __init__(self, records: Path, station: str, *, events: bool, labels: bool) -> None:
        self._records = records
        self._station = clean(station)
        self._events = events
        self._labels = labels

    def events(self, place: Place, most: int, since: float) -> Found:
        """`since`: of other records than before, what is younger. Raises RecordingError, sqlite3.Error, OSError."""
        if not self._events or not (self._records / DATABASE_FILE).exists():
            return Found((), place)
        with closing(open_records(self._records)) as connection:
            first = "SELECT MIN(id) FROM events WHERE wall_time >= ?"
            return self._behind(connection, (_EVENTS, "id", "events", first), place, most, since)

    def labels(self, place: Place, most: int, since: float) -> Found:
        """The same of what people said; all of it the first time. Raises LabelError, sqlite3.Error, OSError."""
        if not self._labels:
            return Found((), place)
        with _labels_of(self._records) as connection:
            if connection is None:
                return Found((), place)
            first = "SELECT MIN(id) FROM decisions WHERE at >= ?"
            start = Place(0, "") if place.last is None else place
            return self._behind(connection, (_LABELS, "d.id", "decisions", first), start, most, since)

    def _behind(
        self, connection: sqlite3.Connection, how: tuple[str, str, str, str], place: Place, most: int, since: float
    ) -> Found:
        query, number, table, first = how
        newest = connection.execute(f"SELECT COALESCE(MAX(id), 0) FROM {table}").fetchone()[0]
        if place.last is None:  # as with parts: what comes from now on
            return Found((), Place(newest, _mark(connection, query, number, newest)))
        after = place.last
        if after > newest or _mark(connection, query, number, after) not in (place.mark, None):
            found = connection.execute(first, (since,)).fetchone()[0]
            after = newest if found is None else found - 1
        rows = connection.execute(f"{query} WHERE {number} > ? ORDER BY {number} LIMIT ?", (after, most)).fetchall()
        last = rows[-1]["id"] if rows else after
        values = tuple(self._event(row) if table == "events" else self._label(row) for row in rows)
        return Found(values, Place(last, _mark(connection, query, number, last)))

    def _event(self, row: sqlite3.Row) -> Values:
        texts = (clean(row[name]) for name in ("kind", "level", "detail"))
        return (self._station, clean(row["session"]), row["id"], moment(row["wall_time"]), *texts)

    def _label(self, row: sqlite3.Row) -> Values:
        def text(name: str) -> str | None:
            return None if row[name] is None else clean(row[name])

        return (
            self._station, row["id"], moment(row["at"]), text("session"), row["acquisition_id"], text("camera"),
            moment(row["wall_time"]), row["label"], text("name"), text("severity"), text("comment"), text("reviewer"),
            text("role"), row["kind"],
        )  # fmt: skip


def _mark(connection: sqlite3.Connection, query: str, number: str, last: int) -> str | None:
    """Of the row `last`; None: it is not there (any more), which retention may have done; empty: there is no such row
    yet.
    """
    if last == 0:
        return ""
    row: Any = connection.execute(f"{query} WHERE {number} = ?", (last,)).fetchone()
    return None if row is None else clean(f"{row['session']} {row['wall_time']!r}")


@contextmanager
def _labels_of(records: Path) -> Iterator[sqlite3.Connection | None]:
    connection = open_labels(labels_beside(records))
    if connection is None:
        yield None
        return
    with closing(connection):
        yield connection
