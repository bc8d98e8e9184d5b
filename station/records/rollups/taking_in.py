"""The file of rollups: its table, and how it takes in what is new on record.

Parts get rising numbers and never change their verdict, so whatever has a number above the last one seen is new.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from station.records.selection import BATCH

FILE = "rollups.db"
QUARTER_S = 900
"""Shifts begin at a quarter of an hour, in every time zone."""
MOST_ROWS = 20_000
"""In one read of the records: 0.1 s, so that a reader never holds up their writer."""
_VERSION = 1
_SCHEMA = (
    """CREATE TABLE rollups (
        quarter INTEGER NOT NULL,  -- number of the quarter of an hour since the epoch
        batch INTEGER NOT NULL,  -- 0: none
        recipe TEXT NOT NULL,
        engine_id TEXT NOT NULL,
        challenge INTEGER NOT NULL,  -- 1: master parts
        verdict TEXT NOT NULL,
        codes TEXT NOT NULL,  -- of all reasons, in their order: "10,13"
        n INTEGER NOT NULL,
        PRIMARY KEY (quarter, batch, recipe, engine_id, challenge, verdict, codes)
    ) WITHOUT ROWID""",
    "CREATE INDEX rollups_by_batch ON rollups (batch) WHERE batch > 0",
    "CREATE TABLE seen (id INTEGER, session TEXT, acquisition_id INTEGER)",
)
CODES = (
    "CASE WHEN verdict = 'PASS' THEN '' ELSE (SELECT COALESCE(group_concat(json_extract(value, '$.code')), '') "
    "FROM json_each(reasons)) END"
)
"""In a statement on `parts`."""
LAST_OF_A_STEP = "SELECT id, session, acquisition_id FROM parts WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"
_LAST = "SELECT id, session, acquisition_id FROM parts WHERE id > ? ORDER BY id DESC LIMIT 1"
_NEW = f"""SELECT CAST(wall_time / {QUARTER_S} AS INTEGER), COALESCE({BATCH}, 0), recipe, engine_id,
    challenge IS NOT NULL, verdict, {CODES}, COUNT(*)
    FROM parts WHERE id > ? AND id <= ? GROUP BY 1, 2, 3, 4, 5, 6, 7"""
_ADD = """INSERT INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (quarter, batch, recipe, engine_id, challenge, verdict, codes) DO UPDATE SET n = n + excluded.n"""


@contextlib.contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """The rollups, to be written; a file that is damaged or of another version is made anew. Raises sqlite3.Error."""
    try:
        connection = _connected(file)
    except sqlite3.DatabaseError as problem:
        if isinstance(problem, sqlite3.OperationalError):
            raise
        _remove(file)
        connection = _connected(file)
    with closing(connection):
        yield connection


def take_in(rollups: sqlite3.Connection, records: sqlite3.Connection, budget_s: float) -> bool:
    """Takes in what is new, for about this time; whether nothing is left. Raises sqlite3.Error."""
    until = time.monotonic() + budget_s
    while True:
        seen = _place(rollups, records)
        last = records.execute(LAST_OF_A_STEP, (seen, MOST_ROWS - 1)).fetchone()
        is_last = last is None
        last = last or records.execute(_LAST, (seen,)).fetchone()
        if last is None:
            return True
        new = records.execute(_NEW, (seen, last[0])).fetchall()
        rollups.execute("BEGIN IMMEDIATE")
        try:
            if _seen(rollups) != seen:
                rollups.execute("ROLLBACK")  # another thread was faster
                continue
            rollups.executemany(_ADD, [tuple(row) for row in new])
            rollups.execute("DELETE FROM seen")
            rollups.execute("INSERT INTO seen VALUES (?, ?, ?)", tuple(last))
            rollups.execute("COMMIT")
        except sqlite3.Error:
            if rollups.in_transaction:
                rollups.execute("ROLLBACK")
            raise
        if is_last:
            return True
        if time.monotonic() > until:
            return False


@contextlib.contextmanager
def as_left(file: Path, records: sqlite3.Connection) -> Iterator[sqlite3.Connection | None]:
    """The rollups as another process keeps them, only to be read; they may lack what is new. None: there are none, they
    cannot be read, or they are those of other records. Raises what the block raises.
    """
    rollups = None
    try:
        rollups = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0, isolation_level=None)
        version = rollups.execute("PRAGMA user_version").fetchone()[0]
        usable = version == _VERSION and place_of(rollups, records) is not None
    except sqlite3.Error:
        usable = False
    try:
        yield rollups if usable else None
    finally:
        if rollups is not None:
            rollups.close()


def place_of(rollups: sqlite3.Connection, records: sqlite3.Connection) -> int | None:
    """The number of the last part that was taken in; None: it was of other records than these. Raises sqlite3.Error."""
    row = rollups.execute("SELECT id, session, acquisition_id FROM seen").fetchone()
    if row is None:
        return 0
    there = records.execute("SELECT session, acquisition_id FROM parts WHERE id = ?", (row[0],)).fetchone()
    if there is not None and tuple(there) == (row[1], row[2]):
        return int(row[0])
    newest = records.execute("SELECT id FROM parts ORDER BY id DESC LIMIT 1").fetchone()
    known = records.execute("SELECT 1 FROM sessions WHERE session = ?", (row[1],)).fetchone() is not None
    if there is None and known and (newest is None or newest[0] > row[0]):
        return int(row[0])  # retention has taken that part
    return None


def _place(rollups: sqlite3.Connection, records: sqlite3.Connection) -> int:
    """The number of the last part that was taken in. Of other records than these nothing is kept."""
    place = place_of(rollups, records)
    if place is not None:
        return place
    rollups.execute("BEGIN IMMEDIATE")
    rollups.execute("DELETE FROM rollups")
    rollups.execute("DELETE FROM seen")
    rollups.execute("COMMIT")
    return 0


def _seen(rollups: sqlite3.Connection) -> int:
    row = rollups.execute("SELECT id FROM seen").fetchone()
    return 0 if row is None else int(row[0])


def _connected(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("rollups of another version")
        if version == 0:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
