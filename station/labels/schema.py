"""The schema of `labels.db`, and the two ways to open it.

What holds is computed by the views `standing` and `labels`, and the state of a part in the review queue by a trigger:
it is the same whoever writes, page, command, or another program.

Its owner writes, its group reads. Not in WAL mode: a label is one small row now and then, and a reader that may not
write (a refresh, a report) needs no files beside it. A label that was reported as saved is on disk.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from pathlib import Path

from station.access.shared_folder import file_beside, mode_in

LABELS_FILE = "labels.db"
"""In the work folder of the station."""
SCHEMA_VERSION = 5

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


_OF_THE_SAME = "session = {0}.session AND acquisition_id = {0}.acquisition_id"
_STATE = f"""(
            SELECT CASE WHEN COUNT(*) = 0 THEN 'open'
                WHEN SUM(label = 'unsure') > 0 THEN 'unsure'
                WHEN COUNT(DISTINCT label) > 1 THEN 'disagree'
                WHEN SUM(blind = 0) > 0 OR COUNT(*) >= items.needs THEN 'answered'
                ELSE 'open' END
            FROM standing WHERE {_OF_THE_SAME.format("items")} AND camera IS NULL)"""

_ITEMS_SETTLED = (
    f"""CREATE TRIGGER decisions_settle_items AFTER INSERT ON decisions WHEN NEW.camera IS NULL
        BEGIN UPDATE items SET version = version + 1, leased_by = NULL, leased_until = NULL, state = {_STATE}
            WHERE {_OF_THE_SAME.format("NEW")}; END""",
    f"""CREATE TRIGGER items_begin_settled AFTER INSERT ON items
        BEGIN UPDATE items SET state = {_STATE} WHERE id = NEW.id; END""",
)

_VERSION_2 = (
    "ALTER TABLE classes ADD COLUMN colour TEXT",  # as #rrggbb; NULL: that of its severity
    "ALTER TABLE classes ADD COLUMN key INTEGER",  # 1 to 9, on the keyboard of a reviewer
    "ALTER TABLE decisions ADD COLUMN blind INTEGER NOT NULL DEFAULT 0",  # 1: two people look, neither sees the other
    "ALTER TABLE decisions ADD COLUMN took_ms INTEGER",
    "ALTER TABLE decisions ADD COLUMN request TEXT",  # of a page that asks again because no answer came
    "CREATE UNIQUE INDEX decisions_by_request ON decisions (request) WHERE request IS NOT NULL",
    # What waits for a person, one row a part.
    """CREATE TABLE items (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL,
        acquisition_id INTEGER NOT NULL,
        part_id INTEGER NOT NULL,
        wall_time REAL NOT NULL,  -- of the part
        verdict TEXT NOT NULL,
        why TEXT NOT NULL CHECK (why IN ('review', 'sample', 'asked')),
        inclusion REAL,  -- of a sample: the share of its verdict that it was drawn from
        made_at REAL NOT NULL,
        due_at REAL,  -- NULL: nobody waits for the part
        needs INTEGER NOT NULL DEFAULT 1 CHECK (needs IN (1, 2)),
        state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'unsure', 'disagree', 'answered')),
        leased_by TEXT,
        leased_until REAL,
        postponed_at REAL,
        version INTEGER NOT NULL DEFAULT 1,
        UNIQUE (session, acquisition_id)
    )""",
    "CREATE INDEX items_waiting ON items (due_at) WHERE state <> 'answered'",
    "CREATE INDEX items_by_time ON items (wall_time)",
    """CREATE TABLE regions (
        id INTEGER PRIMARY KEY,
        decision INTEGER NOT NULL REFERENCES decisions (id),
        camera TEXT NOT NULL,
        polygon TEXT NOT NULL,  -- JSON [[x, y], ...], 0 to 1 of the frame
        source TEXT NOT NULL CHECK (source IN ('station', 'corrected', 'drawn'))
    )""",
    "CREATE INDEX regions_by_decision ON regions (decision)",
    # The last part on record that was looked at.
    "CREATE TABLE taken_in (id INTEGER, session TEXT, acquisition_id INTEGER)",
    """CREATE TRIGGER regions_are_never_changed BEFORE UPDATE ON regions
        BEGIN SELECT RAISE(ABORT, 'regions are append-only'); END""",
    """CREATE TRIGGER regions_are_never_deleted BEFORE DELETE ON regions
        BEGIN SELECT RAISE(ABORT, 'regions are append-only'); END""",
    # What still stands: neither withdrawn nor replaced. A blind decision replaces what the same person said before,
    # any other one what anybody said.
    f"""CREATE VIEW standing AS
        SELECT d.* FROM decisions AS d WHERE d.kind <> 'undo' AND NOT EXISTS (
            SELECT 1 FROM decisions AS later
            WHERE {_OF_THE_SAME.format("d")} AND later.camera IS d.camera AND later.id > d.id
                AND (later.blind = 0 OR later.reviewer = d.reviewer))""",
    # What holds: nothing that is unsure, disputed, or waits for the second of two people.
    "DROP VIEW labels",
    f"""CREATE VIEW labels AS
        SELECT d.id, d.session, d.acquisition_id, d.camera, d.part_id, d.wall_time, d.label, c.name AS class,
               c.severity, d.comment, d.reviewer, d.role, d.at
        FROM standing AS d LEFT JOIN classes AS c ON c.id = d.class
        WHERE d.label <> 'unsure' AND 1 = (
            SELECT COUNT(DISTINCT label) = 1 AND MAX(id) = d.id AND (d.blind = 0 OR COUNT(*) > 1)
            FROM standing WHERE {_OF_THE_SAME.format("d")} AND camera IS d.camera)""",
    *_ITEMS_SETTLED,
)

_VERSION_3 = (
    # What is kept as evidence: one row for each time that a part was put into the quarantine or let go.
    """CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL,
        acquisition_id INTEGER NOT NULL,
        part_id INTEGER NOT NULL,
        wall_time REAL NOT NULL,  -- of the part
        kept INTEGER NOT NULL CHECK (kept IN (0, 1)),  -- 0: released
        why TEXT NOT NULL,
        reviewer TEXT NOT NULL,
        role TEXT NOT NULL,
        at REAL NOT NULL
    )""",
    "CREATE INDEX quarantine_by_part ON quarantine (session, acquisition_id, id)",
    """CREATE TRIGGER quarantine_is_never_changed BEFORE UPDATE ON quarantine
        BEGIN SELECT RAISE(ABORT, 'the quarantine is append-only'); END""",
    """CREATE TRIGGER quarantine_is_never_deleted BEFORE DELETE ON quarantine
        BEGIN SELECT RAISE(ABORT, 'the quarantine is append-only'); END""",
    f"""CREATE VIEW quarantined AS
        SELECT * FROM quarantine AS q WHERE kept AND id = (
            SELECT MAX(id) FROM quarantine WHERE {_OF_THE_SAME.format("q")})""",
)
_VERSION_4 = (
    # A part may wait because an engine in the shadow judges it otherwise.
    "DROP TRIGGER decisions_settle_items",
    "DROP TRIGGER items_begin_settled",
    "DROP INDEX items_waiting",
    "DROP INDEX items_by_time",
    "ALTER TABLE items RENAME TO items_3",
    """CREATE TABLE items (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL,
        acquisition_id INTEGER NOT NULL,
        part_id INTEGER NOT NULL,
        wall_time REAL NOT NULL,  -- of the part
        verdict TEXT NOT NULL,
        why TEXT NOT NULL CHECK (why IN ('review', 'sample', 'asked', 'shadow')),
        inclusion REAL,  -- of a sample: the share of its verdict that it was drawn from
        made_at REAL NOT NULL,
        due_at REAL,  -- NULL: nobody waits for the part
        needs INTEGER NOT NULL DEFAULT 1 CHECK (needs IN (1, 2)),
        state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'unsure', 'disagree', 'answered')),
        leased_by TEXT,
        leased_until REAL,
        postponed_at REAL,
        version INTEGER NOT NULL DEFAULT 1,
        UNIQUE (session, acquisition_id)
    )""",
    "INSERT INTO items SELECT * FROM items_3",
    "DROP TABLE items_3",
    "CREATE INDEX items_waiting ON items (due_at) WHERE state <> 'answered'",
    "CREATE INDEX items_by_time ON items (wall_time)",
    *_ITEMS_SETTLED,
    # The last part of a shadow that was looked at.
    "CREATE TABLE taken_in_of_shadows (id INTEGER, session TEXT, acquisition_id INTEGER)",
)
_VERSION_5 = (
    "ALTER TABLE classes ADD COLUMN number INTEGER",  # what the PLC reads; NULL: it reads 0
)
_STEPS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
"""From each version to the next."""


class LabelError(Exception):
    """The labels cannot be read or written, or what is to be written is not allowed; the message says why."""


def labels_beside(records: Path) -> Path:
    """Where the labels of the parts in this folder of records, or in its database, are kept."""
    return file_beside(records.parent if records.is_file() else records, LABELS_FILE)


def open_writer(file: Path) -> sqlite3.Connection:
    """Opens or creates the database. Close it after use. Raises LabelError."""
    try:
        if file.is_symlink():  # whoever may write the folder must not choose what the station's user opens
            raise LabelError(f'labels "{file}" are a link to elsewhere: put the file itself there')
        if not file.exists():
            mode = mode_in(file.parent)
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, mode))
            file.chmod(mode)
        if not os.access(file, os.W_OK):
            raise LabelError(f'labels "{file}" belong to {_owner_of(file)}: do it as that user, or on the pages')
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


def _owner_of(file: Path) -> str:
    try:
        return file.owner()
    except KeyError:
        return f"uid {file.stat().st_uid}"


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
        for statement in itertools.chain(*_STEPS[version:]):
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
