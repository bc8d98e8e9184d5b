"""Limits below a ceiling: what they keep of those that are drawn without one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.training.calibration.bounded import Lifted, calibrate_bounded
from engines.training.calibration.calibrate import calibrate

BEGINS, CEILING = 1.2, 2.5


def bend(value: float) -> float:
    width = CEILING - BEGINS
    return value if value <= BEGINS else BEGINS + width * (1 - float(np.exp(-(value - BEGINS) / width)))


def lifted(before: np.ndarray, free: np.ndarray) -> Lifted:
    return Lifted(before, free, np.maximum(before, [bend(each) for each in free]), bend)


@given(st.integers(0, 2**32 - 1), st.integers(30, 200), st.floats(0.1, 3.0))
def test_no_more_good_parts_lie_above_a_limit_than_without_a_bound(seed: int, count: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    before = rng.normal(size=count)
    image = lifted(before, before + strength * rng.exponential(size=count) * (rng.random(count) < 0.3))
    limits = calibrate(before, before, 0.05, 0.1).model_copy(update={"reject_score": CEILING, "review_score": BEGINS})
    free = calibrate(image.free, image.free, 0.05, 0.1)
    found = calibrate_bounded(limits, free, image, image, np.array([1.0, 9.0]))
    if found is None:
        return
    assert found.review_score < found.reject_score
    assert found.reject_score >= CEILING
    assert np.count_nonzero(image.bounded > found.reject_score) <= np.count_nonzero(before > CEILING)
    assert np.count_nonzero(image.bounded > found.review_score) <= np.count_nonzero(image.free > free.review_score)
    assert found.escapes is not None
    assert (found.escapes.escaped_count, found.escapes.failed_count) == (1, 1)
    assert found.promise.startswith(free.promise)
    assert "Of defects like the 2 labelled ones" in found.promise


def test_what_is_far_above_the_free_limit_is_above_the_bounded_one() -> None:
    """Few good parts, of which some are lifted: a model of the bent scores would put the limit above the ceiling."""
    before = np.linspace(-1, 1, 40)
    image = lifted(before, before + np.r_[np.zeros(34), np.linspace(1, 2, 6)])
    limits = calibrate(before, before, 0.05, 0.1).model_copy(update={"reject_score": CEILING, "review_score": BEGINS})
    free = calibrate(image.free, image.free, 0.05, 0.1)
    found = calibrate_bounded(limits, free, image, image, None)
    assert found is not None
    assert found.escapes is None
    assert bend(free.review_score + 1) > found.review_score == pytest.approx(bend(free.review_score))


def test_a_head_that_lifts_most_good_parts_to_the_ceiling_leaves_no_band() -> None:
    before = np.linspace(0, 1, 40)
    image = lifted(before, before + 50 + before)
    limits = calibrate(before, before, 0.05, 0.1).model_copy(update={"reject_score": 1.0, "review_score": BEGINS})
    assert calibrate_bounded(limits, calibrate(image.free, image.free, 0.05, 0.1), image, image, None) is None
