"""Views joined: what one camera saw never gets lost in a vote that may not be held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.codes import ReasonCode
from station.line.inspection.joining import WORST, JoinRule, join, missing_views
from station.results import (
    SEVERITY,
    Decision,
    Frame,
    FrameQuality,
    Inspection,
    Measurement,
    Reason,
    Region,
    Regions,
    Verdict,
    defect_area_mm2,
    highest_scored,
    score_of,
)

PASS, FAIL, REVIEW, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.REVIEW, Verdict.ERROR
TWO_OF_THREE = JoinRule(2.0)
CODES = {
    FAIL: ReasonCode.SCORE_ABOVE_LIMIT,
    REVIEW: ReasonCode.SCORE_IN_REVIEW_BAND,
    ERROR: ReasonCode.ENGINE_RAISED,
}


def view(camera: str, verdict: Verdict, code: ReasonCode | None = None, *, score: float = 0.1) -> Inspection:
    reasons = () if verdict is PASS else (Reason(code or CODES[verdict], "found"),)
    frame = Frame(camera, 1, np.zeros((4, 4), np.uint8), 0, 0)
    regions = Regions((Region(1.5, 1.0, (0.0, 0.0), (0, 0, 1, 1), 0.6),))
    measurement = Measurement(score, regions, FrameQuality(50.0, 0.0, 9.0, (4, 4)))
    return Inspection(frame, Decision(verdict, reasons), None, measurement)


def views(*verdicts: Verdict) -> list[Inspection]:
    return [view(f"c{number}", verdict) for number, verdict in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("rule", "verdicts", "joined"),
    [
        (WORST, (PASS, PASS, PASS), PASS),
        (WORST, (PASS, REVIEW, PASS), REVIEW),
        (WORST, (REVIEW, PASS, FAIL), FAIL),
        (WORST, (FAIL, ERROR, PASS), ERROR),
        (TWO_OF_THREE, (FAIL, PASS, PASS), PASS),
        (TWO_OF_THREE, (REVIEW, PASS, PASS), PASS),
        (TWO_OF_THREE, (FAIL, REVIEW, PASS), REVIEW),
        (TWO_OF_THREE, (FAIL, FAIL, PASS), FAIL),
        (TWO_OF_THREE, (PASS, ERROR, PASS), ERROR),
        (JoinRule(1.0, {"c0": 1.0, "c1": 0.5, "c2": 0.5}), (FAIL, PASS, PASS), FAIL),
        (JoinRule(1.0, {"c0": 1.0, "c1": 0.5, "c2": 0.5}), (PASS, FAIL, PASS), PASS),
        (JoinRule(1.0, {"c0": 1.0, "c1": 0.5, "c2": 0.5}), (PASS, FAIL, FAIL), FAIL),
        (JoinRule(1.0, {"c0": 0.7, "c1": 0.2, "c2": 0.1}), (FAIL, FAIL, FAIL), FAIL),  # 0.7 + 0.2 + 0.1 < 1
    ],
)
def test_rules(rule: JoinRule, verdicts: tuple[Verdict, ...], joined: Verdict) -> None:
    assert join(views(*verdicts), rule).verdict is joined


def test_one_reason_not_to_trust_a_picture_is_enough() -> None:
    """Whatever else was found in it: a dark picture with a score in the review band is not outvoted."""
    dark = view("c0", REVIEW)
    reasons = (*dark.decision.reasons, Reason(ReasonCode.TOO_DARK))
    dark = replace(dark, decision=Decision(REVIEW, reasons))
    assert join([dark, *views(PASS, PASS)], TWO_OF_THREE).verdict is REVIEW


def test_one_view_is_the_part() -> None:
    only = view("top", FAIL)
    assert join([only], TWO_OF_THREE) is only.decision


def test_without_views_there_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="without a view"):
        join([], WORST)


def test_reasons_name_their_camera_most_severe_first() -> None:
    decision = join([view("top", REVIEW), view("side", FAIL), view("end", PASS)], WORST)
    assert [(reason.code, reason.detail) for reason in decision.reasons] == [
        (ReasonCode.SCORE_ABOVE_LIMIT, 'camera "side": found'),
        (ReasonCode.SCORE_IN_REVIEW_BAND, 'camera "top": found'),
    ]


@pytest.mark.parametrize("code", [ReasonCode.TOO_DARK, ReasonCode.WRONG_SIZE, ReasonCode.PART_NOT_LOCATED])
@pytest.mark.parametrize("verdict", [REVIEW, FAIL])
def test_a_view_that_did_not_see_the_part_is_never_outvoted(code: ReasonCode, verdict: Verdict) -> None:
    assert join([view("a", verdict, code), view("b", PASS), view("c", PASS)], TWO_OF_THREE).verdict is verdict


def test_missing_views_are_named() -> None:
    decision = missing_views(["side", "end"])
    assert decision.verdict is ERROR
    assert [reason.code for reason in decision.reasons] == [ReasonCode.VIEW_MISSING] * 2
    assert 'camera "end"' in str(decision.reasons[1])


def test_score_is_the_highest_and_area_the_sum() -> None:
    seen = [view("a", PASS, score=0.2), view("b", FAIL, score=0.8)]
    assert (score_of(seen), defect_area_mm2(seen)) == (0.8, 3.0)
    assert highest_scored(seen) is seen[1]
    assert (score_of([]), defect_area_mm2([])) == (None, 0.0)


@given(
    st.lists(st.sampled_from([PASS, FAIL, REVIEW, ERROR]), min_size=1, max_size=8),
    st.floats(0, 8),
    st.lists(st.floats(0.01, 1), min_size=8, max_size=8),
)
def test_no_rule_is_stricter_than_the_worst_or_passes_an_error(
    verdicts: list[Verdict], needed: float, weights: list[float]
) -> None:
    seen = views(*verdicts)
    rule = JoinRule(needed, {view.camera: weight for view, weight in zip(seen, weights, strict=False)})
    joined, worst = join(seen, rule), join(seen, WORST)
    assert SEVERITY[joined.verdict] <= SEVERITY[worst.verdict]
    assert (joined.verdict is ERROR) == (ERROR in verdicts)
    if all(verdict is FAIL for verdict in verdicts) and rule.votes(seen) >= needed:
        assert joined.verdict is FAIL
