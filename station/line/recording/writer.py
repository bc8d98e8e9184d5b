"""The one connection that writes the records: many rows in one transaction, tried again when the database fails.

A row that the database refuses for good is logged, counted and passed over: trying again would refuse it again and
hold up all others. Anything else that fails (disk full, file locked or gone) ends the transaction; the caller keeps the
rows and offers them again when `may_try`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from station.line.recording.journal import PartKey
from station.records.parts import image_paths
from station.records.schema import RecordingError, open_writer
from station.records.statement import Statement

log = structlog.get_logger()

RETRY_INTERVAL_S = 1.0
_ROW_REFUSED = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError)


class RecordWriter:
    """The recording thread's own after `open`; the others only read `trouble`, `is_full` and `refused`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._retry_at = 0.0
        self.trouble = ""
        """Why rows wait, or nothing."""
        self.is_full = False
        """The trouble is a full disk."""
        self.refused = 0
        """Rows passed over since the start."""

    @property
    def may_try(self) -> bool:
        """The last failure is long enough ago."""
        return time.monotonic() >= self._retry_at

    def open(self) -> None:
        """A database that cannot be opened now (disk full) is trouble, and no error.

        Raises:
            RecordingError: it is damaged or of a newer version.
        """
        try:
            self._connection = open_writer(self._path)
        except sqlite3.OperationalError as problem:
            self._failed(problem)

    def images(self) -> list[str]:
        """The images that rows name; none while the database cannot be read."""
        if self._connection is None:
            return []
        try:
            return image_paths(self._connection)
        except sqlite3.Error as problem:
            self._failed(problem)
            return []

    def write(self, statements: Sequence[Statement]) -> list[PartKey] | None:
        """Writes all in one transaction: the parts that are in the database for good; None: nothing was written."""
        try:
            written = self._transaction(statements)
        except (sqlite3.Error, RecordingError) as problem:
            self._failed(problem, len(statements))
            return None
        if self.trouble:
            log.info("the database can be written again")
            self.trouble = ""
            self.is_full = False
        return written

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transaction(self, statements: Sequence[Statement]) -> list[PartKey]:
        if self._connection is None:
            self._connection = open_writer(self._path)
        written: list[PartKey] = []
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            if not self._execute(self._connection, statement):
                continue
            for dependent in statement.dependent:
                self._execute(self._connection, dependent)
            if statement.part is not None:
                written.append(statement.part)
        self._connection.execute("COMMIT")
        return written

    def _execute(self, connection: sqlite3.Connection, statement: Statement) -> bool:
        """False when the database refuses this row."""
        try:
            connection.execute(statement.sql, statement.values)
        except (*_ROW_REFUSED, OverflowError) as problem:
            self.refused += 1
            log.error("row refused by the database", problem=str(problem), **statement.values)
            return False
        return True

    def _failed(self, problem: Exception, rows: int = 0) -> None:
        self.is_full = "full" in str(problem)
        self._retry_at = time.monotonic() + RETRY_INTERVAL_S
        if not self.trouble:
            log.error("records wait: the database cannot be written", problem=str(problem), rows=rows)
        self.trouble = f"records wait: {problem}"
        if self._connection is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
        if not self.is_full:
            # A full disk leaves the connection sound, and its write-ahead log has its space already.
            self.close()
