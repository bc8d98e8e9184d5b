"""The cursors in `plant.db`: where each connector stands, what it could not send, how it does.

    record 4711 ──sent──► cursor (4711, run, number) ──kill -9──► the next start goes on behind it

A cursor moves only after the other side has taken the record, so a record is sent at least once. `synchronous` is
NORMAL: a power cut may put the last cursor back, and what was sent behind it comes again under the same id.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from station.access.shared_folder import made, reading

FOLDER, FILE, LOCK = "plant", "plant.db", "plant.lock"
SCHEMA_VERSION = 1
MAX_PARKED = 10_000
"""Of a connector; the oldest go first, and are counted as left out."""

_SCHEMA = (
    """CREATE TABLE connectors (
        name TEXT PRIMARY KEY,
        last_id INTEGER NOT NULL,  -- row of `parts` that was taken last
        session TEXT NOT NULL,  -- of that row: others under its id are the records of another database
        acquisition_id INTEGER NOT NULL,
        sent INTEGER NOT NULL DEFAULT 0,
        left_out INTEGER NOT NULL DEFAULT 0,  -- deleted before they could be sent
        left_out_at REAL,
        failing_since REAL,  -- NULL: it works
        detail TEXT NOT NULL DEFAULT '',
        sent_at REAL
    )""",
    """CREATE TABLE parked (
        id INTEGER PRIMARY KEY,
        connector TEXT NOT NULL,
        session TEXT NOT NULL,
        acquisition_id INTEGER NOT NULL,
        at REAL NOT NULL,
        why TEXT NOT NULL,
        UNIQUE (connector, session, acquisition_id)
    )""",
)


class ForwardingError(Exception):
    """The cursors cannot be read or written; the message says why."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The record that the other side has taken last; `last_id` 0: none yet."""

    last_id: int
    session: str = ""
    acquisition_id: int = 0


@dataclass(frozen=True, slots=True)
class Parked:
    """A part whose event the other side will never take."""

    session: str
    acquisition_id: int
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How a connector does."""

    name: str
    cursor: Cursor
    sent: int
    """Parts that were taken, repeated ones counted again."""
    parked: int
    """Parts that the other side refused for good."""
    left_out: int
    """Parts that retention deleted before they could be sent."""
    left_out_at: float | None
    failing_since: float | None
    """Seconds since the epoch; None: it works."""
    detail: str
    """Why it fails."""
    sent_at: float | None


def forwarding_beside(records: Path) -> Path:
    """The file of the cursors of these records (a folder), whether it is there or not."""
    return records.parent / FOLDER / FILE


def read_progress(file: Path) -> list[Progress]:
    """Every connector that has ever run. None ran where there is no file. Raises ForwardingError."""
    try:
        if not file.exists():
            return []
        connection, version = reading(file, 2.0)
        with closing(connection):
            return list(_all(connection)) if version else []
    except (OSError, sqlite3.Error) as problem:
        raise ForwardingError(f'"{file}" cannot be read: {problem}') from problem


def is_running(file: Path) -> bool:
    """Whether a plant process holds these cursors now."""
    try:
        with (file.parent / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class Cursors:
    """The cursors for the one process that moves them. Every method is one transaction. Raises ForwardingError."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._problems():
            file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            made(file)
            self._connection = sqlite3.connect(file, timeout=5.0, isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._create()

    def close(self) -> None:
        self._connection.close()

    def of(self, name: str) -> Progress | None:
        """None: this connector has never run."""
        with self._problems():
            return next((one for one in _all(self._connection) if one.name == name), None)

    def place(self, name: str, cursor: Cursor) -> None:
        """Puts a cursor somewhere: the first time, when the records are others, or when a person sends again."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO connectors (name, last_id, session, acquisition_id) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id, session = excluded.session, "
                "acquisition_id = excluded.acquisition_id",
                (name, cursor.last_id, cursor.session, cursor.acquisition_id),
            )

    def taken(self, name: str, cursor: Cursor, count: int, at: float) -> None:
        """The other side has `count` more parts, the last one at `cursor`."""
        self._move(name, cursor, "sent = sent + ?, sent_at = ?, failing_since = NULL, detail = ''", (count, at))

    def left_out(self, name: str, count: int, at: float) -> None:
        """This number of parts was deleted before they could be sent."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE connectors SET left_out = left_out + ?, left_out_at = ? WHERE name = ?", (count, at, name)
            )

    def park(self, name: str, cursor: Cursor, why: str, at: float) -> None:
        """The part at `cursor` is not sent any more; it is kept in mind."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO parked (connector, session, acquisition_id, at, why) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (connector, session, acquisition_id) DO UPDATE SET at = excluded.at, why = excluded.why",
                (name, cursor.session, cursor.acquisition_id, at, why),
            )
            gone = connection.execute(
                "DELETE FROM parked WHERE connector = ? AND id NOT IN "
                "(SELECT id FROM parked WHERE connector = ? ORDER BY id DESC LIMIT ?)",
                (name, name, MAX_PARKED),
            ).rowcount
            connection.execute(
                "UPDATE connectors SET last_id = ?, session = ?, acquisition_id = ?, left_out = left_out + ?, "
                "left_out_at = CASE WHEN ? THEN ? ELSE left_out_at END WHERE name = ?",
                (cursor.last_id, cursor.session, cursor.acquisition_id, gone, gone, at, name),
            )

    def parked(self, name: str) -> list[Parked]:
        """In the order in which they were parked."""
        with self._problems():
            found = self._connection.execute(
                "SELECT session, acquisition_id, at, why FROM parked WHERE connector = ? ORDER BY id", (name,)
            )
            return [Parked(*row) for row in found]

    def unpark(self, name: str, part: Parked) -> None:
        """It was taken after all, or is no longer on record."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM parked WHERE connector = ? AND session = ? AND acquisition_id = ?",
                (name, part.session, part.acquisition_id),
            )

    def failing(self, name: str, since: float | None, detail: str) -> None:
        """What people read: since when it fails, and why. None: it works."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE connectors SET failing_since = ?, detail = ? WHERE name = ?", (since, detail, name)
            )

    def _move(self, name: str, cursor: Cursor, more: str, values: tuple[object, ...]) -> None:
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE connectors SET last_id = ?, session = ?, acquisition_id = ?, {more} WHERE name = ?",
                (cursor.last_id, cursor.session, cursor.acquisition_id, *values, name),
            )

    def _create(self) -> None:
        with self._transaction() as connection:
            version = _version(connection)
            if version > SCHEMA_VERSION:
                raise ForwardingError(
                    f'"{self._file}" has schema version {version}, this station knows up to {SCHEMA_VERSION}; use the '
                    "newer station, or move the file away: then what comes from now on is sent"
                )
            if version == 0:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._problems():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as problem:
            raise ForwardingError(f'"{self._file}" cannot be used: {problem}') from problem


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _all(connection: sqlite3.Connection) -> Iterator[Progress]:
    query = (
        "SELECT *, (SELECT COUNT(*) FROM parked WHERE connector = connectors.name) AS parked FROM connectors "
        "ORDER BY name"
    )
    for row in connection.execute(query):
        yield Progress(
            name=row["name"],
            cursor=Cursor(row["last_id"], row["session"], row["acquisition_id"]),
            sent=row["sent"],
            parked=row["parked"],
            left_out=row["left_out"],
            left_out_at=row["left_out_at"],
            failing_since=row["failing_since"],
            detail=row["detail"],
            sent_at=row["sent_at"],
        )
