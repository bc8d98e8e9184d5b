"""Figures of the report: checked against counting by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.results import Verdict
from station.simulation.accounts.report import Outcome, auroc, confusion, ledger, problems, report, spread
from station.simulation.plant.belt import Bin
from station.simulation.plant.plc import ID_NOT_ACKNOWLEDGED

SCORES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=12)


@given(negatives=SCORES, positives=SCORES)
def test_auroc_is_the_share_of_pairs_in_order(negatives: list[float], positives: list[float]) -> None:
    pairs = [(n, p) for n in negatives for p in positives]
    wins = sum(1.0 if p > n else 0.5 if p == n else 0.0 for n, p in pairs)
    assert auroc(negatives, positives) == pytest.approx(wins / len(pairs))


def test_auroc_needs_both_kinds() -> None:
    assert auroc([], [1.0]) is None
    assert auroc([1.0], []) is None


def test_spread_of_nothing_is_null() -> None:
    assert spread([]) == {"p50": None, "p95": None, "p99": None}
    assert spread([1.0, 2.0, 3.0])["p50"] == 2.0


def part(part_id: int, truth: str, verdict: Verdict, score: float | None = 1.0) -> Outcome:
    passed = verdict is Verdict.PASS
    return Outcome(
        part_id,
        truth,
        (verdict,),
        Bin.GOOD if passed else Bin.REJECT,
        fired_error_counts=None if passed else 12,
        why_rejected="" if passed else verdict.name,
        reason="" if passed else "because",
        score=score,
        latency_ms=30.0,
        engine_ms=20.0,
    )


OUTCOMES = [
    part(1, "good", Verdict.PASS, 1.0),
    part(2, "good", Verdict.REVIEW, 2.0),
    part(3, "good", Verdict.FAIL, 3.0),
    part(4, "dent", Verdict.PASS, 1.5),
    part(5, "dent", Verdict.REVIEW, 2.5),
    part(6, "scratch", Verdict.FAIL, 9.0),
    replace(part(7, "scratch", Verdict.ERROR, None), latency_ms=500.0, engine_ms=None),
]
COUNTED = {"triggers": 7, "pass": 2, "fail": 2, "review": 2, "error": 1}


def test_report_counts_every_part_once() -> None:
    made = report(OUTCOMES, "abc")
    assert made["ledger"] == COUNTED == ledger(OUTCOMES)
    assert made["truth"] == {"good": 3, "defective": 4}
    assert made["confusion"] == {
        "good_pass": 1, "good_review": 1, "good_fail": 1,
        "defective_pass": 1, "defective_review": 1, "defective_fail": 1,
    }  # fmt: skip
    assert made["ejected_part_ids"] == [2, 3, 5, 6, 7]
    assert made["image_auroc"] == pytest.approx(6 / 9)
    assert made["latency_ms"] == {"p50": 30.0, "p95": 30.0, "p99": 30.0, "max": 30.0}
    assert made["engine_ms"] == {"p50": 20.0, "p99": 20.0}
    assert made["overhead_ms"] == {"p50": 10.0, "p99": 10.0}
    assert made["by_kind"]["scratch"] == {"pass": 0, "review": 0, "fail": 1, "error": 1}
    assert made["error_parts_by_reason"] == {"because": 1}
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_error_parts_are_not_in_the_confusion() -> None:
    assert sum(confusion(OUTCOMES).values()) == 6


def test_all_well_says_nothing() -> None:
    assert problems(OUTCOMES, COUNTED) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdicts": ()}, "parts without a verdict: 3"),
        ({"verdicts": (), "why_rejected": ID_NOT_ACKNOWLEDGED}, "too slow or too busy for this --rate"),
        ({"verdicts": (Verdict.FAIL, Verdict.PASS)}, "parts with more than one verdict: 3"),
        ({"end": Bin.GOOD}, "parts in the good bin without a PASS: 3"),
        ({"end": None}, "parts that never left the belt: 3"),
    ],
)
def test_what_must_never_be_is_named(change: dict[str, object], words: str) -> None:
    broken = [*OUTCOMES[:2], replace(OUTCOMES[2], **change), *OUTCOMES[3:]]  # type: ignore[arg-type]
    found = problems(broken, COUNTED)
    assert any(words in problem for problem in found), found


def test_verdict_on_the_wrong_picture_is_named() -> None:
    assert problems(OUTCOMES, COUNTED, unexposed=[7]) == [], "part 7 was not inspected"
    assert "left the camera's view: 3;" in problems(OUTCOMES, COUNTED, unexposed=[3, 7])[0]


def test_ledger_out_of_balance_is_named() -> None:
    assert "does not balance" in problems(OUTCOMES, {**COUNTED, "triggers": 8})[0]
