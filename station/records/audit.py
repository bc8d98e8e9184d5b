"""The audit log: who changed recipe, engine or configuration, from what to what, and what came of it.

Rows of the table `audit` are written once and never changed; the database refuses it. Each has a row in `audit_chain`:

    hash = sha256(hash of the row before || canonical JSON of the row)

so that one that was changed, removed or put elsewhere behind the back of the database does not fit any more. A tail
that was cut off cannot be seen from inside: hold the last hash against one that was written down.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Literal

from station.records.statement import Statement

Result = Literal["done", "refused"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, or one that was refused."""

    who: str
    """`plc`, `operator NAME`, `station` (by itself, at its start)."""
    action: str
    """`start`, `recipe`, `engine`, `configuration`, `challenge`, `online` (of a remote client), ..."""
    before: str
    after: str
    result: Result
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry on record: with the time at which it was made."""

    wall_time: float
    who: str
    action: str
    before: str
    after: str
    result: str
    detail: str


_COLUMNS = tuple(field.name for field in fields(AuditRow))
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL,
        wall_time REAL NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        result TEXT NOT NULL CHECK (result IN ('done', 'refused')),
        detail TEXT NOT NULL
    )""",
    """CREATE TRIGGER IF NOT EXISTS audit_is_never_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_is_never_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)
CHAIN = (
    """CREATE TABLE IF NOT EXISTS audit_chain (
        id INTEGER PRIMARY KEY,  -- of the row of `audit`
        prev BLOB NOT NULL,
        hash BLOB NOT NULL
    )""",
    """CREATE TRIGGER IF NOT EXISTS audit_chain_is_never_changed BEFORE UPDATE ON audit_chain
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_chain_is_never_deleted BEFORE DELETE ON audit_chain
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)
GENESIS = bytes(32)
_CHAINED = ("id", "session", *_COLUMNS)
_VALUES = ", ".join(f"a.{name}" for name in _CHAINED)
_LINK = f"""INSERT INTO audit_chain SELECT a.id, p.hash, audit_hash(p.hash, {_VALUES}) FROM audit AS a,
    (SELECT COALESCE((SELECT hash FROM audit_chain ORDER BY id DESC LIMIT 1), zeroblob(32)) AS hash) AS p
    WHERE a.id = (SELECT MIN(id) FROM audit WHERE id > (SELECT COALESCE(MAX(id), 0) FROM audit_chain))"""
"""The next row that is not in the chain yet."""
_UNCHAINED = "SELECT id FROM audit WHERE id > (SELECT COALESCE(MAX(id), 0) FROM audit_chain) LIMIT 1"
_INSERT = (
    "INSERT INTO audit (session, wall_time, who, action, before, after, result, detail) "
    "VALUES (:session, :wall_time, :who, :action, :before, :after, :result, :detail)"
)


def insert_audit(session: str, row: AuditRow) -> Statement:
    """Enters a change, or one that was refused."""
    return Statement(_INSERT, {"session": session, **asdict(row)}, dependent=(Statement(_LINK, {}),))


def is_of_audit(statement: Statement) -> bool:
    """Whether this makes an entry."""
    return statement.sql is _INSERT


CHANGES, ACCOUNTS = "changes", "accounts"
"""The chain of this log, and that of the trail of accounts."""
ROWS = {CHANGES: "SELECT id, hash FROM audit_chain", ACCOUNTS: "SELECT seq AS id, hash FROM audit"}


@dataclass(frozen=True, slots=True, order=True)
class Head:
    """The hash of a row of a chain, as it was once: `audit:changes:4711:9f86..` wherever it is kept."""

    row: int
    hash: str
    chain: str = CHANGES

    def __str__(self) -> str:
        return f"audit:{self.chain}:{self.row}:{self.hash}"


def head_of(connection: sqlite3.Connection, chain: str = CHANGES) -> Head | None:
    """The head of now; None: the chain has no rows, or there is none yet."""
    try:
        row = connection.execute(f"{ROWS[chain]} ORDER BY id DESC LIMIT 1").fetchone()
    except sqlite3.OperationalError as problem:
        if "no such table" in str(problem):
            return None
        raise
    return None if row is None else Head(row[0], bytes(row[1]).hex(), chain)


def begin_chain(connection: sqlite3.Connection) -> None:
    """Makes the chain of a connection that writes; takes in what an older station has written. Raises sqlite3.Error."""
    connection.create_function("audit_hash", 1 + len(_CHAINED), _hash, deterministic=True)
    for statement in CHAIN:
        connection.execute(statement)
    if connection.execute(_UNCHAINED).fetchone() is None:
        return
    connection.execute("BEGIN IMMEDIATE")
    while connection.execute(_LINK).rowcount > 0:
        continue
    connection.execute("COMMIT")


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the chain is whole."""

    rows: int
    head: str
    """Hash of the last row, hexadecimal: to be written down elsewhere."""
    broken: str = ""
    """The first row that does not fit, and why; empty: all do."""


def verify(connection: sqlite3.Connection, anchor: str = "") -> Verified:
    """Follows the chain. `anchor`: a hash that was written down, which must be among those of the chain. A station that
    has not run since it has a chain has none: no rows.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_chain'").fetchone():
        return Verified(0, GENESIS.hex(), "this log has no chain yet; the next start of the station makes it")
    query = (
        f"SELECT c.id, c.prev, c.hash, {_VALUES} FROM audit_chain AS c "
        "LEFT JOIN audit AS a ON a.id = c.id ORDER BY c.id"
    )
    prev, rows, seen = GENESIS, 0, not anchor
    for number, before, own, *values in connection.execute(query):
        if values[0] is None:
            return Verified(rows, prev.hex(), f"row {number} was removed")
        if before != prev or own != _hash(prev, *values):
            return Verified(rows, prev.hex(), f"row {number} was changed, or the one before it was removed")
        prev, rows = own, rows + 1
        seen = seen or prev.hex() == anchor.lower()
    missing = connection.execute(
        "SELECT id FROM audit WHERE id NOT IN (SELECT id FROM audit_chain) ORDER BY id LIMIT 1"
    ).fetchone()
    if missing is not None:
        return Verified(rows, prev.hex(), f"row {missing[0]} is in no chain: nobody but the station writes this log")
    if not seen:
        return Verified(rows, prev.hex(), f"no row has the hash {anchor}: the end was cut off, or all is new")
    return Verified(rows, prev.hex())


def _hash(prev: bytes, *values: object) -> bytes:
    """Of a row of `audit`; `values` in the order of `_CHAINED`."""
    text = json.dumps(dict(zip(_CHAINED, values, strict=True)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(prev + text.encode()).digest()


def audit_rows(connection: sqlite3.Connection, newest: int) -> Iterator[AuditRow]:
    """The newest entries, oldest of them first."""
    columns = ", ".join(field.name for field in fields(AuditRow))
    rows = connection.execute(f"SELECT {columns} FROM audit ORDER BY id DESC LIMIT ?", [newest]).fetchall()
    return (AuditRow(*row) for row in reversed(rows))


def audit_between(connection: sqlite3.Connection, since: float, until: float) -> list[AuditRow]:
    """The entries of a time, seconds since the epoch, oldest first."""
    columns = ", ".join(field.name for field in fields(AuditRow))
    query = f"SELECT {columns} FROM audit WHERE wall_time BETWEEN ? AND ? ORDER BY id"
    return [AuditRow(*row) for row in connection.execute(query, (since, until))]


def audit_after(connection: sqlite3.Connection, after: int | None, limit: int) -> list[tuple[int, AuditRow]]:
    """The entries behind a row id, oldest first, with their row ids; None: the newest."""
    columns = ", ".join(field.name for field in fields(AuditRow))
    order = "DESC" if after is None else "ASC"
    query = f"SELECT id, {columns} FROM audit WHERE id > ? ORDER BY id {order} LIMIT ?"
    return sorted(
        ((row[0], AuditRow(*row[1:])) for row in connection.execute(query, (after or 0, limit))), key=lambda one: one[0]
    )
