"""The schema of `records.db`, how older ones become this one, and the two ways to open it.

One row of `parts` per part, one of `views` per camera that has seen it, `events` for what is no part.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from station.access.shared_folder import connected, has_content, reading
from station.records import audit, challenges, configurations, ejections, old_rows, selection
from station.records.batches import rows as batches
from station.records.engines import shadows

DATABASE_FILE = "records.db"
SCHEMA_VERSION = 3

_SESSIONS = """CREATE TABLE sessions (
        session TEXT PRIMARY KEY,
        start_wall_time REAL,
        end_wall_time REAL,
        clean INTEGER  -- 1: stopped in order, 0: killed, NULL: running
    )"""

_PARTS = (
    """CREATE TABLE parts (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (session),
        acquisition_id INTEGER NOT NULL,
        part_id INTEGER NOT NULL,
        source TEXT NOT NULL,
        encoder_count INTEGER NOT NULL,
        wall_time REAL NOT NULL,
        signalled_ms REAL,
        verdict TEXT NOT NULL CHECK (verdict IN ('PASS', 'FAIL', 'REVIEW', 'ERROR')),
        reasons TEXT NOT NULL,  -- JSON [{"code", "detail"}]
        score REAL,  -- the highest of its views
        reject_score REAL,  -- the reject limit of that view
        defect_area_mm2 REAL,  -- of all views together
        engine_id TEXT NOT NULL,
        recipe TEXT NOT NULL,
        recipe_checksum TEXT NOT NULL,
        config_checksum TEXT NOT NULL,
        challenge INTEGER,  -- the run of the challenge test, NULL: production
        late INTEGER NOT NULL,  -- an answer came after the verdict; it is among the views
        late_verdict TEXT,
        recovered INTEGER NOT NULL,  -- written after a restart, from the journal
        extra TEXT NOT NULL,  -- JSON object
        UNIQUE (session, acquisition_id)
    )""",
    "CREATE INDEX parts_by_time ON parts (wall_time)",
)

_VIEWS = (
    """CREATE TABLE views (
        id INTEGER PRIMARY KEY,
        part INTEGER NOT NULL REFERENCES parts (id),
        camera TEXT NOT NULL,
        frame_id INTEGER NOT NULL,
        received_ms REAL,
        inspection_start_ms REAL,
        engine_start_ms REAL,
        engine_end_ms REAL,
        decided_ms REAL,
        verdict TEXT NOT NULL CHECK (verdict IN ('PASS', 'FAIL', 'REVIEW', 'ERROR')),
        reasons TEXT NOT NULL,
        score REAL,  -- 0 to 1, see engines.scale
        raw_score REAL,  -- in the units of the engine
        reject_score REAL,  -- the reject limit, on the scale of score
        defect_area_mm2 REAL,
        region_count INTEGER,
        regions TEXT NOT NULL,  -- JSON, as results.Region
        mean_grey REAL,
        saturated_share REAL,
        sharpness REAL,
        image_path TEXT,  -- relative to the folder of this file
        map_path TEXT,
        map_low REAL,  -- what grey 0 and 255 of the stored map stand for
        map_high REAL,
        image_skipped TEXT,  -- why an image that should be there was not stored
        image_deleted INTEGER NOT NULL DEFAULT 0,  -- by the disk budget
        UNIQUE (part, camera)
    )""",
    "CREATE INDEX views_with_image ON views (image_path) WHERE image_path IS NOT NULL",
)

_EVENTS = (
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (session),
        wall_time REAL NOT NULL,
        kind TEXT NOT NULL,
        level TEXT NOT NULL,
        detail TEXT NOT NULL
    )""",
    "CREATE INDEX events_by_kind ON events (kind, session)",
)

_OTHER_TABLES = (ejections.TABLE, challenges.TABLE, batches.TABLE, configurations.TABLE)

_KEPT_OF_PARTS_2 = (
    "id, session, acquisition_id, part_id, source, encoder_count, wall_time, signalled_ms, verdict, reasons, score, "
    "reject_score, defect_area_mm2, engine_id, recipe, config_checksum, late, late_verdict, recovered, extra"
)
_MOVED_TO_VIEWS = (
    "camera, frame_id, received_ms, inspection_start_ms, engine_start_ms, engine_end_ms, decided_ms, score, raw_score, "
    "reject_score, defect_area_mm2, region_count, regions, mean_grey, saturated_share, sharpness, "
    "image_path, map_path, map_low, map_high, image_skipped, image_deleted"
)

_STEPS: dict[int, tuple[str, ...]] = {
    0: (_SESSIONS, *_PARTS, *_VIEWS, *_EVENTS),
    1: (
        # its scores and limits were in the units of the engine
        "ALTER TABLE parts ADD COLUMN raw_score REAL",
        """UPDATE parts SET extra = json_set(extra, '$.raw_reject_score', CAST(reject_score AS TEXT))
            WHERE reject_score IS NOT NULL""",
        "UPDATE parts SET raw_score = score, score = NULL, reject_score = NULL",
    ),
    2: (
        # a part was what its one camera saw
        "DROP INDEX parts_by_time",
        "DROP INDEX parts_with_image",
        "ALTER TABLE parts RENAME TO parts_2",
        *_PARTS,
        *_VIEWS,
        f"INSERT INTO parts ({_KEPT_OF_PARTS_2}, recipe_checksum) SELECT {_KEPT_OF_PARTS_2}, '' FROM parts_2",
        f"""INSERT INTO views (part, verdict, reasons, {_MOVED_TO_VIEWS})
            SELECT id, COALESCE(late_verdict, verdict), CASE WHEN late THEN '[]' ELSE reasons END, {_MOVED_TO_VIEWS}
            FROM parts_2 WHERE camera IS NOT NULL""",
        "DROP TABLE parts_2",
    ),
}
"""From each version to the next; an empty file gets the newest at once."""


class RecordingError(Exception):
    """The records cannot be used: no permission, not a database, or written by a newer version."""


def open_writer(path: Path) -> sqlite3.Connection:
    """Opens or creates the database for the one writer. Raises RecordingError, sqlite3.OperationalError (disk)."""
    if path.is_dir():
        raise RecordingError(f'"{path}" is a folder; move it away, the station makes the file')
    if path.exists() and not os.access(path, os.W_OK):
        raise RecordingError(f'"{path}" cannot be written: no permission, or a read-only medium')
    # Opened by the thread that starts the station, then used by the recording thread only.
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        _migrate(connection, path)
        for statement in (
            *audit.SCHEMA,
            ejections.TABLE,
            challenges.TABLE,
            batches.TABLE,
            configurations.TABLE,
            *shadows.SCHEMA,
        ):
            connection.execute(statement)
        ejections.add_new_columns(connection)
        audit.begin_chain(connection)
        _check_tables(connection, path)
        for statement in (*old_rows.INDEXES, *selection.INDEXES, batches.INDEX):
            connection.execute(statement)
    except sqlite3.Error as problem:
        connection.close()
        if isinstance(problem, sqlite3.OperationalError):
            raise
        raise RecordingError(f'"{path}": {problem}; move the file away, the station makes a new one') from problem
    except RecordingError:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """All steps in one transaction: a station that is killed meanwhile finds the old version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    _check_not_newer(version, path)
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for step in range(version, SCHEMA_VERSION if version else 1):
        for statement in _STEPS[step]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _check_not_newer(version: int, path: Path) -> None:
    if version > SCHEMA_VERSION:
        raise RecordingError(
            f'"{path}" has schema version {version}, this station knows up to {SCHEMA_VERSION}; use the newer station, '
            "restore the backup made before the upgrade, or move the file away"
        )


def usable_schema(path: Path) -> int:
    """The schema version of records that a start would take as they are or convert; changes nothing.

    Raises:
        RecordingError: a start would refuse them.
    """
    file = path / DATABASE_FILE
    if file.is_dir():
        raise RecordingError(f'"{file}" is a folder; move it away, the station makes the file')
    try:
        connection, version = connected(file, "mode=ro", 5.0)
        with contextlib.closing(connection):
            _check_not_newer(version, file)
            if version == SCHEMA_VERSION:
                _check_tables(connection, file)
    except sqlite3.Error as problem:
        raise RecordingError(f'"{file}": {problem}') from problem
    return version


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Raises RecordingError when somebody has removed a table."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if missing := [name for name in ("sessions", "parts", "views", "events") if name not in there]:
        raise RecordingError(
            f'"{path}" has no table {", ".join(missing)}; move the file away, the station makes a new one'
        )


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection to the database file or the folder that holds it. Close it after use.

    Also without permission to write there, and on a read-only medium, where SQLite cannot make its shared memory.

    Raises:
        RecordingError: there is no database, or it is of another version.
    """
    file = path / DATABASE_FILE if path.is_dir() else path
    if file.is_dir():
        raise RecordingError(f'records "{file}" cannot be read: it is a folder')
    try:
        connection, version = reading(file, 5.0)
    except sqlite3.Error as problem:
        raise RecordingError(f'records "{file}" cannot be read: {problem}' + _what_to_do(file)) from problem
    if version != SCHEMA_VERSION:
        connection.close()
        raise RecordingError(
            f'records "{file}" have schema version {version}, expected {SCHEMA_VERSION}: '
            "the station converts older ones at its next start"
        )
    return connection


def _what_to_do(file: Path) -> str:
    if file.is_file() and not os.access(file.parent, os.W_OK) and has_content(file.with_name(file.name + "-wal")):
        return "; the station that wrote them was killed: copy the folder to where you may write, and read it there"
    return ""
