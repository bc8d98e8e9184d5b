"""The schema of `labels.db`, and the two ways to open it.

Its owner writes, its group reads. Not in WAL mode: a label is one small row now and then, and a reader that may not
write (a refresh, a report) needs no files beside it. A label that was reported as saved is on disk.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

LABELS_FILE = "labels.db"
"""In the work folder of the station."""
SCHEMA_VERSION = 1
MODE = 0o640

_VERSION_1 = (
    """CREATE TABLE classes (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL COLLATE NOCASE,
        severity TEXT NOT NULL CHECK (severity IN ('critical', 'major', 'minor', 'cosmetic')),
        made_by TEXT NOT NULL,
        made_at REAL NOT NULL,
        retired_at REAL  -- never deleted: old decisions name it
    )""",
    "CREATE UNIQUE INDEX classes_in_use ON classes (name) WHERE retired_at IS NULL",
    """CREATE TABLE decisions (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL,
        acquisition_id INTEGER NOT NULL,
        camera TEXT,  -- NULL: the part, whatever view
        part_id INTEGER NOT NULL,
        wall_time REAL NOT NULL,  -- of the part
        label TEXT NOT NULL CHECK (label IN ('good', 'defective', 'unsure')),
        class INTEGER REFERENCES classes (id),
        comment TEXT NOT NULL,
        reviewer TEXT NOT NULL,
        role TEXT NOT NULL,
        at REAL NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('decide', 'undo', 'overrule')),
        refers INTEGER REFERENCES decisions (id),  -- the decision that this one replaces
        saw TEXT NOT NULL,  -- JSON: what the station said of the part
        CHECK (class IS NULL OR label = 'defective')
    )""",
    "CREATE INDEX decisions_by_part ON decisions (session, acquisition_id, id)",
    """CREATE TRIGGER decisions_are_never_changed BEFORE UPDATE ON decisions
        BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END""",
    """CREATE TRIGGER decisions_are_never_deleted BEFORE DELETE ON decisions
        BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END""",
    # What holds: the last word on each part or view, without what was withdrawn or is not known.
    """CREATE VIEW labels AS
        SELECT d.id, d.session, d.acquisition_id, d.camera, d.part_id, d.wall_time, d.label, c.name AS class,
               c.severity, d.comment, d.reviewer, d.role, d.at
        FROM decisions AS d LEFT JOIN classes AS c ON c.id = d.class
        WHERE d.kind <> 'undo' AND d.label <> 'unsure' AND d.id = (
            SELECT MAX(id) FROM decisions
            WHERE session = d.session AND acquisition_id = d.acquisition_id AND camera IS d.camera)""",
)


class LabelError(Exception):
    """The labels cannot be read or written, or what is to be written is not allowed; the message says why."""


def labels_beside(records: Path) -> Path:
    """Where the labels of the parts in this folder of records, or in its database, are kept."""
    return (records.parent if records.is_file() else records).parent / LABELS_FILE


def open_writer(file: Path) -> sqlite3.Connection:
    """Opens or creates the database. Close it after use. Raises LabelError."""
    try:
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, MODE))
            file.chmod(MODE)
        if not os.access(file, os.W_OK):
            raise LabelError(f'labels "{file}" belong to {file.owner()}, who alone may label')
        connection = sqlite3.connect(file, timeout=5.0, isolation_level=None)
    except OSError as problem:
        raise LabelError(f'labels "{file}" cannot be written: {problem.strerror}') from problem
    except sqlite3.Error as problem:
        raise LabelError(f'labels "{file}" cannot be written: {problem}') from problem
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _create(connection, file)
    except BaseException as problem:
        connection.close()
        if isinstance(problem, sqlite3.Error):
            raise LabelError(f'labels "{file}" cannot be written: {problem}') from problem
        raise
    return connection


def open_reader(file: Path) -> sqlite3.Connection | None:
    """A read-only connection; None when nobody has labelled anything. Close it after use. Raises LabelError."""
    if not file.exists():
        return None
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        connection.row_factory = sqlite3.Row
        version = _version(connection)
    except sqlite3.Error as problem:
        raise LabelError(f'labels "{file}" cannot be read: {problem}') from problem
    if version > SCHEMA_VERSION:
        connection.close()
        raise _too_new(file, version)
    if version == 0:  # another process is just creating it
        connection.close()
        return None
    return connection


def _create(connection: sqlite3.Connection, file: Path) -> None:
    """All in one transaction: who is killed meanwhile leaves an empty file, which is created again."""
    connection.execute("BEGIN IMMEDIATE")
    with contextlib.ExitStack() as undo:
        undo.callback(connection.execute, "ROLLBACK")
        version = _version(connection)
        if version > SCHEMA_VERSION:
            raise _too_new(file, version)
        for statement in _VERSION_1 if version == 0 else ():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        undo.pop_all()
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _too_new(file: Path, version: int) -> LabelError:
    return LabelError(
        f'labels "{file}" have schema version {version}, this station knows up to {SCHEMA_VERSION}; '
        "use the newer station"
    )
