"""The size that is found 9 times of 10: monotone, careful, and right in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.bundle.detection import Curve
from engines.training.synthesis.fit import fit

SMALLEST, LARGEST = 2.0, 128.0


def sizes(count: int = 60) -> np.ndarray:
    return np.geomspace(SMALLEST, LARGEST, count)


def probability(curve: Curve, size_px: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-curve.steepness * np.log(size_px / curve.half_px))))


@settings(deadline=None)
@given(found=st.lists(st.booleans(), min_size=60, max_size=60))
def test_curves_are_monotone_and_the_bound_is_on_the_careful_side(found: list[bool]) -> None:
    curve = fit(sizes(), np.array(found), SMALLEST, LARGEST)
    values = probability(curve, np.geomspace(1, 1000, 200))
    assert (np.diff(values) >= 0).all()
    assert (curve.trials, curve.found) == (60, sum(found))
    if curve.from_px is not None:
        assert SMALLEST <= curve.from_px <= LARGEST
        assert curve.from_px >= 0.8 * min(LARGEST, curve.half_px)


@settings(deadline=None)
@given(found=st.lists(st.booleans(), min_size=60, max_size=60), more=st.integers(30, 59))
def test_one_more_large_defect_found_never_raises_the_size(found: list[bool], more: int) -> None:
    fewer, better = np.array(found), np.array(found)
    fewer[more], better[more] = False, True
    first, second = (fit(sizes(), each, SMALLEST, LARGEST) for each in (fewer, better))
    assert (second.from_px or np.inf) <= (first.from_px or np.inf) * 1.6  # a flatter curve may reach further


@pytest.mark.parametrize("at", [4.0, 16.0, 50.0])
def test_a_step_is_found_just_above_itself(at: float) -> None:
    curve = fit(sizes(), sizes() >= at, SMALLEST, LARGEST)
    assert curve.from_px is not None
    assert at < curve.from_px < 1.8 * at


def test_nothing_found_is_said_and_all_found_is_from_the_smallest_on() -> None:
    assert fit(sizes(), np.zeros(60, bool), SMALLEST, LARGEST).from_px is None
    every = fit(sizes(), np.ones(60, bool), SMALLEST, LARGEST)
    assert every.from_px is not None
    assert every.from_px < 2 * SMALLEST


@pytest.mark.parametrize("steepness", [2.0, 6.0, 12.0])
def test_the_bound_covers_the_true_size_19_times_of_20(steepness: float) -> None:
    """Simulated: the true a90 lies at or below the bound in about 95 % of the repetitions, within chance."""
    rng, half = np.random.default_rng(7), 12.0
    true = half * np.exp(np.log(9) / steepness)
    chance = 1 / (1 + np.exp(-steepness * np.log(sizes() / half)))
    bounds = [fit(sizes(), rng.random(60) < chance, SMALLEST, LARGEST).from_px for _ in range(200)]
    covered = sum((bound or np.inf) >= true for bound in bounds)
    assert covered >= 180  # 3.2 standard deviations below 190; the draws are always the same
