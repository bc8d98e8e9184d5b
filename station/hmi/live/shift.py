"""How many parts of this shift are on record."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import structlog

from station.records.batches.rows import batch_named
from station.records.rollups.keeping import Rollups, known
from station.records.schema import RecordingError, open_reader
from station.records.selection import Selection
from station.reports.counts import count, total
from station.reports.shifts import Calendar


class ShiftCounts:
    """Called on one thread at a time; keeps nothing open, and remembers what it has said."""

    def __init__(self, records: Path, calendar: Calendar, rollups: Rollups | None = None) -> None:
        self._records = records
        self._calendar = calendar
        self._rollups = rollups
        self._said = ""

    def __call__(self) -> Mapping[str, Any]:
        """The name of the shift, that of the open batch, and the parts of the shift by verdict; empty where the records
        cannot be read now.
        """
        now = time.time()
        shift = self._calendar.shift_at(now)
        try:
            with closing(open_reader(self._records)) as connection, known(self._rollups, connection) as rollups:
                batch = batch_named(connection, "now")
                counts = total(count(connection, Selection(since=shift.start), "recipe", self._calendar, rollups))
        except (RecordingError, sqlite3.Error) as problem:
            if str(problem) != self._said:  # every ten seconds while a page is open: said once
                structlog.get_logger().warning("parts of the shift are not counted", problem=str(problem))
            self._said = str(problem)
            return {}
        self._said = ""
        return {
            "name": shift.name,
            "batch": "" if batch is None else batch.name,
            **{verdict.name: number for verdict, number in counts.verdicts.items()},
        }
