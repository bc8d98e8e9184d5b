"""What people said of parts since the last look, with what the station had said: read from labels and records.

Called on the monitoring thread, now and then; nothing of the line waits for a disk here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station.labels.schema import LabelError, labels_beside
from station.labels.schema import open_reader as open_labels
from station.records.schema import RecordingError, open_reader

MOST = 500
"""Labels of one look; what is left waits for the next."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label that holds, of a part on record."""

    id: int
    label: str
    defect_class: str | None
    engine_id: str
    recipe: str
    verdict: str
    """What the station had said."""

    @property
    def is_rejected_though_good(self) -> bool | None:
        """None: it says nothing of that."""
        return self.label == "good" if self.verdict == "FAIL" else None

    @property
    def is_passed_though_defective(self) -> bool | None:
        """None: it says nothing of that."""
        return self.label == "defective" if self.verdict == "PASS" else None


def newest_id(records: Path) -> int:
    """Of the labels that there are; 0: none. Raises LabelError."""
    connection = open_labels(labels_beside(records))
    if connection is None:
        return 0
    with closing(connection):
        return int(connection.execute("SELECT COALESCE(MAX(id), 0) FROM decisions").fetchone()[0])


def read_labelled(records: Path, after_id: int) -> tuple[list[Labelled], int]:
    """Labels made after that one, oldest first, and where the next look begins.

    Raises LabelError, RecordingError: they cannot be read now.
    """
    connection = open_labels(labels_beside(records))
    if connection is None:
        return [], after_id
    query = (
        "SELECT id, session, acquisition_id, label, class FROM labels "
        "WHERE id > ? AND camera IS NULL ORDER BY id LIMIT ?"
    )
    try:
        with closing(connection):
            rows = connection.execute(query, (after_id, MOST)).fetchall()
        if not rows:
            return [], after_id
        with closing(open_reader(records)) as parts:
            found = list(_with_parts(parts, rows))
    except sqlite3.Error as problem:
        raise LabelError(f"labels beside {records} cannot be read: {problem}") from problem
    return found, int(rows[-1][0])


def _with_parts(parts: sqlite3.Connection, rows: list[sqlite3.Row]) -> Iterator[Labelled]:
    """Those whose part is still on record."""
    query = "SELECT engine_id, recipe, verdict FROM parts WHERE session = ? AND acquisition_id = ? AND late = 0"
    for label_id, session, acquisition_id, label, defect_class in rows:
        part = parts.execute(query, (session, acquisition_id)).fetchone()
        if part is not None:
            yield Labelled(label_id, label, defect_class, *part)


UNREADABLE = (LabelError, RecordingError, OSError)
"""What a look may end with."""
