"""The one connection that writes the records: many rows in one transaction, tried again when the database fails.

Before each transaction it looks whether its file is still the one at that path: SQLite goes on writing into a file that
was removed, and nobody would ever read those rows.

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
from station.records.audit import Head, head_of, is_of_audit
from station.records.parts import image_paths
from station.records.schema import RecordingError, open_writer
from station.records.sessions import unended_sessions
from station.records.statement import Statement

log = structlog.get_logger()

RETRY_INTERVAL_S = 1.0
_FILES = ("", "-wal", "-shm")
_Identity = tuple[tuple[int, int], ...]
_ROW_REFUSED = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError)


class RecordWriter:
    """The recording thread's own after `open`; the others only read `trouble`, `is_full`, `refused` and `replaced`."""

    def __init__(self, path: Path, first: Sequence[Statement] = ()) -> None:
        """`first` is written into every file that is opened, before anything else: the session of the rows."""
        self._path = path
        self._first = first
        self._connection: sqlite3.Connection | None = None
        self._file: _Identity = ()
        """What lay at the path when it was opened."""
        self._retry_at = 0.0
        self.trouble = ""
        """Why rows wait, or nothing."""
        self.is_full = False
        """The trouble is a full disk."""
        self.refused = 0
        """Rows passed over since the start."""
        self.replaced = 0
        """How often another file, or none, lay at the path."""
        self._head: Head | None = None
        """Of the audit log, as it was logged last."""
        self.unended: list[str] = []
        """Sessions that had not ended when the first file was opened: their station was killed, or lost its power."""

    @property
    def is_open(self) -> bool:
        return self._connection is not None

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
            self._open()
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
        if self._connection is not None and _identity(self._path) != self._file:
            self.replaced += 1
            log.error("the database was removed or replaced while the station runs", path=str(self._path))
            self._leave(self._connection)
        connection = self._connection or self._open()
        written: list[PartKey] = []
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            if not self._execute(connection, statement):
                continue
            for dependent in statement.dependent:
                self._execute(connection, dependent)
            if statement.part is not None:
                written.append(statement.part)
        connection.execute("COMMIT")
        if any(map(is_of_audit, statements)):
            self._log_head(connection)
        return written

    def _log_head(self, connection: sqlite3.Connection) -> None:
        """Into the log, which other users keep: whoever writes the chain anew cannot take that back."""
        head = head_of(connection)
        if head is not None and head != self._head:
            self._head = head
            log.info("audit head", head=str(head))

    def _leave(self, connection: sqlite3.Connection) -> None:
        """Completes the file that was at the path, wherever it is now, and takes its log away: SQLite leaves that of a
        file that was moved, and would take its pages for those of the next file.
        """
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.close()
        now = _identity(self._path)
        for suffix, opened, there in zip(_FILES[1:], self._file[1:], now[1:], strict=True):
            if opened == there and self._file[0] != now[0]:
                with contextlib.suppress(OSError):
                    self._path.with_name(self._path.name + suffix).unlink()

    def _open(self) -> sqlite3.Connection:
        """Raises as `open_writer`; the connection is closed then."""
        connection = open_writer(self._path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            if not self._file:
                self.unended = unended_sessions(connection)
            for statement in self._first:
                connection.execute(statement.sql, statement.values)
            connection.execute("COMMIT")
        except sqlite3.Error:
            connection.close()
            raise
        self._file = _identity(self._path)
        self._connection = connection
        return connection

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


def _identity(path: Path) -> _Identity:
    """Device and inode of the database, its write-ahead log and shared memory; (0, 0) for one that is not there."""
    return tuple(_place(path.with_name(path.name + suffix)) for suffix in _FILES)


def _place(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
