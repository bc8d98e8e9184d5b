"""A part that the engine cannot find: REVIEW with its reason, on the whole station, and never a score or a PASS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.bundle.location_spec import BlobLocation
from station.codes import ReasonCode
from station.line.inspection.decision import Limits, QualityLimits, not_located
from station.results import FrameQuality, Verdict
from tests.bench.bench import HEIGHT, WIDTH, Bench
from tests.bench.engines.loose_parts import Lie, random_lie, screw
from tests.bench.engines.small_engine import write_located_engine

SCREW = BlobLocation(contrast=40, min_area_share=0.01, max_area_share=0.2, turn=True, head="shape")


def part(lie: Lie, *, spot: bool = False) -> np.ndarray:
    return screw(lie, width=WIDTH, height=HEIGHT, colour=False, noise=0.0, spot=spot)


def test_a_part_that_is_not_found_is_a_review(tmp_path: Path) -> None:
    with Bench(tmp_path, with_engine=False) as bench:
        write_located_engine(bench.engine_path, part(Lie()), SCREW)
        bench.start()
        assert bench.part(part(random_lie(1))).passed
        nothing = bench.part(np.full((HEIGHT, WIDTH), 180, np.uint8))
        assert (nothing.result, nothing.passed, nothing.reject) == (Verdict.REVIEW, False, True)
        assert nothing.reason_code == ReasonCode.PART_NOT_LOCATED
        cut_off = bench.part(part(Lie(x=0.1)))
        assert (cut_off.result, cut_off.reason_code) == (Verdict.REVIEW, ReasonCode.PART_NOT_LOCATED)
        assert bench.part(part(random_lie(2), spot=True)).result == Verdict.FAIL
        assert bench.part(part(random_lie(3))).passed  # a part that is not found is no fault of the station
        assert bench.terminate() == 0
        counts = bench.assert_balanced(5)
        assert (counts.passed, counts.failed, counts.review, counts.error) == (2, 1, 2, 0)
        rows = [row for row in bench.rows() if row.verdict == "REVIEW"]
        for row in rows:
            assert row.score is None
            assert row.views[0].image_path is not None  # somebody has to look at it


QUALITY = FrameQuality(mean_grey=10.0, saturated_share=0.0, sharpness=50.0, shape=(HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("limits", "verdict", "reasons"),
    [
        (QualityLimits(), Verdict.REVIEW, [ReasonCode.PART_NOT_LOCATED]),
        (QualityLimits(min_mean_grey=40), Verdict.REVIEW, [ReasonCode.TOO_DARK, ReasonCode.PART_NOT_LOCATED]),
        (
            QualityLimits(min_mean_grey=40, verdict=Verdict.FAIL),
            Verdict.FAIL,
            [ReasonCode.TOO_DARK, ReasonCode.PART_NOT_LOCATED],
        ),
    ],
)
def test_a_bad_picture_explains_why(limits: QualityLimits, verdict: Verdict, reasons: list[ReasonCode]) -> None:
    decision = not_located(QUALITY, Limits(reject_score=0.5, review_score=0.4, quality=limits), "nothing there")
    assert decision.verdict is verdict
    assert [reason.code for reason in decision.reasons] == reasons
    assert decision.reasons[-1].detail == "nothing there"
