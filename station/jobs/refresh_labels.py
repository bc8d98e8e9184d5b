"""What people say of the parts that a refresh learns from: labels.db, and a file with labels, which has the last word.

The file is CSV with the columns `part_id,label`, or JSON `{"part id": "good"}`; labels are `good` and `defective`. A
part id that several parts have had comes with the column `time` or `session`, or the pair `session,acquisition_id`, as
`station parts --csv` writes them; in JSON as a list of objects with these keys. Instead of the id may stand
`SESSION/ACQUISITION_ID`; for a folder of images it is the file name. A label is for all views of the part; for the view
of one camera it is given to `SESSION/ACQUISITION_ID/CAMERA`.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from engines.text_file import text_of
from station.labels.labels import Label as KeptLabel
from station.labels.labels import read_labels as read_kept_labels
from station.labels.schema import LabelError
from station.records.schema import RecordingError, open_reader
from station.reports.shifts import Calendar, TimeError

MAX_LABEL_BYTES = 64 << 20
MOST_DIGITS = 18
MOST_NAMED = 10
"""Of the parts that have had the same id."""
_SAME_ID = """SELECT session, acquisition_id, wall_time, verdict FROM parts
    WHERE part_id = :part_id AND +recipe = :recipe AND challenge IS NULL
    AND (:session = '' OR +session = :session)
    AND (:since IS NULL OR (wall_time >= :since AND wall_time < :until)) ORDER BY wall_time DESC, id DESC LIMIT :most"""


class RefreshError(Exception):
    """The refresh cannot be done; the message says why and what to do."""


class Label(str, Enum):
    """What a person said of a part."""

    GOOD = "good"
    DEFECTIVE = "defective"


@dataclass(frozen=True, slots=True)
class FileLabel:
    """A line of a file with labels."""

    part_id: str
    """The PLC's, `SESSION/ACQUISITION_ID[/CAMERA]`, or the name of a file."""
    label: Label
    where: str
    """The line, for people."""
    session: str = ""
    acquisition_id: str = ""
    between: tuple[float, float] | None = None
    """The time that the file has: the day, minute, second or ms in which the part was triggered."""

    @property
    def key(self) -> str:
        """What names the part without a look into the records; empty: the id alone does not."""
        if self.session and self.acquisition_id:
            return f"{self.session}/{self.acquisition_id}"
        return "" if self.session or self.between or self.number is not None else self.part_id

    @property
    def number(self) -> int | None:
        """The PLC's id; None: it is none."""
        is_number = self.part_id.isascii() and self.part_id.isdecimal() and len(self.part_id) <= MOST_DIGITS
        return int(self.part_id) if is_number else None


def read_labels(file: Path, calendar: Calendar) -> tuple[FileLabel, ...]:
    """The labels of a file; lines without one are left out. `calendar`: whose clock its times are of.

    Raises RefreshError that names the line.
    """
    text = read_text(file, "labels")
    found = []
    for where, cells in _json_lines(text, file) if file.suffix == ".json" else _csv_lines(text, file):
        value, at = cells["label"], cells.get("time", "")
        if not value:
            continue
        try:
            between = calendar.span(at, time.time()) if at else None
            found.append(
                FileLabel(
                    cells["part_id"],
                    Label(value),
                    where,
                    cells.get("session", ""),
                    cells.get("acquisition_id", ""),
                    between,
                )
            )
        except TimeError as problem:
            raise RefreshError(f'labels "{file}", {where}: {problem}') from None
        except ValueError:
            raise RefreshError(f'labels "{file}", {where}: label {value!r}; allowed: good, defective') from None
    return tuple(found)


def by_name(labels: Sequence[FileLabel], file: Path) -> dict[str, Label]:
    """The labels of a folder of images: by the names in the file. Raises RefreshError: a name has two labels."""
    return _without_doubt([(one, one.key or one.part_id) for one in labels], file)


def by_part(
    labels: Sequence[FileLabel], file: Path, *, records: Path, recipe: str, calendar: Calendar
) -> dict[str, Label]:
    """The labels of parts on record, by `SESSION/ACQUISITION_ID[/CAMERA]`, whatever the file calls them.

    Raises RefreshError: an id stands for several parts of the recipe, and the file does not say which; names them.
    """
    named = []
    try:
        with closing(open_reader(records)) as connection:
            for one in labels:
                named.append((one, one.key or _key_on_record(connection, one, file, recipe, calendar)))
    except (RecordingError, sqlite3.Error) as problem:
        raise RefreshError(f'records "{records}" cannot be read: {problem}') from problem
    return _without_doubt(named, file)


def labels_on_record(file: Path) -> dict[str, Label]:
    """What `station label` has kept, by `SESSION/ACQUISITION_ID[/CAMERA]`; empty without that file.

    Raises RefreshError.
    """
    return {name: Label(one.label) for name, one in _on_record(file)}


def classes_on_record(file: Path) -> dict[str, str]:
    """The classes of defects among these labels, by the same names. Raises RefreshError."""
    return {name: one.defect_class for name, one in _on_record(file) if one.defect_class}


def read_text(file: Path, what: str) -> str:
    """The text of a file of whatever encoding a spreadsheet writes. Raises RefreshError."""
    try:
        if file.stat().st_size > MAX_LABEL_BYTES:
            raise RefreshError(f'{what} "{file}": larger than {MAX_LABEL_BYTES} bytes')
        return text_of(file.read_bytes())
    except UnicodeDecodeError as problem:
        raise RefreshError(f'{what} "{file}" cannot be read: {problem}; save it as UTF-8') from problem
    except OSError as problem:
        raise RefreshError(f'{what} "{file}" cannot be read: {problem}') from problem


def _on_record(file: Path) -> list[tuple[str, KeptLabel]]:
    try:
        found = read_kept_labels(file)
    except LabelError as problem:
        raise RefreshError(str(problem)) from problem
    return [(f"{one.session}/{one.acquisition_id}" + (f"/{one.camera}" if one.camera else ""), one) for one in found]


def _key_on_record(
    connection: sqlite3.Connection, label: FileLabel, file: Path, recipe: str, calendar: Calendar
) -> str:
    since, until = label.between or (None, None)
    asked = {"part_id": label.number, "session": label.session, "recipe": recipe}
    rows = connection.execute(_SAME_ID, {**asked, "since": since, "until": until, "most": MOST_NAMED + 1}).fetchall()
    if len(rows) == 1:
        return f"{rows[0][0]}/{rows[0][1]}"
    if not rows:  # noted: it names none of these parts
        return f"{label.part_id} ({label.where})"
    shown = [
        f"  {verdict:6}  time {calendar.iso(wall_time)}, session {session}, acquisition_id {number}"
        for session, number, wall_time, verdict in rows[:MOST_NAMED]
    ]
    more = ["  and older ones"] if len(rows) > MOST_NAMED else []
    raise RefreshError(
        "\n".join(
            [
                f'labels "{file}", {label.where}: several parts have had the id {label.part_id}; say which one, with a '
                "column time or session:",
                *shown,
                *more,
            ]
        )
    )


def _without_doubt(named: Sequence[tuple[FileLabel, str]], file: Path) -> dict[str, Label]:
    labels: dict[str, Label] = {}
    for one, name in named:
        if labels.setdefault(name, one.label) is not one.label:
            raise RefreshError(
                f'labels "{file}", {one.where}: part {one.part_id} is labelled good and defective; keep one'
            )
    return labels


def _csv_lines(text: str, file: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    lines = text.splitlines()
    head = lines[0] if lines else ""
    separator = max(",;\t", key=head.count)  # a spreadsheet writes what its country takes for a list
    reader = csv.reader(lines, delimiter=separator)
    try:
        names = [name.strip().casefold() for name in next(reader, [])]
        if not {"part_id", "label"} <= set(names):
            raise RefreshError(
                f'labels "{file}": the first line must name the columns part_id,label; it is {head[:80]!r}'
            )
        needed = max(names.index("part_id"), names.index("label"))
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= needed:
                raise RefreshError(
                    f'labels "{file}", line {reader.line_num}: {len(row)} columns, the first line has {len(names)}'
                )
            yield f"line {reader.line_num}", {name: cell.strip() for name, cell in zip(names, row, strict=False)}
    except csv.Error as problem:
        raise RefreshError(f'labels "{file}", line {reader.line_num}: {problem}') from problem


def _json_lines(text: str, file: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise RefreshError(f'labels "{file}" is not JSON: {problem}') from problem
    if isinstance(found, dict):
        for part_id, label in found.items():
            yield f"part {part_id}", {"part_id": part_id, "label": str(label)}
    elif isinstance(found, list) and all(isinstance(one, dict) and {"part_id", "label"} <= one.keys() for one in found):
        for number, one in enumerate(found, start=1):
            cells = {name: str(value) for name, value in one.items() if value is not None}
            yield f"entry {number}", {"part_id": str(one["part_id"]), "label": "", **cells}
    else:
        raise RefreshError(
            f'labels "{file}": expected an object of part ids and labels: {{"1001": "good"}}, or a list of objects '
            "with part_id, label, and time or session"
        )
