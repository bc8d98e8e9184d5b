"""How a decision gets into `labels.db`: one transaction, one more row, whatever it replaces. Of this room alone."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from station.labels.schema import LabelError
from station.records.parts import PartRow

MAX_NAME, MAX_COMMENT = 64, 1000
"""Letters of a name or class, and of a comment."""


class Labelled(Protocol):
    """Which part is meant: a row of the records, or of the review queue."""

    @property
    def session(self) -> str: ...
    @property
    def acquisition_id(self) -> int: ...
    @property
    def part_id(self) -> int: ...
    @property
    def wall_time(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who labels."""

    name: str
    role: str

    def __post_init__(self) -> None:
        check_line("name of the reviewer", self.name, MAX_NAME)


@contextmanager
def changing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction; nothing of it stays when it fails."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as problem:
        raise LabelError(f"the label was not saved: {problem}") from problem


def last_of(connection: sqlite3.Connection, part: Labelled, camera: str | None) -> sqlite3.Row | None:
    """The newest decision on a part or a view, whatever it was."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM decisions WHERE session = ? AND acquisition_id = ? AND camera IS ? ORDER BY id DESC LIMIT 1",
        (part.session, part.acquisition_id, camera),
    ).fetchone()
    return row


def class_id(connection: sqlite3.Connection, name: str) -> int:
    """Of a class in use. Raises LabelError."""
    row = connection.execute("SELECT id FROM classes WHERE name = ? AND retired_at IS NULL", [name]).fetchone()
    if row is None:
        names = connection.execute("SELECT name FROM classes WHERE retired_at IS NULL ORDER BY name")
        known = ", ".join(name for (name,) in names) or "none yet"
        raise LabelError(f'no class "{name}"; there are: {known}. A new one needs its severity: --new-class SEVERITY')
    return int(row["id"])


def saw_of(part: PartRow) -> str:
    """What the station said of a part when a person decided, as JSON."""
    saw = {"verdict": part.verdict, "score": part.score, "engine_id": part.engine_id, "recipe": part.recipe}
    return json.dumps(saw)


def insert(
    connection: sqlite3.Connection,
    part: Labelled,
    by: Reviewer,
    last: sqlite3.Row | None,
    said: Mapping[str, object],
) -> int:
    """Adds a decision that replaces `last`; `said` has the columns that differ, also `saw`. Returns its id."""
    values = {
        "session": part.session,
        "acquisition_id": part.acquisition_id,
        "part_id": part.part_id,
        "wall_time": part.wall_time,
        "reviewer": by.name,
        "role": by.role,
        "at": time.time(),
        "refers": None if last is None else last["id"],
        **said,
    }
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    return int(connection.execute(f"INSERT INTO decisions ({names}) VALUES ({places})", values).lastrowid or 0)


def check_line(what: str, text: str, most: int) -> None:
    """Raises LabelError."""
    if not (text.strip() and text.isprintable() and len(text) <= most):
        raise LabelError(f"{what} {text!r:.80}: one line of 1 to {most} letters is allowed")
