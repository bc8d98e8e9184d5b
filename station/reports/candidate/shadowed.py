"""A run of an engine in the shadow, as people read it: who passes what, what labels say of the parts that differ, and
whether enough was seen.

Two questions, each in both directions. *False rejects*: good parts that do not pass. *Escapes*: defective parts that
do. A part that both pass or neither passes says nothing about which engine is better, so only parts that differ are
labelled. "Better" and "worse" need labels; "not worse by more than a margin" counts a part that nobody has labelled
as if it were against the candidate, so labels can only help it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from station.labels.labels import read_labels
from station.records.engines import shadows
from station.records.engines.shadows import ShadowRow, ShadowRun
from station.reports.candidate.e_values import ENOUGH, more_often_than_half, share_below

MARGIN = 0.002
"""Of all parts: a difference that nobody at the line would notice."""
MOST_DIFFERING = 2000
"""Parts that differ, the newest: with more the answer is known for long."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One kind of mistake: parts on which only one of the two makes it."""

    only_active: int
    """Labelled: the active engine alone is wrong."""
    only_candidate: int
    """Labelled: the candidate alone is wrong."""
    not_labelled: int
    """Parts on which the candidate would be wrong if they turn out so."""
    parts: int
    """All that both have judged."""
    margin: float = MARGIN

    @property
    def better(self) -> float:
        """E-value: the candidate makes this mistake less often."""
        return more_often_than_half(self.only_active, self.only_candidate)

    @property
    def worse(self) -> float:
        """E-value: the candidate makes this mistake more often."""
        return more_often_than_half(self.only_candidate, self.only_active)

    @property
    def not_worse(self) -> float:
        """E-value: it makes this mistake where the active one does not in less than `margin` of all parts."""
        against = min(self.only_candidate + self.not_labelled, self.parts)
        return share_below(self.margin, against, self.parts) if self.parts else 1.0

    @property
    def finding(self) -> str:
        """`better`, `worse`, `not worse`; empty: not enough was seen. The first that is known, worse before all."""
        if self.worse >= ENOUGH:
            return "worse"
        if self.better >= ENOUGH:
            return "better"
        return "not worse" if self.not_worse >= ENOUGH else ""


@dataclass(frozen=True, slots=True)
class Differing:
    """A part that one passes and the other does not."""

    row: ShadowRow
    label: str
    """`good`, `defective`; empty: nobody has said."""

    @property
    def place(self) -> tuple[str, int]:
        return (self.row.session, self.row.acquisition_id)

    @property
    def candidate_passes(self) -> bool:
        return self.row.verdict == "PASS"


@dataclass(frozen=True, slots=True)
class Shadowed:
    """Everything about one run."""

    run: ShadowRun
    pairs: Mapping[tuple[str, str], int]
    """(verdict of the active engine, of the shadow): how many parts."""
    differing: Sequence[Differing]
    false_rejects: Direction
    escapes: Direction

    @property
    def seen(self) -> int:
        """Parts of production that both have judged."""
        return sum(count for (_, verdict), count in self.pairs.items() if verdict != "ERROR")

    @property
    def failed(self) -> int:
        """Parts that the shadow could not judge."""
        return sum(count for (_, verdict), count in self.pairs.items() if verdict == "ERROR")

    @property
    def seen_share(self) -> float | None:
        """Of the parts that it was offered; None: of none."""
        offered = self.run.offered
        return (offered - self.run.dropped) / offered if offered else None

    @property
    def to_label(self) -> int:
        """Parts that differ and that nobody has labelled."""
        return sum(not one.label for one in self.differing)

    @property
    def is_enough(self) -> bool:
        """Both questions have an answer."""
        return bool(self.false_rejects.finding and self.escapes.finding)


def part_labels(file: Path) -> dict[tuple[str, int], str]:
    """What people say of parts: (session, acquisition id) to `good` or `defective`. One defective view is a defective
    part. Raises LabelError.
    """
    said: dict[tuple[str, int], str] = {}
    for one in read_labels(file):
        place = (one.session, one.acquisition_id)
        if said.get(place) != "defective":
            said[place] = one.label
    return said


def shadowed(records: sqlite3.Connection, labels: Mapping[tuple[str, int], str], run: ShadowRun) -> Shadowed:
    """Reads a run. `labels`: see `part_labels`. Raises sqlite3.Error."""
    pairs = shadows.pairs(records, run.run)
    rows = [row for row in shadows.differing(records, run.run, MOST_DIFFERING) if row.verdict != "ERROR"]
    differing = [Differing(row, labels.get((row.session, row.acquisition_id), "")) for row in rows]
    seen = sum(count for (_, verdict), count in pairs.items() if verdict != "ERROR")
    return Shadowed(run, pairs, differing, _false_rejects(differing, seen), _escapes(differing, seen))


def _false_rejects(differing: Sequence[Differing], seen: int) -> Direction:
    good = [one for one in differing if one.label == "good"]
    return Direction(
        only_active=sum(one.candidate_passes for one in good),
        only_candidate=sum(not one.candidate_passes for one in good),
        not_labelled=sum(not one.candidate_passes and not one.label for one in differing),
        parts=seen,
    )


def _escapes(differing: Sequence[Differing], seen: int) -> Direction:
    defective = [one for one in differing if one.label == "defective"]
    return Direction(
        only_active=sum(not one.candidate_passes for one in defective),
        only_candidate=sum(one.candidate_passes for one in defective),
        not_labelled=sum(one.candidate_passes and not one.label for one in differing),
        parts=seen,
    )
