"""Every configuration and recipe that was ever active, by its checksum: what the checksums of parts stand for."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass, fields
from typing import Literal

from station.records.statement import Statement

TABLE = """CREATE TABLE IF NOT EXISTS configurations (
    checksum TEXT PRIMARY KEY,  -- SHA-256 of the file, hexadecimal
    kind TEXT NOT NULL,  -- configuration or recipe
    name TEXT NOT NULL,  -- of the recipe, or of the station
    wall_time REAL NOT NULL,  -- when it was active for the first time
    content TEXT NOT NULL  -- the text of the file as it was
)"""
_INSERT = (
    "INSERT INTO configurations (checksum, kind, name, wall_time, content) "
    "VALUES (:checksum, :kind, :name, :wall_time, :content) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """station.toml or a recipe as it was when it became active for the first time."""

    checksum: str
    kind: Literal["configuration", "recipe"]
    name: str
    wall_time: float
    content: str


def keep_file(kept: KeptFile) -> Statement:
    """Keeps a file; one that is kept already stays as it is."""
    return Statement(_INSERT, asdict(kept))


def kept_files(connection: sqlite3.Connection, checksum: str = "") -> list[KeptFile]:
    """Files whose checksum begins like this, oldest first; none from records older than this table."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'configurations'").fetchone():
        return []
    columns = ", ".join(field.name for field in fields(KeptFile))
    rows = connection.execute(
        f"SELECT {columns} FROM configurations WHERE substr(checksum, 1, ?) = ? ORDER BY wall_time, checksum",
        [len(checksum), checksum],
    )
    return [KeptFile(*row) for row in rows]
