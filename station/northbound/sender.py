"""Stores and forwards: what stands behind the cursor in the records goes to one connector, in order, at least once.

    nothing new ──► look again       taken ──► cursor      failed ──► pause 1, 2, 4 .. 60 s, the same again
                                     refused ──► parked, cursor; where too many in a row are, it is the receiver

Which parts stand behind the cursor is in `unsent.py`.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from station.forwarding.progress import Cursor, Cursors, ForwardingError, Parked
from station.northbound.failing import Failing
from station.northbound.part_event import event_of_head, event_of_part
from station.northbound.unsent import Numbered, Source, Unsent
from station.northbound.webhook import MAX_BODY_BYTES, Outcome
from station.records.anchors.kept import head_of_records
from station.records.audit import Head
from station.records.parts import PartRow, parts
from station.records.schema import RecordingError, open_reader
from station.reports.shifts import Calendar

log = structlog.get_logger()

LOOK_S = 0.5
"""Between two looks at records in which nothing is new."""
HEAD_S = 10.0
"""Between two looks at the head of the audit log."""
REFUSED_IN_A_ROW = 10
"""More refused parts in a row than this are not the parts' fault."""


class Connector(Protocol):
    """The other side."""

    def post(self, events: Sequence[Mapping[str, Any]], /) -> Outcome:
        """All of them or none are taken."""
        ...


@dataclass(frozen=True, slots=True)
class What:
    """What is sent."""

    source: Source
    station: str
    calendar: Calendar
    batch: int = 1
    audit_heads: bool = False
    """The head of the audit log is sent, too."""


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
        self._unsent = Unsent(what.source, cursors, clock)
        self._clock = clock
        self._failing = Failing(what.source.name, cursors, clock, draw)
        self._singly = 0
        """Events that go one by one, since a batch with them was refused."""
        self._refused_in_a_row = 0
        self._head: Head | None = None
        """Of the audit log, as the receiver has it."""
        self._head_seen_at = float("-inf")

    def step(self) -> float:
        """Sends one batch at most; seconds until the next step."""
        try:
            return self._step()
        except (RecordingError, ForwardingError, sqlite3.Error, OSError) as problem:
            return self._failing.fails(str(problem))

    def send_parked(self, part: Parked) -> Outcome | None:
        """Tries a parked part again; None: it is no longer on record. Raises RecordingError, ForwardingError."""
        with closing(open_reader(self._what.source.records)) as connection:
            found = next(iter(parts(connection, session=part.session, acquisition_id=part.acquisition_id)), None)
            number = connection.execute(
                "SELECT id FROM parts WHERE session = ? AND acquisition_id = ?", (part.session, part.acquisition_id)
            ).fetchone()
        if found is None or number is None:
            self._cursors.unpark(self._what.source.name, part)
            return None
        outcome = self._connector.post([self._event(number[0], found)])
        if outcome.kind == "taken":
            self._cursors.unpark(self._what.source.name, part)
        return outcome

    def _step(self) -> float:
        if (pause_s := self._send_head()) is not None:
            return pause_s
        look = self._unsent.look(1 if self._singly else self._what.batch)
        if look is None:
            return LOOK_S
        found, batch = look.progress, look.parts
        if not batch:  # whatever failed before, nothing waits
            if found.failing_since is not None:
                self._failing.works()
                self._cursors.failing(self._what.source.name, None, "")
            return LOOK_S
        return self._send(found.cursor, batch)

    def _send_head(self) -> float | None:
        """The head of the audit log, where it is another than the receiver has; None: parts may go on."""
        now = self._clock()
        if not self._what.audit_heads or 0 <= now - self._head_seen_at < HEAD_S:
            return None
        head = head_of_records(self._what.source.records)
        if head is not None and head != self._head:
            outcome = self._connector.post([event_of_head(head, self._what.station, now, self._what.calendar)])
            if outcome.kind == "failed":
                return self._failing.fails(outcome.detail, outcome.pause_s)
            if outcome.kind == "refused":
                log.warning("the head of the audit log was refused", head=str(head), why=outcome.detail)
            self._head = head
        self._head_seen_at = now
        return None

    def _send(self, cursor: Cursor, batch: Sequence[Numbered]) -> float:
        events = _within(MAX_BODY_BYTES, [self._event(number, row) for number, row in batch])
        batch = batch[: len(events)]
        outcome = self._connector.post(events)
        if outcome.kind == "failed":
            return self._failing.fails(outcome.detail, outcome.pause_s)
        if outcome.kind == "refused" and len(batch) > 1:
            self._singly = len(batch)
            return 0.0
        if outcome.kind == "refused":
            self._refused_in_a_row += 1
            if self._refused_in_a_row > REFUSED_IN_A_ROW:
                return self._failing.fails(f"{outcome.detail}, for {REFUSED_IN_A_ROW} parts in a row", outcome.pause_s)
            name = self._what.source.name
            log.warning("a part was refused and is parked", connector=name, part=events[0]["id"], why=outcome.detail)
            self._unsent.park(cursor, batch[0], outcome.detail)
        else:
            self._refused_in_a_row = 0
            self._unsent.taken(cursor, batch, len(batch))
            self._failing.works()
        self._singly = max(0, self._singly - len(batch))
        return 0.0

    def _event(self, number: int, row: PartRow) -> dict[str, Any]:
        return event_of_part(row, number, self._what.station, self._what.calendar)


def _within(most_bytes: int, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first events that fit into one body; at least one."""
    size = 0
    for count, event in enumerate(events):
        size += len(json.dumps(event))
        if size > most_bytes and count:
            return events[:count]
    return events
