"""Parts kept as evidence: their rows and images stay, whatever the limits of age and disk say, until they are released.

Kept beside the labels, as what people say of a part; the retention of the records reads it (view `quarantined`).
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station.labels.schema import LabelError, open_reader
from station.labels.writing import MAX_COMMENT, Labelled, Reviewer, changing, check_line

_COLUMNS = "session, acquisition_id, part_id, wall_time, why, reviewer, role, at"
_FIRST_VERSION = 3
"""Of the labels: older ones know no quarantine."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A part in the quarantine."""

    session: str
    acquisition_id: int
    part_id: int
    wall_time: float
    """Of the part, seconds since the epoch."""
    why: str
    reviewer: str
    role: str
    at: float
    """When it was put there."""


def keep(connection: sqlite3.Connection, part: Labelled, by: Reviewer, why: str) -> None:
    """Puts a part into the quarantine. Raises LabelError: it is there already, or there is no reason."""
    check_line("reason for the quarantine", why, MAX_COMMENT)
    with changing(connection):
        if (there := _standing(connection, part)) is not None:
            raise LabelError(f"part {part.part_id} is in the quarantine already: {there.reviewer}: {there.why}")
        _insert(connection, part, by, why, kept=True)


def release(connection: sqlite3.Connection, part: Labelled, by: Reviewer, why: str) -> None:
    """Lets a part go: the retention may delete it. Raises LabelError: it is not there, or there is no reason."""
    check_line("reason for the release", why, MAX_COMMENT)
    with changing(connection):
        if _standing(connection, part) is None:
            raise LabelError(f"part {part.part_id} is not in the quarantine")
        _insert(connection, part, by, why, kept=False)


def quarantined(file: Path, part: Labelled | None = None) -> list[Kept]:
    """What is in the quarantine, or whether this part is, oldest first. Raises LabelError."""
    connection = open_reader(file)
    if connection is None:
        return []
    with closing(connection):
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] < _FIRST_VERSION:
                return []
            if part is not None:
                there = _standing(connection, part)
                return [] if there is None else [there]
            return [Kept(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM quarantined ORDER BY id")]
        except sqlite3.Error as problem:
            raise LabelError(f'labels "{file}" cannot be read: {problem}') from problem


def _standing(connection: sqlite3.Connection, part: Labelled) -> Kept | None:
    query = f"SELECT {_COLUMNS} FROM quarantined WHERE session = ? AND acquisition_id = ?"
    row = connection.execute(query, (part.session, part.acquisition_id)).fetchone()
    return None if row is None else Kept(*row)


def _insert(connection: sqlite3.Connection, part: Labelled, by: Reviewer, why: str, *, kept: bool) -> None:
    values = (part.session, part.acquisition_id, part.part_id, part.wall_time, why, by.name, by.role, time.time(), kept)
    connection.execute(f"INSERT INTO quarantine ({_COLUMNS}, kept) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
