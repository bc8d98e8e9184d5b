"""What happened at the ejector, on record: one row per part that was pushed off, in a table of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from station.codes import ReasonCode
from station.records.statement import Statement

TABLE = """CREATE TABLE IF NOT EXISTS ejections (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (session),
    acquisition_id INTEGER NOT NULL,  -- 0: a part that was missed
    part_id INTEGER NOT NULL,
    ejector INTEGER NOT NULL,
    wall_time REAL NOT NULL,  -- begin of the pulse
    error REAL NOT NULL,  -- place of the part at the pulse minus the place of the ejector
    unit TEXT NOT NULL,  -- of error: counts or ms
    reason INTEGER NOT NULL,
    confirmed INTEGER,  -- NULL: the ejector has no sensor
    confirmed_ms REAL  -- from the begin of the pulse; NULL: not confirmed, no sensor, or an older station
)"""
_INSERT = (
    "INSERT INTO ejections (session, acquisition_id, part_id, ejector, wall_time, error, unit, reason, confirmed, "
    "confirmed_ms) VALUES (:session, :acquisition_id, :part_id, :ejector, :wall_time, :error, :unit, :reason, "
    ":confirmed, :confirmed_ms)"
)


@dataclass(frozen=True, slots=True)
class Ejection:
    """A part that was pushed off."""

    acquisition_id: int
    """0 for a part that was missed."""
    part_id: int
    ejector: int
    """From 1."""
    wall_time: float
    """Begin of the pulse, seconds since the epoch."""
    error: float
    """How far the part was beyond the middle of the ejector when the pulse took effect."""
    unit: str
    """Of `error`: counts of the encoder, or ms."""
    reason: ReasonCode
    """Why it was pushed."""
    confirmed: bool | None
    """None: the ejector has no sensor."""
    confirmed_ms: float | None = None
    """From the begin of the pulse to the sensor in the bin; None: it saw nothing, or there is none."""


def add_new_columns(connection: sqlite3.Connection) -> None:
    """What a table of an older station does not have yet; that station reads and writes on without it."""
    if not _has_times(connection):
        connection.execute("ALTER TABLE ejections ADD COLUMN confirmed_ms REAL")


def _has_times(connection: sqlite3.Connection) -> bool:
    return any(row[1] == "confirmed_ms" for row in connection.execute("PRAGMA table_info(ejections)"))


def insert_ejection(session: str, ejection: Ejection) -> Statement:
    """Enters a part that was pushed off."""
    return Statement(_INSERT, {**asdict(ejection), "reason": int(ejection.reason), "session": session})


def ejections(
    connection: sqlite3.Connection,
    session: str | None = None,
    acquisition_id: int | None = None,
    between: tuple[float, float] | None = None,
) -> Iterator[Ejection]:
    """Ejections in the order they were written; none from records older than tracking in the station. `between`: of
    this time, in seconds since the epoch.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ejections'").fetchone():
        return
    wanted = {"session": session, "acquisition_id": acquisition_id}
    values: dict[str, str | int | float] = {column: value for column, value in wanted.items() if value is not None}
    conditions = [f"{column} = :{column}" for column in values]
    if between is not None:
        conditions.append("wall_time BETWEEN :since AND :until")
    where = " AND ".join(["1", *conditions])
    values |= {} if between is None else {"since": between[0], "until": between[1]}
    columns = "acquisition_id, part_id, ejector, wall_time, error, unit, reason, confirmed, "
    columns += "confirmed_ms" if _has_times(connection) else "NULL"
    for row in connection.execute(f"SELECT {columns} FROM ejections WHERE {where} ORDER BY id", values):
        of_part, part_id, ejector, wall_time, error, unit, reason, confirmed, after_ms = row
        was_confirmed = None if confirmed is None else bool(confirmed)
        yield Ejection(of_part, part_id, ejector, wall_time, error, unit, ReasonCode(reason), was_confirmed, after_ms)
