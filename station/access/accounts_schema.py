"""The schema of `hmi.db`, in which the pages keep people, logins and what was done: made when it is first opened.

`synchronous = FULL`: what was shown as saved is on disk. Only its owner reads it: it holds the stored passwords.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ACCOUNTS_FILE = "hmi.db"
SCHEMA_VERSION = 2
MODE, FOLDER_MODE = 0o600, 0o750

_VERSION_1 = (
    """CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        roles TEXT NOT NULL,  -- JSON list
        password TEXT,  -- NULL: has not chosen one yet
        code BLOB,  -- digest of the one-time code with which a password is chosen
        code_ends REAL,
        state TEXT NOT NULL CHECK (state IN ('invited', 'active', 'locked')),
        created_at REAL NOT NULL,
        created_by TEXT NOT NULL
    )""",
    """CREATE TABLE logins (
        hash BLOB PRIMARY KEY,  -- of the token in the cookie
        user INTEGER NOT NULL REFERENCES users (id),
        made_at REAL NOT NULL,
        seen_at REAL NOT NULL,
        ends_at REAL NOT NULL,
        address TEXT NOT NULL,
        csrf TEXT NOT NULL
    )""",
    # Wrong tries in a row, of names (known or not) and of addresses.
    """CREATE TABLE tries (
        who TEXT PRIMARY KEY, failed INTEGER NOT NULL, last_at REAL NOT NULL, locked_until REAL NOT NULL)""",
    """CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        via TEXT NOT NULL,
        action TEXT NOT NULL,
        object TEXT NOT NULL,
        result TEXT NOT NULL,
        prev BLOB NOT NULL,
        hash BLOB NOT NULL
    )""",
    """CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
)

_VERSION_2 = (
    # Of programs. A token is long and random, so its digest needs no salt.
    """CREATE TABLE tokens (
        hash BLOB PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        rights TEXT NOT NULL,  -- JSON list
        made_by TEXT NOT NULL,
        made_at REAL NOT NULL,
        ends_at REAL NOT NULL,
        used_at REAL
    )""",
)
_STEPS = (_VERSION_1, _VERSION_2)
"""From each version to the next one."""


class AccountError(Exception):
    """The accounts cannot be read, or what was asked cannot be done; the message says why and what to do."""


@contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database of this folder. Raises AccountError, also for what SQLite refuses within the block."""
    file = folder / ACCOUNTS_FILE
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, MODE))
        with closing(sqlite3.connect(file, timeout=5.0, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if _version(connection) != SCHEMA_VERSION:
                _create(connection, file)
            yield connection
    except OSError as problem:
        raise AccountError(f'accounts "{file}" cannot be opened: {problem.strerror or problem}') from problem
    except sqlite3.Error as problem:
        raise AccountError(f'accounts "{file}": {problem}; run it as the user of the pages') from problem


@contextmanager
def change(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction; nothing of it stays when it fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _create(connection: sqlite3.Connection, file: Path) -> None:
    with change(connection):
        version = _version(connection)
        if version > SCHEMA_VERSION:
            raise AccountError(
                f'accounts "{file}" have schema version {version}, this station knows up to {SCHEMA_VERSION}; '
                "use the newer station"
            )
        for step in _STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
