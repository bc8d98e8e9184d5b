"""Which kinds of defects came how often: what reviewers confirmed, and what the engine suggests of the others.

What a person said of a part stands above the suggestion: a part that is called good counts for no kind.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station.labels.classes import DefectClass, classes
from station.labels.labels import Label, read_labels
from station.labels.schema import open_reader as open_labels
from station.records.schema import open_reader
from station.records.selection import KIND_OF

NO_KIND = ""
"""Of parts that do not pass, and nobody says why."""
DAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class KindCount:
    """One kind, with what the catalogue says of it."""

    name: str
    confirmed: int
    """Parts of this class by what people said."""
    suggested: int
    """Parts that only the engine calls so."""
    share: float
    """Of all parts of the list."""
    together: float
    """Share of this and all kinds above it."""
    of_class: DefectClass | None
    """None: it is not in the catalogue, as a kind that nobody has confirmed."""

    @property
    def count(self) -> int:
        return self.confirmed + self.suggested


def pareto(records: Path, labels: Path, since: float, until: float) -> list[KindCount]:
    """Of the parts of that time that were rejected or in review, or labelled defective; most frequent first.

    Raises LabelError, RecordingError.
    """
    said = {(one.session, one.acquisition_id): one for one in read_labels(labels) if one.camera is None}
    confirmed = Counter(
        one.defect_class or NO_KIND
        for one in said.values()
        if one.label == "defective" and one.defect_class and since <= one.wall_time < until
    )
    settled = [key for key, one in said.items() if since <= one.wall_time < until and not _leaves_open(one)]
    suggested = _suggested(records, since, until, settled)
    catalogue = {one.name.casefold(): one for one in _catalogue(labels)}
    return _rows(confirmed, suggested, catalogue)


def _leaves_open(label: Label) -> bool:
    """Whether nobody has said which kind a part has, or that it has none."""
    return label.label == "defective" and not label.defect_class


def _rows(confirmed: Counter[str], suggested: Counter[str], catalogue: dict[str, DefectClass]) -> list[KindCount]:
    names = sorted({*confirmed, *suggested}, key=lambda name: (-confirmed[name] - suggested[name], name))
    total, above = max(confirmed.total() + suggested.total(), 1), 0
    rows = []
    for name in names:
        count = confirmed[name] + suggested[name]
        above += count
        of_class = catalogue.get(name.casefold())
        rows.append(KindCount(name, confirmed[name], suggested[name], count / total, above / total, of_class))
    return rows


def _suggested(records: Path, since: float, until: float, settled: Sequence[tuple[str, int]]) -> Counter[str]:
    """Of all parts of the time but those that people have settled. The index has all of it: no row is read."""
    of_kind = f"SELECT {KIND_OF} FROM parts WHERE verdict <> 'PASS' AND +verdict IN ('FAIL', 'REVIEW')"
    of_time = f"{of_kind} AND challenge IS NULL AND wall_time >= ? AND wall_time < ?"
    of_part = f"{of_kind} AND +challenge IS NULL AND +wall_time >= ? AND +wall_time < ?"
    with closing(open_reader(records)) as connection:
        found = Counter(kind or NO_KIND for (kind,) in connection.execute(of_time, (since, until)))
        for key in settled:
            one = connection.execute(f"{of_part} AND session = ? AND acquisition_id = ?", (since, until, *key))
            found.subtract(kind or NO_KIND for (kind,) in one)
    return +found


def _catalogue(labels: Path) -> list[DefectClass]:
    connection: sqlite3.Connection | None = open_labels(labels)
    if connection is None:
        return []
    with closing(connection):
        return classes(connection)
