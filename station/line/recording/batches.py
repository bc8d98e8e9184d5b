"""Which batch a part belongs to: the one that was open when it was triggered.

── begin ──────────── end ── begin ─────────
    │ parts of 7       │       │ parts of 8
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from station.command_results import CommandResult
from station.records.batches.rows import PLC, BatchError, BatchRow, batch_named, check_text, newest_batches
from station.records.parts import BATCH_KEY, PartRow
from station.records.schema import RecordingError, open_reader
from station.results import Part

_EVER_NS = -(2**63)
_KEPT = 64
"""Changes that are remembered: a part is recorded within seconds of its trigger."""


class Batches:
    """Owns the open batch and since when it is. Any thread begins, ends and asks; a part is looked up when recorded."""

    def __init__(
        self,
        records: Path,
        write: Callable[[BatchRow], None],
        clocks: tuple[Callable[[], int], Callable[[], float]] = (time.monotonic_ns, time.time),
    ) -> None:
        """`write`: takes a row that is to be recorded. `clocks`: that of the triggers, and the wall's."""
        self._records = records
        self._write = write
        self.now_ns, self._wall = clocks
        self._lock = threading.Lock()
        self._changes: list[tuple[int, int | None]] = [(_EVER_NS, None)]
        """(since, number of the open batch), oldest first."""
        self._open: BatchRow | None = None
        self._last: int | None = None
        """The highest number; None: the records were not read yet."""

    def remember(self) -> None:
        """Reads which batch is open. Records that cannot be read now are read before the next one begins or ends."""
        with self._lock, contextlib.suppress(BatchError):
            self._read()

    @property
    def open(self) -> BatchRow | None:
        return self._open

    @property
    def number(self) -> int:
        """Of the open batch; 0: none is open."""
        row = self._open
        return 0 if row is None else row.number

    def begin(self, name: object, by: str, *, product: object = "", order_no: object = "", recipe: str) -> BatchRow:
        """Begins a batch; one that is open ends. Parts triggered from now on belong to it. Raises BatchError."""
        called = check_text("name", name, may_be_empty=False)
        texts = called, check_text("product", product), check_text("order", order_no)
        with self._lock:
            self._read()
            assert self._last is not None
            if self._open is not None and self._open.name == called:
                raise BatchError(f'batch "{called}" is open already', CommandResult.BATCH_OPEN_ALREADY)
            self._check_may_end(by)
            self._last += 1
            begun = BatchRow(self._last, *texts, recipe, self._wall(), None, by, "")
            self._end(begun.start_s, by)
            self._change(begun)
            self._write(begun)
            return begun

    def end(self, by: str) -> BatchRow:
        """Ends the open batch; parts triggered from now on belong to none. Raises BatchError: none is open."""
        with self._lock:
            self._read()
            self._check_may_end(by)
            ended = self._end(self._wall(), by)
            if ended is None:
                raise BatchError("no batch is open", CommandResult.NO_BATCH_OPEN)
            self._change(None)
            return ended

    def stamped(self, row: PartRow, part: Part, *, is_recovered: bool) -> PartRow:
        """The row with the number of its batch. A part that an earlier process left is of the batch that is open
        since before it: its clock says nothing now.
        """
        with self._lock:
            if is_recovered:
                known = self._open
                number = None if known is None or part.wall_time < known.start_s else known.number
            else:
                number = next(number for since, number in reversed(self._changes) if since <= part.time_ns)
        if number is None:
            return row
        return replace(row, extra=json.dumps({**json.loads(row.extra), BATCH_KEY: number}))

    def _read(self) -> None:
        if self._last is not None:
            return
        try:
            with closing(open_reader(self._records)) as connection:
                newest, self._open = newest_batches(connection, 1), batch_named(connection, "now")
        except (RecordingError, sqlite3.Error) as problem:
            raise BatchError(
                f"the records cannot be read now, so its number is not known: {problem}",
                CommandResult.BATCHES_NOT_READABLE,
            ) from problem
        self._last = newest[0].number if newest else 0
        self._changes = [(_EVER_NS, None if self._open is None else self._open.number)]

    def _check_may_end(self, by: str) -> None:
        """A person may end any batch, the PLC its own."""
        if by == PLC and self._open is not None and self._open.begun_by != PLC:
            raise BatchError(
                f'batch "{self._open.name}" was begun by {self._open.begun_by}, who ends it',
                CommandResult.BATCH_OF_A_PERSON,
            )

    def _end(self, end_s: float, by: str) -> BatchRow | None:
        if self._open is None:
            return None
        ended = replace(self._open, end_s=max(end_s, self._open.start_s), ended_by=by)
        self._write(ended)
        return ended

    def _change(self, row: BatchRow | None) -> None:
        self._open = row
        self._changes.append((self.now_ns(), None if row is None else row.number))
        if len(self._changes) > _KEPT:
            self._changes = [(_EVER_NS, self._changes[-_KEPT][1]), *self._changes[-_KEPT + 1 :]]
