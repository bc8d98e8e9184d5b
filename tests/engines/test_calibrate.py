"""Do limits keep their promise? Simulated: many calibrations on few scores, each tested on the true distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.training.calibrate import tail_limit
from engines.training.errors import TrainingError


@pytest.mark.parametrize("count", [20, 60, 200])
@pytest.mark.parametrize("distribution", ["normal", "exponential", "gumbel"])
def test_the_budget_holds_with_the_stated_confidence(distribution: str, count: int) -> None:
    rng = np.random.default_rng(7)
    truth = np.sort(getattr(rng, distribution)(size=200_000))
    kept = 0
    rates = []
    for _ in range(400):
        limit = tail_limit(rng.choice(truth, count), 0.01)
        rate = 1 - np.searchsorted(truth, limit, side="right") / len(truth)
        rates.append(rate)
        kept += rate <= 0.01
    assert kept / 400 >= 0.8  # 0.9 by construction for an exact tail and a known threshold
    assert np.mean(rates) <= 0.01


def test_the_naive_quantile_would_not_hold() -> None:
    """What the bound is for: the empirical quantile of 60 scores breaks the budget more often than it keeps it."""
    rng = np.random.default_rng(7)
    truth = np.sort(rng.normal(size=200_000))
    limits = np.array([np.quantile(rng.choice(truth, 60), 0.99) for _ in range(400)])
    rates = 1 - np.searchsorted(truth, limits, side="right") / len(truth)
    assert np.mean(rates <= 0.01) < 0.5


scores = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).normal(size=50))


@given(scores, st.floats(-50, 50), st.floats(0.1, 20))
@settings(deadline=None)
def test_limits_move_and_scale_with_the_scores(values: np.ndarray, shift: float, scale: float) -> None:
    limit = tail_limit(values, 0.01)
    assert tail_limit(values * scale + shift, 0.01) == pytest.approx(limit * scale + shift, rel=1e-6, abs=1e-6)


@given(scores)
@settings(deadline=None)
def test_a_smaller_budget_and_fewer_images_give_a_higher_limit(values: np.ndarray) -> None:
    assert tail_limit(values, 0.001) > tail_limit(values, 0.01) > tail_limit(values, 0.05)
    assert tail_limit(np.tile(values, 20), 0.01) < tail_limit(values, 0.01)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(50), "all 50 held-out images score 0"),
        (np.arange(9.0), "at least 10 held-out good images, found 9"),
        (np.array([np.nan] * 20), "not finite"),
    ],
)
def test_useless_scores_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        tail_limit(values, 0.01)
