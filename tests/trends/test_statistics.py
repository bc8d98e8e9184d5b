"""Slope, test and crossing against SciPy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from station.trends.statistics import begin_of_slope, mann_kendall, p_value, since_last_step, slope

DRAW = np.random.default_rng(3)
NOISE = DRAW.normal(size=40)


def test_theil_sen_is_that_of_scipy() -> None:
    days = np.arange(40.0)
    values = 3.0 - 0.2 * days + NOISE
    found = slope(tuple(days), tuple(values))
    assert found is not None
    assert found.per_day == pytest.approx(stats.theilslopes(values, days).slope)
    assert found.p < 1e-6


def test_mann_kendall_counts_ties() -> None:
    """Gilbert (1987), section 16.4.2: the variance with groups of two and three equal values."""
    values = np.array([10.0, 22.0, 21.0, 30.0, 22.0, 30.0, 40.0, 30.0])
    s, variance = mann_kendall(values)
    assert s == sum(np.sign(b - a) for i, a in enumerate(values) for b in values[i + 1 :])
    assert variance == pytest.approx((8 * 7 * 21 - 2 * 1 * 9 - 3 * 2 * 11) / 18)
    assert p_value(s, variance) == pytest.approx(2 * stats.norm.sf((abs(s) - 1) / math.sqrt(variance)))
    assert p_value(*mann_kendall(np.ones(9))) == 1.0


def test_few_days_have_no_slope() -> None:
    assert slope((1.0, 2.0), (1.0, 2.0)) is None


def test_a_step_begins_a_new_level_and_a_ramp_does_not() -> None:
    noise = 0.5 * NOISE
    assert since_last_step(tuple(np.where(np.arange(40) < 25, 100.0, 80.0) + noise), 2.0) == 25
    assert since_last_step(tuple(100 - np.arange(40.0) + noise), 2.0) == 0
    assert since_last_step(tuple(100 + noise), 2.0) == 0


def test_where_a_slope_begins() -> None:
    days = np.arange(40.0)
    values = 100 - np.clip(days - 20, 0, None) + 0.1 * NOISE
    assert begin_of_slope(tuple(days), tuple(values)) == pytest.approx(20, abs=1)
