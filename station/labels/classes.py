"""Classes of defects: name, severity, colour, and the key that chooses them. Never deleted: old decisions name them.

A class is changed by a new row; what was labelled with the old one keeps its name and severity.
"""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from station.labels.schema import LabelError, open_reader
from station.labels.writing import MAX_NAME, Reviewer, changing, check_line

Severity = Literal["critical", "major", "minor", "cosmetic"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
KEYS = range(1, 10)
NUMBERS = range(1, 65536)
_NUMBERS_SINCE = 5
"""Version of the schema."""
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class DefectClass:
    """A kind of defect that parts may be labelled with."""

    name: str
    severity: Severity
    colour: str | None = None
    """As #rrggbb; None: that of its severity."""
    key: int | None = None
    """1 to 9."""
    number: int | None = None
    """What the PLC reads in DefectClass; None: it reads 0."""


def class_numbers(file: Path) -> dict[str, int]:
    """By the name of the class, as the engine calls its kinds. Raises LabelError: the labels cannot be read."""
    connection = open_reader(file)
    if connection is None:
        return {}
    with closing(connection):
        try:
            return {one.name: one.number for one in classes(connection) if one.number is not None}
        except sqlite3.Error as problem:
            raise LabelError(f'labels "{file}" cannot be read: {problem}') from problem


def classes(connection: sqlite3.Connection) -> list[DefectClass]:
    """Those that may be used, by name."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    number = "number" if version >= _NUMBERS_SINCE else "NULL"  # who only reads brings nothing up to date
    rows = connection.execute(
        f"SELECT name, severity, colour, key, {number} FROM classes WHERE retired_at IS NULL ORDER BY name"
    )
    return [DefectClass(*row) for row in rows]


def add_class(connection: sqlite3.Connection, new: DefectClass, by: Reviewer) -> None:
    """A new class of defects. Raises LabelError: there is one of that name."""
    with changing(connection):
        insert_class(connection, new, by)


def change_class(connection: sqlite3.Connection, name: str, new: DefectClass | None, by: Reviewer) -> None:
    """Replaces a class, or takes it out of use. Raises LabelError."""
    with changing(connection):
        retired = "UPDATE classes SET retired_at = ? WHERE name = ? AND retired_at IS NULL"
        if connection.execute(retired, (time.time(), name)).rowcount == 0:
            raise LabelError(f'no class "{name}"; somebody may have renamed it: look at the list again')
        if new is not None:
            insert_class(connection, new, by)


def insert_class(connection: sqlite3.Connection, new: DefectClass, by: Reviewer) -> None:
    """Within a transaction. Raises LabelError."""
    check_line("name of the class", new.name, MAX_NAME)
    if new.severity not in SEVERITIES:
        raise LabelError(f'severity "{new.severity}" of class "{new.name}"; allowed: {", ".join(SEVERITIES)}')
    if new.colour is not None and not _COLOUR.fullmatch(new.colour):
        raise LabelError(f'colour "{new.colour}" of class "{new.name}"; allowed: as #1f5fa8, small letters')
    if new.key is not None and new.key not in KEYS:
        raise LabelError(f'key {new.key} of class "{new.name}"; allowed: 1 to 9')
    known = classes(connection)
    if new.name.casefold() in [one.name.casefold() for one in known]:
        raise LabelError(f'class "{new.name}" is there already')
    taken = [one.name for one in known if new.key is not None and one.key == new.key]
    if taken:
        raise LabelError(f'key {new.key} is that of class "{taken[0]}"; take another')
    if new.number is not None:
        _check_number(connection, new)
    connection.execute(
        "INSERT INTO classes (name, severity, colour, key, number, made_by, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (new.name, new.severity, new.colour, new.key, new.number, by.name, time.time()),
    )


def _check_number(connection: sqlite3.Connection, new: DefectClass) -> None:
    """A number means one class for good, also when that is out of use: the PLC's program knows it."""
    if new.number not in NUMBERS:
        raise LabelError(f'number {new.number} of class "{new.name}"; allowed: 1 to {NUMBERS[-1]}')
    row = connection.execute(
        "SELECT name FROM classes WHERE number = ? AND name <> ? LIMIT 1", (new.number, new.name)
    ).fetchone()
    if row is not None:
        raise LabelError(f'number {new.number} is or was that of class "{row[0]}"; take another')
