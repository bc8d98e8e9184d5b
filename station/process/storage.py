"""`process.db` in the work folder: samples with their time, and what was found in them. One writer, any readers."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROCESS_FILE = "process.db"
SCHEMA_VERSION = 1
PROCESS, COMPUTER = "process", "computer"
_SCHEMA = (
    """CREATE TABLE samples (
        id INTEGER PRIMARY KEY,
        wall_time REAL NOT NULL,
        source TEXT NOT NULL,  -- process or computer
        at_values TEXT NOT NULL  -- JSON: value by name; a name that is missing was not read
    )""",
    "CREATE INDEX samples_by_time ON samples (source, wall_time)",
    """CREATE TABLE findings (
        id INTEGER PRIMARY KEY,
        wall_time REAL NOT NULL,
        kind TEXT NOT NULL,
        begins INTEGER NOT NULL,  -- 1: begins, 0: is over
        detail TEXT NOT NULL
    )""",
)


class ProcessError(Exception):
    """The file cannot be used; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that begins or is over."""

    wall_time: float
    kind: str
    begins: bool
    detail: str


class Writer:
    """The one writer."""

    def __init__(self, file: Path) -> None:
        """Raises ProcessError."""
        try:
            self._connection = sqlite3.connect(file, timeout=5.0, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._create(file)
        except sqlite3.Error as problem:
            raise ProcessError(
                f'"{file}": {problem}; move the file away, station process run makes a new one'
            ) from problem

    def _create(self, file: Path) -> None:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise ProcessError(f'"{file}" has schema version {version}, this station knows up to {SCHEMA_VERSION}')
        if version == 0:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._connection.execute("COMMIT")

    def sample(self, at: float, source: str, values: Mapping[str, float]) -> None:
        """Keeps what was read. Raises ProcessError: disk full, file gone."""
        known = {name: value for name, value in values.items() if math.isfinite(value)}
        self._do("INSERT INTO samples (wall_time, source, at_values) VALUES (?, ?, ?)", (at, source, json.dumps(known)))

    def found(self, finding: Finding) -> None:
        """Keeps what begins or is over. Raises ProcessError."""
        row = (finding.wall_time, finding.kind, finding.begins, finding.detail[:1000])
        self._do("INSERT INTO findings (wall_time, kind, begins, detail) VALUES (?, ?, ?, ?)", row)

    def forget(self, before: float) -> None:
        """Deletes samples that are older. Raises ProcessError."""
        self._do("DELETE FROM samples WHERE wall_time < ?", (before,))

    def close(self) -> None:
        self._connection.close()

    def _do(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as problem:
            raise ProcessError(f"process values are not kept: {problem}") from problem


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection | None]:
    """A read-only connection; None: nothing was recorded yet. Raises ProcessError."""
    if not file.exists():
        yield None
        return
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as connection:
            if int(connection.execute("PRAGMA user_version").fetchone()[0]) not in (0, SCHEMA_VERSION):
                raise ProcessError(f'"{file}" is of another version of the station')
            yield connection
    except sqlite3.Error as problem:
        raise ProcessError(f'"{file}" cannot be read: {problem}') from problem


def samples(
    connection: sqlite3.Connection, source: str, since: float, until: float, most: int = 1_000_000
) -> list[tuple[float, dict[str, float]]]:
    """(time, values) of a period, the newest `most` in the order of time."""
    rows = connection.execute(
        "SELECT wall_time, at_values FROM samples WHERE source = ? AND wall_time >= ? AND wall_time < ? "
        "ORDER BY wall_time DESC LIMIT ?",
        (source, since, until, most),
    ).fetchall()
    return [(float(at), json.loads(text)) for at, text in reversed(rows)]


def findings(connection: sqlite3.Connection, newest: int) -> list[Finding]:
    """The newest ones, newest first."""
    rows = connection.execute(
        "SELECT wall_time, kind, begins, detail FROM findings ORDER BY id DESC LIMIT ?", (newest,)
    ).fetchall()
    return [Finding(float(at), kind, bool(begins), detail) for at, kind, begins, detail in rows]


def at_time(connection: sqlite3.Connection, when: float, longest_s: float) -> tuple[float, dict[str, float]] | None:
    """The last process values before a part was triggered, for whoever looks for a cause; None: none in that time."""
    row = connection.execute(
        "SELECT wall_time, at_values FROM samples WHERE source = ? AND wall_time <= ? AND wall_time > ? "
        "ORDER BY wall_time DESC LIMIT 1",
        (PROCESS, when, when - longest_s),
    ).fetchone()
    return None if row is None else (float(row[0]), json.loads(row[1]))
