"""Labels of parts: decided, corrected, withdrawn, and read by whoever learns from them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from station.labels.classes import DefectClass, Severity, insert_class
from station.labels.schema import LabelError, open_reader
from station.labels.writing import MAX_COMMENT, Reviewer, changing, check_line, class_id, insert, last_of, saw_of
from station.records.parts import PartRow

Word = Literal["good", "defective"]
WORDS: tuple[Word, ...] = get_args(Word)
_COLUMNS = "session, acquisition_id, camera, part_id, wall_time, label, class, severity, comment, reviewer, role, at"
_AT_ONCE = 500
"""Parts that one statement looks up."""


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

    def as_json(self) -> dict[str, str | None]:
        """For scripts: what holds, and who says it."""
        named = {"label": self.label, "defect_class": self.defect_class, "severity": self.severity}
        return {**named, "camera": self.camera, "why": self.comment, "who": self.reviewer}

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
        check_line("comment", comment, MAX_COMMENT)
    with changing(connection):
        if defect_class is not None and new_class is not None:
            insert_class(connection, DefectClass(defect_class, new_class), by)
        of_class = None if defect_class is None else class_id(connection, defect_class)
        last = last_of(connection, part, camera)
        overrules = last is not None and last["reviewer"] != by.name and last["kind"] != "undo"
        kind = "overrule" if overrules else "decide"
        said = {
            "label": label,
            "kind": kind,
            "camera": camera,
            "class": of_class,
            "comment": comment,
            "saw": saw_of(part),
        }
        insert(connection, part, by, last, said)


def withdraw(
    connection: sqlite3.Connection, part: PartRow, by: Reviewer, *, camera: str | None = None, comment: str = ""
) -> None:
    """Takes the label back: the part has none then. Raises LabelError: it has none now."""
    with changing(connection):
        last = last_of(connection, part, camera)
        if last is None or last["kind"] == "undo":
            raise LabelError("this part has no label that could be withdrawn")
        said = {
            "label": last["label"],
            "kind": "undo",
            "camera": camera,
            "class": last["class"],
            "comment": comment,
            "saw": saw_of(part),
        }
        insert(connection, part, by, last, said)


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
    with closing(connection):
        try:
            return [
                Label(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM labels {where} ORDER BY id", values)
            ]
        except sqlite3.Error as problem:
            raise LabelError(f'labels "{file}" cannot be read: {problem}') from problem


def whole_labels(file: Path, parts: Sequence[PartRow]) -> list[Label | None]:
    """The label of each of these parts as a whole. Raises LabelError."""
    connection = open_reader(file)
    if connection is None:
        return [None] * len(parts)
    with closing(connection):
        try:
            return _whole_labels(connection, parts)
        except sqlite3.Error as problem:
            raise LabelError(f'labels "{file}" cannot be read: {problem}') from problem


def _whole_labels(connection: sqlite3.Connection, parts: Sequence[PartRow]) -> list[Label | None]:
    """Of the labels of a station the few of these parts are found by an index, those of all its parts are many."""
    found: dict[tuple[str, int], Label] = {}
    for session in {part.session for part in parts}:
        numbers = [part.acquisition_id for part in parts if part.session == session]
        for begin in range(0, len(numbers), _AT_ONCE):
            some = numbers[begin : begin + _AT_ONCE]
            query = (
                f"SELECT {_COLUMNS} FROM labels WHERE session = ? AND acquisition_id IN ({', '.join('?' * len(some))}) "
                "AND camera IS NULL ORDER BY id"
            )
            for row in connection.execute(query, (session, *some)):
                label = Label(*row)
                found[label.session, label.acquisition_id] = label
    return [found.get((part.session, part.acquisition_id)) for part in parts]
