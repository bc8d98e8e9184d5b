"""Classes of defects: name, severity, colour, and the key that chooses them. Never deleted: old decisions name them.

A class is changed by a new row; what was labelled with the old one keeps its name and severity.
"""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import dataclass
from typing import Literal, get_args

from station.labels.schema import LabelError
from station.labels.writing import MAX_NAME, Reviewer, changing, check_line

Severity = Literal["critical", "major", "minor", "cosmetic"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
KEYS = range(1, 10)
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


def classes(connection: sqlite3.Connection) -> list[DefectClass]:
    """Those that may be used, by name."""
    rows = connection.execute("SELECT name, severity, colour, key FROM classes WHERE retired_at IS NULL ORDER BY name")
    return [DefectClass(*row) for row in rows]


def add_class(connection: sqlite3.Connection, name: str, severity: Severity, by: Reviewer) -> None:
    """A new class of defects. Raises LabelError: there is one of that name."""
    with changing(connection):
        insert_class(connection, DefectClass(name, severity), by)


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
    connection.execute(
        "INSERT INTO classes (name, severity, colour, key, made_by, made_at) VALUES (?, ?, ?, ?, ?, ?)",
        (new.name, new.severity, new.colour, new.key, by.name, time.time()),
    )
