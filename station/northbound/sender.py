"""Stores and forwards: what stands behind the cursor in the records goes to one connector, in order, at least once.

    nothing new ──► look again       taken ──► cursor      failed ──► pause 1, 2, 4 .. 60 s, the same again
                                     refused ──► parked, cursor; where too many in a row are, it is the receiver

A part is sent when the PLC has acknowledged it, or when it is `SETTLE_S` old.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from station.forwarding.progress import Cursor, Cursors, ForwardingError, Parked
from station.northbound.part_event import acknowledged_ms, event_of_part
from station.northbound.webhook import MAX_BODY_BYTES, Outcome
from station.records.parts import PartRow, numbered_parts, parts
from station.records.schema import DATABASE_FILE, RecordingError, open_reader
from station.records.selection import FIRST_SINCE
from station.reports.shifts import Calendar

log = structlog.get_logger()

LOOK_S = 0.5
"""Between two looks at records in which nothing is new."""
SETTLE_S = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
REFUSED_IN_A_ROW = 10
"""More refused parts in a row than this are not the parts' fault."""
_DAY_S = 86_400.0


class Connector(Protocol):
    """The other side."""

    def post(self, events: Sequence[Mapping[str, Any]], /) -> Outcome:
        """All of them or none are taken."""
        ...


@dataclass(frozen=True, slots=True)
class What:
    """What is sent."""

    name: str
    """Of the connector, in `plant.db`."""
    station: str
    calendar: Calendar
    records: Path
    batch: int = 1
    waits_for_plc: bool = True
    again_days: float = 7.0
    """Where the records turn out to be others than those of the cursor, what is as old as this is sent again."""


class Sender:
    """Owns the place of one connector. One thread calls `step`, and waits as long as it returns."""

    def __init__(
        self,
        what: What,
        connector: Connector,
        cursors: Cursors,
        *,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw`: 0 to 1, so that many stations do not come back at the same moment."""
        self._what = what
        self._connector = connector
        self._cursors = cursors
        self._clock = clock
        self._draw = draw
        self._failures = 0
        self._failing_since: float | None = None
        self._singly = 0
        """Events that go one by one, since a batch with them was refused."""
        self._refused_in_a_row = 0

    def step(self) -> float:
        """Sends one batch at most; seconds until the next step."""
        try:
            return self._step()
        except (RecordingError, ForwardingError, sqlite3.Error, OSError) as problem:
            return self._fails(str(problem), 0.0)

    def send_parked(self, part: Parked) -> Outcome | None:
        """Tries a parked part again; None: it is no longer on record. Raises RecordingError, ForwardingError."""
        with closing(open_reader(self._what.records)) as connection:
            found = next(iter(parts(connection, session=part.session, acquisition_id=part.acquisition_id)), None)
            number = connection.execute(
                "SELECT id FROM parts WHERE session = ? AND acquisition_id = ?", (part.session, part.acquisition_id)
            ).fetchone()
        if found is None or number is None:
            self._cursors.unpark(self._what.name, part)
            return None
        outcome = self._connector.post([self._event(number[0], found)])
        if outcome.kind == "taken":
            self._cursors.unpark(self._what.name, part)
        return outcome

    def _step(self) -> float:
        name = self._what.name
        found = self._cursors.of(name)
        if not (self._what.records / DATABASE_FILE).exists():
            if found is None:  # the station has never run: all that it will record is new
                self._cursors.place(name, Cursor(0))
            return LOOK_S
        with closing(open_reader(self._what.records)) as connection:
            if found is None:
                self._cursors.place(name, _newest(connection))
                return 0.0
            cursor = found.cursor
            if not _is_of(connection, cursor):
                self._cursors.place(name, self._start_again(connection, cursor))
                return 0.0
            batch = self._batch(connection, cursor.last_id)
        if not batch:  # whatever failed before, nothing waits
            if found.failing_since is not None:
                self._works()
                self._cursors.failing(name, None, "")
            return LOOK_S
        return self._send(cursor, batch)

    def _send(self, cursor: Cursor, batch: Sequence[tuple[int, PartRow]]) -> float:
        name, now = self._what.name, self._clock()
        events = _within(MAX_BODY_BYTES, [self._event(number, row) for number, row in batch])
        batch = batch[: len(events)]
        last, row = batch[-1]
        place = Cursor(last, row.session, row.acquisition_id)
        outcome = self._connector.post(events)
        if outcome.kind == "failed":
            return self._fails(outcome.detail, outcome.pause_s)
        if outcome.kind == "refused" and len(batch) > 1:
            self._singly = len(batch)
            return 0.0
        if outcome.kind == "refused":
            self._refused_in_a_row += 1
            if self._refused_in_a_row > REFUSED_IN_A_ROW:
                return self._fails(f"{outcome.detail}, for {REFUSED_IN_A_ROW} parts in a row", outcome.pause_s)
            log.warning("a part was refused and is parked", connector=name, part=events[0]["id"], why=outcome.detail)
            self._missing(cursor, batch, now)
            self._cursors.park(name, place, outcome.detail, now)
        else:
            self._refused_in_a_row = 0
            self._missing(cursor, batch, now)
            self._cursors.taken(name, place, len(batch), now)
            self._works()
        self._singly = max(0, self._singly - len(batch))
        return 0.0

    def _batch(self, connection: sqlite3.Connection, after: int) -> list[tuple[int, PartRow]]:
        """The next rows in order, up to the first that may still change."""
        most = 1 if self._singly else self._what.batch
        chosen = "SELECT * FROM parts WHERE id > ? ORDER BY id LIMIT ?"
        found, now = [], self._clock()
        for number, row in numbered_parts(connection, chosen, (after, most)):
            is_young = 0 <= now - row.wall_time < SETTLE_S  # of the future: the clock was set
            if self._what.waits_for_plc and is_young and acknowledged_ms(row) is None:
                break
            found.append((number, row))
        return found

    def _event(self, number: int, row: PartRow) -> dict[str, Any]:
        return event_of_part(row, number, self._what.station, self._what.calendar)

    def _missing(self, cursor: Cursor, batch: Sequence[tuple[int, PartRow]], now: float) -> None:
        """Row ids grow by one: a gap is what retention has deleted."""
        gone = batch[-1][0] - cursor.last_id - len(batch)
        if gone > 0:
            log.warning("parts were deleted before they could be sent", connector=self._what.name, parts=gone)
            self._cursors.left_out(self._what.name, gone, now)

    def _start_again(self, connection: sqlite3.Connection, cursor: Cursor) -> Cursor:
        """The records are others: moved away, or an older backup. What is young enough is sent (again)."""
        since = self._clock() - self._what.again_days * _DAY_S
        first = connection.execute(FIRST_SINCE, (since,)).fetchone()[0]
        place = _newest(connection) if first is None else _at(connection, first - 1)
        log.warning(
            "the records are others than before: what is younger is sent again",
            connector=self._what.name, days=self._what.again_days, was_at=cursor.last_id, goes_on_behind=place.last_id,
        )  # fmt: skip
        return place

    def _fails(self, why: str, asked_s: float) -> float:
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = self._clock()
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10))
        if self._failures & (self._failures - 1) == 0:  # 1, 2, 4, 8: the log of a day without a receiver stays short
            log.warning("not sent", connector=self._what.name, why=why, times=self._failures)
        try:
            self._cursors.failing(self._what.name, self._failing_since, why)
        except ForwardingError as problem:
            log.warning("the cursors cannot be written", problem=str(problem))
        return max(asked_s, float(pause * (0.5 + 0.5 * self._draw())))

    def _works(self) -> None:
        if self._failing_since is not None:
            log.info("it is sent again", connector=self._what.name, after_s=round(self._clock() - self._failing_since))
        self._failures, self._failing_since = 0, None


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


def _within(most_bytes: int, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first events that fit into one body; at least one."""
    size = 0
    for count, event in enumerate(events):
        size += len(json.dumps(event))
        if size > most_bytes and count:
            return events[:count]
    return events
