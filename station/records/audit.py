"""The audit log: who changed recipe, engine or configuration, from what to what, and what came of it.

Rows of the table `audit` are written once and never changed; the database refuses it.
"""

from __future__ import annotations

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
    """`start`, `recipe`, `engine`, `configuration`, `challenge`."""
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
_INSERT = (
    "INSERT INTO audit (session, wall_time, who, action, before, after, result, detail) "
    "VALUES (:session, :wall_time, :who, :action, :before, :after, :result, :detail)"
)


def insert_audit(session: str, row: AuditRow) -> Statement:
    """Enters a change, or one that was refused."""
    return Statement(_INSERT, {"session": session, **asdict(row)})


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
