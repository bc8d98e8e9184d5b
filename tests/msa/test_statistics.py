"""Bounds against SciPy, kappa at its edges, and simulated studies whose true shares the bounds cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.agreement import coverage
from station.msa.bounds import beta_cdf, exact, most_when_none, share, share_of_decisions, t_point
from station.msa.statistics import cohen, fleiss


@pytest.mark.parametrize(("count", "of"), [(0, 1), (0, 50), (1, 50), (42, 50), (50, 50), (3, 450), (2.5, 33.3)])
def test_exact_bounds_are_those_of_clopper_and_pearson(count: float, of: float) -> None:
    low = 0.0 if count == 0 else stats.beta.ppf(0.025, count, of - count + 1)
    high = 1.0 if count == of else stats.beta.ppf(0.975, count + 1, of - count)
    assert exact(count, of) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("freedom", [1, 2, 15, 49, 1349])
def test_points_of_student(freedom: int) -> None:
    assert t_point(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def test_the_beta_function() -> None:
    for at in (0.0, 1e-6, 0.2, 0.5, 0.99, 1.0):
        assert beta_cdf(at, 3.0, 0.5) == pytest.approx(stats.beta.cdf(at, 3.0, 0.5), abs=1e-12)


def test_decisions_that_hang_together_count_as_fewer() -> None:
    together, apart = share_of_decisions([3, 0, 0, 0, 0, 0, 0, 0, 0, 0], 3), share_of_decisions([1, 1, 1] + [0] * 7, 3)
    assert together.value == apart.value == 0.1
    assert together.exact[1] > apart.exact[1]
    assert share_of_decisions([0] * 50, 3).exact[1] == share(0, 50).exact[1]


def test_a_share_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        share(0, 0)
    with pytest.raises(ValueError, match="nothing"):
        share_of_decisions([], 3)


def test_the_bound_without_a_miss() -> None:
    assert f"{100 * most_when_none(50):.1f}" == "5.8"


def test_kappa_at_its_edges() -> None:
    same = np.ones((5, 2), np.int8)
    assert cohen(same, same).value == 1.0
    other = np.array([[0, 1], [1, 0], [0, 1], [1, 0]], np.int8)
    assert cohen(other[:, :1], other[:, 1:]).value == -1.0
    assert fleiss(same[:, :1]) is None


def test_bounds_cover_what_is_true() -> None:
    """A short run of the benchmark: of 300 studies at least 92 % (binomial bound of 95 %) hold the true share."""
    found = coverage(studies=300, seed=5)
    for name in ("effectiveness, exact", "miss rate, exact", "false alarm rate, exact"):
        assert found[name] >= 0.92, (name, found)
