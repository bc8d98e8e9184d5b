"""The labelled parts on record whose class people named: what kinds are learned from."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station.jobs.refresh_labels import Label, RefreshError, classes_on_record, labels_on_record
from station.jobs.refresh_selection import PartImage, images_of, with_classes, with_labels
from station.labels.schema import labels_beside
from station.records.parts import PartRow, parts
from station.records.schema import RecordingError, open_reader
from station.results import Verdict

MOST_PARTS = 5000
"""The newest ones."""


@dataclass(frozen=True, slots=True)
class Named:
    """What people named on record."""

    images: tuple[PartImage, ...]
    """Of defective parts of the recipe, with their class."""
    classes: Mapping[str, str]
    """All classes that hold, by SESSION/ACQUISITION_ID[/CAMERA], also of parts whose image is gone."""
    without_image: int
    """Parts of the recipe that are named and have no image any more."""
    of_others: int
    """Named parts that are not of this recipe, or gone from the records, or master parts."""


def named_on_record(records: Path, recipe: str) -> Named:
    """The named parts of a recipe, oldest first; `records`: folder or file. Raises RefreshError.

    Of a part that was labelled as a whole only the views count that did not pass, if there are any: the others may not
    show its defect.
    """
    file = labels_beside(records)
    labels, classes = labels_on_record(file), classes_on_record(file)
    classes = {name: kind for name, kind in classes.items() if labels[name] is Label.DEFECTIVE}
    found: list[PartImage] = []
    rows, gone = _rows(records, classes, recipe)
    without_image = 0
    for row in rows:
        views = with_classes(with_labels(images_of(records, [row]), labels), classes)
        kept = [view for view in views if view.label is Label.DEFECTIVE and view.defect_class]
        showing = [view for view in kept if view.verdict != Verdict.PASS.name or _names_view(view, classes)]
        found += showing or kept
        without_image += not kept
    return Named(tuple(found), classes, without_image, gone)


def _names_view(view: PartImage, classes: Mapping[str, str]) -> bool:
    return f"{view.key}/{view.camera}" in classes


def _rows(records: Path, classes: Mapping[str, str], recipe: str) -> tuple[list[PartRow], int]:
    """The rows of named parts of this recipe, and how many are of others or gone."""
    keys = list(dict.fromkeys("/".join(name.split("/")[:2]) for name in classes))
    found: list[PartRow] = []
    try:
        with closing(open_reader(records)) as connection:
            for key in keys[-MOST_PARTS:]:
                session, _, number = key.partition("/")
                row = next(parts(connection, session=session, acquisition_id=int(number), production=True), None)
                if row is not None and row.recipe == recipe:
                    found.append(row)
    except (RecordingError, sqlite3.Error) as problem:
        raise RefreshError(f'records "{records}" cannot be read: {problem}') from problem
    return found, len(keys) - len(found)
