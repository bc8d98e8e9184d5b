"""The suggested kind of a defect on record: of parts that do not pass, and no part of what is decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from station.records.parts import part_row
from station.results import InspectionRecord, Verdict, kind_of
from tests.bench.sample_parts import PartMaker


def looking_like(record: InspectionRecord, *kinds: str) -> InspectionRecord:
    """Its views, each with what the engine says of its worst place."""
    views = []
    for view, kind in zip(record.views, kinds, strict=True):
        assert view.scores is not None
        views.append(replace(view, scores=replace(view.scores, kind=kind)))
    return replace(record, views=tuple(views))


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(Verdict.PASS, ""), (Verdict.REVIEW, "scratch"), (Verdict.FAIL, "scratch"), (Verdict.ERROR, "")],
)
def test_only_what_does_not_pass_has_a_kind(verdict: Verdict, expected: str) -> None:
    record = PartMaker("s1").inspected(1, verdict)
    row = part_row(looking_like(record, "scratch"))
    assert row.kind == expected
    assert row.verdict == part_row(record).verdict == verdict.name
    assert row.reasons == part_row(record).reasons


def test_the_kind_is_that_of_the_view_that_does_not_pass() -> None:
    record = PartMaker("s1").seen_by(1, {"top": Verdict.PASS, "side": Verdict.FAIL})
    assert kind_of(looking_like(record, "dent", "scratch").views) == "scratch"
    assert part_row(record).kind == ""
