"""Labels of parts: decided, corrected, withdrawn, and read by whoever learns from them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from station.labels.schema import LabelError, open_reader
from station.records.parts import PartRow

Word = Literal["good", "defective"]
Severity = Literal["critical", "major", "minor", "cosmetic"]
WORDS: tuple[Word, ...] = get_args(Word)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
MAX_NAME, MAX_COMMENT = 64, 1000
"""Letters of a name or class, and of a comment."""


@dataclass(frozen=True, slots=True)
class Label:
    """What holds of a part, or of one view of it."""

    session: str
    acquisition_id: int
    camera: str | None
    """None: the part, whatever view."""
    part_id: int
    wall_time: float
    """Of the part."""
    label: Word
    defect_class: str | None
    severity: Severity | None
    comment: str
    reviewer: str
    role: str
    at: float

    def __str__(self) -> str:
        of = f" ({self.defect_class})" if self.defect_class else ""
        view = f", camera {self.camera}" if self.camera else ""
        why = f": {self.comment}" if self.comment else ""
        return f"{self.label}{of}{view}, says {self.reviewer}{why}"


@dataclass(frozen=True, slots=True)
class Said:
    """One decision as it was made, whether it still holds or not."""

    id: int
    label: str
    kind: str
    """`decide`, `overrule` (of somebody else's), `undo`."""
    refers: int | None
    reviewer: str
    at: float


@dataclass(frozen=True, slots=True)
class DefectClass:
    """A kind of defect that parts may be labelled with."""

    name: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who labels."""

    name: str
    role: str

    def __post_init__(self) -> None:
        _check("name of the reviewer", self.name, MAX_NAME)


def decide(
    connection: sqlite3.Connection,
    part: PartRow,
    label: Word,
    by: Reviewer,
    *,
    defect_class: str | None = None,
    new_class: Severity | None = None,
    camera: str | None = None,
    comment: str = "",
) -> None:
    """Adds what a person says; what was said before is kept. `new_class`: adds `defect_class`, of this severity.

    Raises LabelError.
    """
    if defect_class is not None and label != "defective":
        raise LabelError(f'only a defective part has a class, not one that is "{label}"')
    if camera is not None and camera not in [view.camera for view in part.views]:
        raise LabelError(f'no view of camera "{camera}" is on record for this part')
    if comment:
        _check("comment", comment, MAX_COMMENT)
    with _change(connection):
        if defect_class is not None and new_class is not None:
            _add_class(connection, defect_class, new_class, by)
        class_id = None if defect_class is None else _class_id(connection, defect_class)
        last = _last(connection, part, camera)
        overrules = last is not None and last["reviewer"] != by.name and last["kind"] != "undo"
        kind = "overrule" if overrules else "decide"
        said = {"label": label, "kind": kind, "camera": camera, "class": class_id, "comment": comment}
        _insert(connection, part, by, last, said)


def withdraw(
    connection: sqlite3.Connection, part: PartRow, by: Reviewer, *, camera: str | None = None, comment: str = ""
) -> None:
    """Takes the label back: the part has none then. Raises LabelError: it has none now."""
    with _change(connection):
        last = _last(connection, part, camera)
        if last is None or last["kind"] == "undo":
            raise LabelError("this part has no label that could be withdrawn")
        said = {"label": last["label"], "kind": "undo", "camera": camera, "class": last["class"], "comment": comment}
        _insert(connection, part, by, last, said)


def add_class(connection: sqlite3.Connection, name: str, severity: Severity, by: Reviewer) -> None:
    """A new class of defects. Raises LabelError: there is one of that name."""
    with _change(connection):
        _add_class(connection, name, severity, by)


def classes(connection: sqlite3.Connection) -> list[DefectClass]:
    """Those that may be used, by name."""
    rows = connection.execute("SELECT name, severity FROM classes WHERE retired_at IS NULL ORDER BY name")
    return [DefectClass(name, severity) for name, severity in rows]


def said_of(connection: sqlite3.Connection, part: PartRow) -> list[Said]:
    """Everything that was ever said of a part, oldest first."""
    query = "SELECT id, label, kind, refers, reviewer, at FROM decisions WHERE session = ? AND acquisition_id = ?"
    rows = connection.execute(f"{query} ORDER BY id", (part.session, part.acquisition_id))
    return [Said(*row) for row in rows]


def read_labels(file: Path, part: PartRow | None = None) -> list[Label]:
    """The labels that hold, of all parts or of one, oldest first; none when nobody has labelled. Raises LabelError."""
    connection = open_reader(file)
    if connection is None:
        return []
    where: str = ""
    values: tuple[str | int, ...] = ()
    if part is not None:
        where, values = "WHERE session = ? AND acquisition_id = ?", (part.session, part.acquisition_id)
    columns = "session, acquisition_id, camera, part_id, wall_time, label, class, severity, comment, reviewer, role, at"
    with closing(connection):
        try:
            return [
                Label(*row) for row in connection.execute(f"SELECT {columns} FROM labels {where} ORDER BY id", values)
            ]
        except sqlite3.Error as problem:
            raise LabelError(f'labels "{file}" cannot be read: {problem}') from problem


@contextmanager
def _change(connection: sqlite3.Connection) -> Iterator[None]:
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


def _add_class(connection: sqlite3.Connection, name: str, severity: Severity, by: Reviewer) -> None:
    _check("name of the class", name, MAX_NAME)
    if name.casefold() in [known.name.casefold() for known in classes(connection)]:
        raise LabelError(f'class "{name}" is there already')
    connection.execute(
        "INSERT INTO classes (name, severity, made_by, made_at) VALUES (?, ?, ?, ?)",
        (name, severity, by.name, time.time()),
    )


def _last(connection: sqlite3.Connection, part: PartRow, camera: str | None) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM decisions WHERE session = ? AND acquisition_id = ? AND camera IS ? ORDER BY id DESC LIMIT 1",
        (part.session, part.acquisition_id, camera),
    ).fetchone()
    return row


def _class_id(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT id FROM classes WHERE name = ? AND retired_at IS NULL", [name]).fetchone()
    if row is None:
        known = ", ".join(one.name for one in classes(connection)) or "none yet"
        raise LabelError(f'no class "{name}"; there are: {known}. A new one needs its severity: --new-class SEVERITY')
    return int(row["id"])


def _insert(
    connection: sqlite3.Connection, part: PartRow, by: Reviewer, last: sqlite3.Row | None, said: Mapping[str, object]
) -> None:
    saw = {"verdict": part.verdict, "score": part.score, "engine_id": part.engine_id, "recipe": part.recipe}
    values = {
        "session": part.session,
        "acquisition_id": part.acquisition_id,
        "part_id": part.part_id,
        "wall_time": part.wall_time,
        "reviewer": by.name,
        "role": by.role,
        "at": time.time(),
        "refers": None if last is None else last["id"],
        "saw": json.dumps(saw),
        **said,
    }
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(f"INSERT INTO decisions ({names}) VALUES ({places})", values)


def _check(what: str, text: str, most: int) -> None:
    if not (text.strip() and text.isprintable() and len(text) <= most):
        raise LabelError(f"{what} {text!r:.80}: one line of 1 to {most} letters is allowed")
