"""What a reviewer says of a part in the queue: decided, undone, or refused because somebody was there before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, get_args

from station.labels.labels import Said
from station.labels.queue import Item, item_of
from station.labels.schema import LabelError
from station.labels.writing import MAX_COMMENT, MAX_NAME, Reviewer, changing, check_line, class_id, insert, last_of

Answer = Literal["good", "defective", "unsure"]
Source = Literal["station", "corrected", "drawn"]
CHOICES: tuple[Answer, ...] = get_args(Answer)
SOURCES: tuple[Source, ...] = get_args(Source)
MAX_REGIONS, MAX_POINTS = 32, 256


class ReviewConflict(LabelError):
    """The item is no longer what the person saw; nothing was saved."""

    def __init__(self, why: str, item: Item, said: Sequence[Said]) -> None:
        super().__init__(why)
        self.item = item
        self.said = tuple(said)
        """What stands; nothing of a blind item."""


@dataclass(frozen=True, slots=True)
class DrawnRegion:
    """Where a person saw the defect."""

    camera: str
    polygon: tuple[tuple[float, float], ...]
    """Corners, 0 to 1 of the frame's width and height."""
    source: Source = "drawn"


@dataclass(frozen=True, slots=True)
class Opinion:
    """Everything that a person says of a part at once."""

    answer: Answer
    defect_class: str | None = None
    comment: str = ""
    regions: tuple[DrawnRegion, ...] = ()
    took_ms: int | None = None
    saw: Mapping[str, Any] = field(default_factory=dict)
    """What the page showed: verdict, score, engine, whether the heat map was on."""
    request: str | None = None
    """Named anew for each decision; the same one again is the same decision."""


def review(
    connection: sqlite3.Connection,
    item_id: int,
    version: int,
    opinion: Opinion,
    by: Reviewer,
    *,
    overrules: bool,
    now: float,
) -> int:
    """Saves the decision on an item that was seen at `version`; returns its id. Raises ReviewConflict, LabelError."""
    _check(opinion)
    with changing(connection):
        saved = _saved(connection, opinion.request, by)
        if saved is not None:
            return saved
        item = item_of(connection, item_id)
        said = _standing(connection, item)
        why = _why_not(item, said, version, by, overrules)
        if why:
            raise ReviewConflict(why, item, () if item.is_blind else said)
        is_blind = item.is_blind
        own = [one for one in said if one.reviewer == by.name]
        last = None if is_blind and not own else last_of(connection, item, None)
        others = [one for one in said if one.reviewer != by.name]
        values = {
            "label": opinion.answer,
            "kind": "overrule" if others and not is_blind else "decide",
            "class": None if opinion.defect_class is None else class_id(connection, opinion.defect_class),
            "comment": opinion.comment,
            "blind": int(is_blind),
            "took_ms": opinion.took_ms,
            "request": opinion.request,
            "at": now,
            "saw": json.dumps(opinion.saw),
        }
        decision = insert(connection, item, by, last, values)
        connection.executemany(
            "INSERT INTO regions (decision, camera, polygon, source) VALUES (?, ?, ?, ?)",
            [(decision, one.camera, json.dumps(one.polygon), one.source) for one in opinion.regions],
        )
        return decision


def undo(connection: sqlite3.Connection, item_id: int, by: Reviewer, *, now: float) -> Item:
    """Takes back what this person said of a part, which is open again. Raises LabelError: nothing of his stands."""
    with changing(connection):
        item = item_of(connection, item_id)
        row = connection.execute(
            "SELECT * FROM standing WHERE session = ? AND acquisition_id = ? AND camera IS NULL AND reviewer = ? "
            "ORDER BY id DESC LIMIT 1",
            (item.session, item.acquisition_id, by.name),
        ).fetchone()
        if row is None:
            newest = last_of(connection, item, None)
            who = "nobody has decided it" if newest is None else f"the last word is of {newest['reviewer']}"
            raise LabelError(f"nothing of yours stands for part {item.part_id}: {who}")
        values = {
            "label": row["label"],
            "kind": "undo",
            "class": row["class"],
            "comment": "",
            "blind": row["blind"],
            "at": now,
            "saw": "{}",
        }
        insert(connection, item, by, row, values)
    return item_of(connection, item_id)


def last_said(connection: sqlite3.Connection, by: Reviewer) -> tuple[Item, Said] | None:
    """What this person said last of a part in the queue and may still take back."""
    row = connection.execute(
        "SELECT items.id, s.id, s.label, s.kind, s.refers, s.reviewer, s.at FROM standing AS s JOIN items "
        "ON items.session = s.session AND items.acquisition_id = s.acquisition_id "
        "WHERE s.reviewer = ? AND s.camera IS NULL ORDER BY s.id DESC LIMIT 1",
        [by.name],
    ).fetchone()
    return None if row is None else (item_of(connection, row[0]), Said(*row[1:]))


def regions_of(connection: sqlite3.Connection, decision: int) -> list[DrawnRegion]:
    """What was drawn with a decision."""
    rows = connection.execute("SELECT camera, polygon, source FROM regions WHERE decision = ? ORDER BY id", [decision])
    return [
        DrawnRegion(camera, tuple((x, y) for x, y in json.loads(polygon)), source) for camera, polygon, source in rows
    ]


def standing_of(connection: sqlite3.Connection, item: Item) -> list[Said]:
    """What people say of the part now, for those who may see it."""
    return [] if item.is_blind else _standing(connection, item)


def _standing(connection: sqlite3.Connection, item: Item) -> list[Said]:
    rows = connection.execute(
        "SELECT id, label, kind, refers, reviewer, at FROM standing "
        "WHERE session = ? AND acquisition_id = ? AND camera IS NULL ORDER BY id",
        (item.session, item.acquisition_id),
    )
    return [Said(*row) for row in rows]


def _saved(connection: sqlite3.Connection, request: str | None, by: Reviewer) -> int | None:
    row = connection.execute("SELECT id, reviewer FROM decisions WHERE request = ?", [request]).fetchone()
    if row is not None and row["reviewer"] != by.name:
        raise LabelError("this decision was saved for somebody else; reload the page")
    return None if row is None else int(row["id"])


def _why_not(item: Item, said: Sequence[Said], version: int, by: Reviewer, overrules: bool) -> str:
    """Why nothing is saved; empty: it may be."""
    if item.version != version:
        if item.state == "answered" and said:
            return f"{said[-1].reviewer} has decided this part meanwhile: {said[-1].label}"
        if item.leased_by not in (None, by.name):
            return f"{item.leased_by} has this part now: your time for it was over"
        return "this part has changed since your page showed it"
    if item.state != "open" and not overrules:
        return f"this part is {item.state}: who may overrule decides it"
    if item.is_blind and any(one.reviewer == by.name for one in said):
        return "two people decide this part, and you are one of them already"
    return ""


def _check(opinion: Opinion) -> None:
    if opinion.answer not in CHOICES:
        raise LabelError(f'answer "{opinion.answer}"; allowed: {", ".join(CHOICES)}')
    if opinion.defect_class is not None and opinion.answer != "defective":
        raise LabelError(f'only a defective part has a class, not one that is "{opinion.answer}"')
    if opinion.comment:
        check_line("comment", opinion.comment, MAX_COMMENT)
    if opinion.request is not None:
        check_line("name of the request", opinion.request, MAX_NAME)
    if len(opinion.regions) > MAX_REGIONS:
        raise LabelError(f"{len(opinion.regions)} regions; at most {MAX_REGIONS} are kept with a decision")
    for one in opinion.regions:
        check_line("camera of a region", one.camera, MAX_NAME)
        if one.source not in SOURCES:
            raise LabelError(f'source of a region "{one.source}"; allowed: {", ".join(SOURCES)}')
        if not 3 <= len(one.polygon) <= MAX_POINTS:
            raise LabelError(f"a region of {len(one.polygon)} points; 3 to {MAX_POINTS} are allowed")
        if not all(isfinite(value) and 0 <= value <= 1 for point in one.polygon for value in point):
            raise LabelError("a point of a region lies outside of the picture: both values are 0 to 1")
