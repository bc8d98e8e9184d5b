"""What stands in the records behind the cursor of a connector: in order, whole, and none of it twice by accident.

A part is there once the PLC has acknowledged it, or when it is `SETTLE_S` old. A connector that has never run begins
behind the newest part. Row ids begin anew in a new file and after a restored backup: then what is young is sent again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog

from station.forwarding.progress import Cursor, Cursors, Progress
from station.northbound.part_event import acknowledged_ms
from station.records.parts import PartRow, newest_id, numbered_parts
from station.records.schema import DATABASE_FILE, open_reader
from station.records.selection import FIRST_SINCE

log = structlog.get_logger()

SETTLE_S = 2.0
_DAY_S = 86_400.0
Numbered = tuple[int, PartRow]
"""A part and the number of its row."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which parts, for which connector."""

    name: str
    """Of the connector, in `plant.db`."""
    records: Path
    waits_for_plc: bool = True
    again_days: float = 7.0
    """Where the records turn out to be others than those of the cursor, what is as old as this is sent again."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look has found."""

    progress: Progress
    parts: tuple[Numbered, ...]
    newest: int
    """Number of the newest row; 0: there is none."""
    is_new_place: bool = False
    """The cursor was placed just now: nothing that was sent before counts."""


class Unsent:
    """Reads the records for one connector, and moves its cursor. Used by one thread."""

    def __init__(self, source: Source, cursors: Cursors, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._cursors = cursors
        self._clock = clock

    def look(self, most: int, after: int | None = None) -> Look | None:
        """The next parts behind the cursor, or behind row `after`. None: there are no records yet.

        Raises RecordingError, ForwardingError, sqlite3.Error, OSError.
        """
        name = self._source.name
        progress = self._cursors.of(name)
        if not (self._source.records / DATABASE_FILE).exists():
            if progress is None:  # the station has never run: all that it will record is new
                self._cursors.place(name, Cursor(0))
            return None
        with closing(open_reader(self._source.records)) as connection:
            place = None
            if progress is None:
                place = _newest(connection)
            elif not _is_of(connection, progress.cursor):
                place = self._start_again(connection, progress.cursor)
            if place is not None:
                self._cursors.place(name, place)
                progress = self._cursors.of(name)
            if progress is None:
                return None
            last = progress.cursor.last_id if after is None or place is not None else after
            found = tuple(self._settled(connection, last, most))
            return Look(progress, found, newest_id(connection), place is not None)

    def taken(self, before: Cursor, parts: Sequence[Numbered], sent: int) -> None:
        """The other side has everything up to the last of these parts; `sent` of them went to it."""
        now = self._clock()
        self.count_gone(before, parts, now)
        self._cursors.taken(self._source.name, place_of(parts[-1]), sent, now)

    def park(self, before: Cursor, part: Numbered, why: str) -> None:
        """The other side will never take this one."""
        now = self._clock()
        self.count_gone(before, [part], now)
        self._cursors.park(self._source.name, place_of(part), why, now)

    def count_gone(self, before: Cursor, parts: Sequence[Numbered], now: float) -> None:
        """Row ids grow by one: a gap is what retention has deleted."""
        gone = parts[-1][0] - before.last_id - len(parts)
        if gone > 0:
            log.warning("parts were deleted before they could be sent", connector=self._source.name, parts=gone)
            self._cursors.left_out(self._source.name, gone, now)

    def _settled(self, connection: sqlite3.Connection, after: int, most: int) -> list[Numbered]:
        """The next rows in order, up to the first that may still change."""
        chosen = "SELECT * FROM parts WHERE id > ? ORDER BY id LIMIT ?"
        found, now = [], self._clock()
        for number, row in numbered_parts(connection, chosen, (after, most)):
            is_young = 0 <= now - row.wall_time < SETTLE_S  # of the future: the clock was set
            if self._source.waits_for_plc and is_young and acknowledged_ms(row) is None:
                break
            found.append((number, row))
        return found

    def _start_again(self, connection: sqlite3.Connection, cursor: Cursor) -> Cursor:
        """The records are others: moved away, or an older backup. What is young enough is sent (again)."""
        since = self._clock() - self._source.again_days * _DAY_S
        first = connection.execute(FIRST_SINCE, (since,)).fetchone()[0]
        place = _newest(connection) if first is None else _at(connection, first - 1)
        log.warning(
            "the records are others than before: what is younger is sent again", connector=self._source.name,
            days=self._source.again_days, was_at=cursor.last_id, goes_on_behind=place.last_id,
        )  # fmt: skip
        return place


def place_of(part: Numbered) -> Cursor:
    """The cursor behind this part."""
    number, row = part
    return Cursor(number, row.session, row.acquisition_id)


def cursor_before(records: Path, since: float) -> tuple[Cursor, int]:
    """The place from which all parts since this time are sent, and how many these are. Raises RecordingError."""
    with closing(open_reader(records)) as connection:
        query = "SELECT MIN(id), MAX(id) FROM parts WHERE wall_time >= ?"
        first, last = connection.execute(query, (since,)).fetchone()
        return (_newest(connection), 0) if first is None else (_at(connection, first - 1), last - first + 1)


def _newest(connection: sqlite3.Connection) -> Cursor:
    last = connection.execute("SELECT MAX(id) FROM parts").fetchone()[0]
    return Cursor(0) if last is None else _at(connection, last)


def _at(connection: sqlite3.Connection, number: int) -> Cursor:
    row = connection.execute("SELECT session, acquisition_id FROM parts WHERE id = ?", (number,)).fetchone()
    return Cursor(number) if row is None else Cursor(number, row["session"], row["acquisition_id"])


def _is_of(connection: sqlite3.Connection, cursor: Cursor) -> bool:
    """Whether the cursor was made from these records. Row ids begin anew in a new file, and after a restored backup."""
    if cursor.last_id == 0 or not cursor.session:
        return True
    row = connection.execute("SELECT session, acquisition_id FROM parts WHERE id = ?", (cursor.last_id,)).fetchone()
    if row is not None:
        return (row["session"], row["acquisition_id"]) == (cursor.session, cursor.acquisition_id)
    newest = connection.execute("SELECT MAX(id) FROM parts").fetchone()[0]
    return newest is not None and newest > cursor.last_id
