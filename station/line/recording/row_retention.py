"""The rows that go: older than `keep_rows_days`, or the oldest where they take more than `rows_budget_mb`.

    a pass an hour ─► batch ─► batch ─► ... ─► nothing as old is left ─► an event says how many went

A batch is small and has a transaction of its own between two of new rows. Age is taken from a clock that has not been
set for an hour: a computer that starts with a wrong date must not delete its records.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import structlog

from station import noted
from station.forwarding.progress import ForwardingError, forwarding_beside, read_progress
from station.line.recording.quarantine import records_beside_labels
from station.records.events import EventRow
from station.records.old_rows import NOTHING_UNSENT, Batch, Unsent, deleted, oldest, used_bytes
from station.records.schema import RecordingError
from station.records.statement import Statement

log = structlog.get_logger()

BATCH_ROWS = 500
PASS_INTERVAL_S = 3600.0
CLOCK_STEP_S = 60.0
"""A clock that is further from the monotonic one than it was has been set."""
_DAY_S = 86_400.0
_MB = 1_000_000
_BEGIN = (float("-inf"), 0)
_WHENEVER = float("inf")


class RowRetention:
    """Owns which rows go next. Used by the recording thread only; reads the records, and what it returns is written."""

    def __init__(
        self,
        directory: Path,
        session: str,
        *,
        keep_days: int,
        budget_mb: int,
        remove_images: Callable[[Sequence[str]], None],
        keep_unsent_days: int | None = None,
        clocks: tuple[Callable[[], float], Callable[[], float]] = (time.time, time.monotonic),
    ) -> None:
        """`remove_images` is called with the images of parts that go, before the rows do. `keep_unsent_days`: rows that
        the plant process has not sent stay for this time, but for the budget; None: nothing is sent. `clocks`: wall,
        monotonic.
        """
        self._directory = directory
        self._session = session
        self._keep_s = keep_days * _DAY_S
        self._keep_unsent_days = keep_unsent_days
        self._budget = budget_mb * _MB
        self._remove_images = remove_images
        self._wall, self._monotonic = clocks
        self._offset = self._wall() - self._monotonic()
        self._trusted_at = self._monotonic() + PASS_INTERVAL_S
        self._next_pass = self._monotonic()
        self._notes: list[EventRow] = []
        self._after = _BEGIN
        self._gone = [0, 0, 0]
        """Parts, events, ejections of this pass."""
        self._kept = 0
        self._unsent = 0
        """Parts of this pass that went without having been sent."""
        self._was_over = self._is_over = False

    def notes(self) -> list[EventRow]:
        """What is to be said since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def step(self) -> list[Statement]:
        """What the next transaction is to delete: one batch, or nothing."""
        now = self._monotonic()
        self._watch_clock(now)
        if now < self._next_pass:
            return []
        try:
            with closing(records_beside_labels(self._directory)) as connection:
                batch = self._batch(connection)
        except (sqlite3.Error, RecordingError) as problem:
            log.warning("old rows stay for now", problem=str(problem))
            self._end_pass()
            return []
        if batch is None:
            self._end_pass()
            return []
        self._after = batch.last
        self._kept += batch.kept
        self._unsent += batch.unsent
        counted = zip(self._gone, (batch.parts, batch.events, batch.ejections), strict=True)
        self._gone = [count + len(ids) for count, ids in counted]
        self._remove_images(batch.images)
        return deleted(batch)

    def _batch(self, connection: sqlite3.Connection) -> Batch | None:
        """The next one; None: nothing has to go, or nothing that has to may."""
        is_over = used_bytes(connection) > self._budget
        if is_over:
            batch = oldest(connection, _WHENEVER, self._after, BATCH_ROWS, self._not_sent(keeps=False))
            if batch.last != _BEGIN:  # there are parts: of the rest what is as old as those
                events = oldest(connection, batch.last[0], (_WHENEVER, 0), BATCH_ROWS)
                batch = replace(batch, events=events.events, ejections=events.ejections)
        elif self._monotonic() >= self._trusted_at:
            before = self._wall() - self._keep_s
            batch = oldest(connection, before, self._after, BATCH_ROWS, self._not_sent(keeps=True))
        else:
            return None
        self._was_over = self._was_over or is_over
        self._is_over = is_over
        return None if batch.is_empty else batch

    def _not_sent(self, *, keeps: bool) -> Unsent:
        """What the plant process has not sent; without `keeps` it is only counted. Cursors that cannot be read keep
        everything that is young enough.
        """
        if self._keep_unsent_days is None:
            return NOTHING_UNSENT
        since = self._wall() - self._keep_unsent_days * _DAY_S if keeps else _WHENEVER
        try:
            found = read_progress(forwarding_beside(self._directory))
        except ForwardingError as problem:
            log.warning("what was sent is not known: young rows stay", problem=str(problem))
            return Unsent(0, since)
        if not found:
            return NOTHING_UNSENT
        return Unsent(min(one.cursor.last_id for one in found), since)

    def _watch_clock(self, now: float) -> None:
        offset = self._wall() - now
        if abs(offset - self._offset) > CLOCK_STEP_S:
            self._trusted_at = now + PASS_INTERVAL_S
        self._offset = offset

    def _end_pass(self) -> None:
        if any(self._gone):
            parts, events, ejections = self._gone
            why = noted.OVER_BUDGET() if self._was_over else noted.TOO_OLD()
            what = noted.ROWS_DELETED(count=parts, total=events, ejections=ejections, why=why)
            self._note("rows_deleted", "info", what)
        if self._unsent:
            self._note("parts_not_sent", "warning", noted.NOT_SENT(count=self._unsent))
        if self._is_over and self._kept and self._gone[0] == 0:
            kept = noted.ALL_KEPT(count=self._budget // _MB, total=self._kept)
            self._note("rows_over_budget", "warning", kept)
        self._after = _BEGIN
        self._gone = [0, 0, 0]
        self._kept = self._unsent = 0
        self._was_over = self._is_over = False
        self._next_pass = self._monotonic() + PASS_INTERVAL_S

    def _note(self, kind: str, level: str, detail: str) -> None:
        self._notes.append(EventRow(self._session, self._wall(), kind, level, detail))
