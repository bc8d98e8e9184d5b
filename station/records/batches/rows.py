"""The table of batches: one row each, begun and ended once."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass, fields

from station.command_results import CommandResult
from station.records.selection import BATCH
from station.records.statement import Statement

LONGEST = 64
"""Letters of a name, a product, an order."""
TABLE = """CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    product TEXT NOT NULL,
    order_no TEXT NOT NULL,
    recipe TEXT NOT NULL,  -- that was active when it began
    start_s REAL NOT NULL,
    end_s REAL,  -- NULL: open
    begun_by TEXT NOT NULL,
    ended_by TEXT NOT NULL
)"""
INDEX = f"CREATE INDEX IF NOT EXISTS parts_by_batch ON parts ({BATCH}, wall_time) WHERE {BATCH} IS NOT NULL"
_UPSERT = """INSERT INTO batches (number, name, product, order_no, recipe, start_s, end_s, begun_by, ended_by)
    VALUES (:number, :name, :product, :order_no, :recipe, :start_s, :end_s, :begun_by, :ended_by)
    ON CONFLICT (number) DO UPDATE SET end_s = excluded.end_s, ended_by = excluded.ended_by WHERE end_s IS NULL"""


PLC = "plc"
"""Who began or ended a batch, where the PLC did; a person is `operator NAME`."""


class BatchError(ValueError):
    """A batch cannot begin or end like this; the message says why and what is allowed."""

    def __init__(self, message: str, code: CommandResult = CommandResult.REFUSED) -> None:
        """`code`: what the PLC reads."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch; texts are those of the person who began it."""

    number: int
    """From 1, in the order in which they began."""
    name: str
    product: str
    order_no: str
    recipe: str
    start_s: float
    """Seconds since the epoch."""
    end_s: float | None
    """None: open."""
    begun_by: str
    ended_by: str


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Which batches are meant; None: whatever it is."""

    since: float | None = None
    until: float | None = None
    """Of the begin, in seconds since the epoch."""
    state: str | None = None
    """`open` or `ended`."""
    name: str | None = None
    product: str | None = None
    order: str | None = None
    recipe: str | None = None


_COLUMNS = ", ".join(field.name for field in fields(BatchRow))


def check_text(what: str, text: object, *, may_be_empty: bool = True) -> str:
    """The text in one line, without what stands around it. Raises BatchError."""
    if not isinstance(text, str) or len(line := text.strip()) > LONGEST or not line.isprintable():
        raise BatchError(f"{what}: one line of at most {LONGEST} letters", CommandResult.BATCH_NAME_LETTERS)
    if not line and not may_be_empty:
        raise BatchError(f"{what} is missing: how people call the batch, as 8812", CommandResult.BATCH_NAME_MISSING)
    return line


def upsert_batch(row: BatchRow) -> Statement:
    """Enters a batch, or its end."""
    return Statement(_UPSERT, asdict(row))


def newest_batches(connection: sqlite3.Connection, most: int) -> list[BatchRow]:
    """The newest ones, newest first; none from records older than this table."""
    if not _is_there(connection):
        return []
    query = f"SELECT {_COLUMNS} FROM batches WHERE number > 0 ORDER BY number DESC LIMIT ?"
    return [BatchRow(*row) for row in connection.execute(query, (most,))]


def batch_named(connection: sqlite3.Connection, name: str) -> BatchRow | None:
    """The newest batch of this name; `now`: the open one, `last`: the newest that has ended."""
    if not _is_there(connection):
        return None
    condition, values = {"now": ("end_s IS NULL", ()), "last": ("end_s IS NOT NULL", ())}.get(
        name, ("name = ?", (name,))
    )
    query = f"SELECT {_COLUMNS} FROM batches WHERE {condition} ORDER BY number DESC LIMIT 1"
    row = connection.execute(query, values).fetchone()
    return None if row is None else BatchRow(*row)


def batches_after(connection: sqlite3.Connection, after: int | None, most: int, chosen: BatchFilter) -> list[BatchRow]:
    """Batches behind this number, oldest first; with None the newest, newest first."""
    if not _is_there(connection):
        return []
    wanted = {
        "start_s >= ?": chosen.since,
        "start_s < ?": chosen.until,
        "name = ?": chosen.name,
        "product = ?": chosen.product,
        "order_no = ?": chosen.order,
        "recipe = ?": chosen.recipe,
    }
    conditions = ["number > ?", *(condition for condition, value in wanted.items() if value is not None)]
    values: list[object] = [after or 0, *(value for value in wanted.values() if value is not None)]
    if chosen.state is not None:
        conditions.append("end_s IS NULL" if chosen.state == "open" else "end_s IS NOT NULL")
    order = "DESC" if after is None else "ASC"
    query = f"SELECT {_COLUMNS} FROM batches WHERE {' AND '.join(conditions)} ORDER BY number {order} LIMIT ?"
    return [BatchRow(*row) for row in connection.execute(query, (*values, most))]


def batch_numbered(connection: sqlite3.Connection, number: int) -> BatchRow | None:
    """The batch of this number; None: there is none."""
    found = batches_after(connection, number - 1, 1, BatchFilter()) if number > 0 else []
    return next((row for row in found if row.number == number), None)


def _is_there(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'batches'").fetchone() is not None
