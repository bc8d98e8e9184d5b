"""E-values: their error when somebody looks after every part, against known values, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from station.reports.candidate.e_values import (
    ENOUGH,
    more_often_than_half,
    share_above,
    share_below,
)
from station.reports.incomplete_beta import log_incomplete_beta

RUNS = 2000


@pytest.mark.parametrize(
    ("x", "a", "b", "expected"),
    [
        (0.3, 1, 1, 0.3),
        (0.5, 14, 4, 0.006363),  # P(Bin(17, 0.5) >= 14)
        (0.002, 1, 3000, 1 - 0.998**3000),
        (0.9, 5, 1, 0.9**5),
    ],
)
def test_the_incomplete_beta_function(x: float, a: float, b: float, expected: float) -> None:
    assert math.exp(log_incomplete_beta(x, a, b)) == pytest.approx(expected, abs=1e-6)


def test_one_part_is_worth_what_the_mixture_says() -> None:
    """Of (1/2, 1): the mean of 2p is 1.5, that of 2(1 - p) is 0.5; of (0, 0.01): the mean of p / 0.01 is 0.5."""
    assert more_often_than_half(1, 0) == pytest.approx(1.5)
    assert more_often_than_half(0, 1) == pytest.approx(0.5)
    assert share_below(0.01, 1, 1) == pytest.approx(0.5)
    nothing = (more_often_than_half(0, 0), share_above(0.3, 0, 0), share_below(0.3, 0, 0))
    assert nothing == pytest.approx((1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("value", "limit", "parts"),
    [(share_above, 0.5, 200), (share_above, 0.01, 800), (share_below, 0.05, 800)],
)
def test_looking_after_every_part_errs_in_at_most_a_twentieth(
    value: Callable[[float, int, int], float], limit: float, parts: int
) -> None:
    """2,000 runs at the limit itself, the worst case of the hypothesis; "enough" whenever it is ever reached."""
    random = np.random.default_rng(3)
    counts = np.cumsum(random.random((RUNS, parts)) < limit, axis=1)
    enough = np.zeros((parts + 1, parts + 1), bool)
    for total in range(1, parts + 1):
        for count in range(int(counts[:, total - 1].min()), int(counts[:, total - 1].max()) + 1):
            enough[total, count] = value(limit, count, total) >= ENOUGH
    wrong = sum(bool(enough[np.arange(1, parts + 1), run].any()) for run in counts)
    assert wrong / RUNS <= 0.05


def test_a_better_engine_is_found_with_few_labels() -> None:
    """1 % against 0.2 % of the parts: some 16 labels and 1,300 parts in the median."""
    random = np.random.default_rng(4)
    needed, labels = [], []
    for _ in range(200):
        drawn = random.random(20_000)
        only_active, only_candidate = np.cumsum(drawn < 0.01), np.cumsum((drawn >= 0.01) & (drawn < 0.012))
        for part in np.flatnonzero(drawn < 0.012):
            found = (int(only_active[part]), int(only_candidate[part]))
            if more_often_than_half(*found) >= ENOUGH:
                needed.append(int(part) + 1)
                labels.append(sum(found))
                break
    assert len(needed) == 200
    assert 700 < np.median(needed) < 1700
    assert np.median(labels) <= 20


@pytest.mark.parametrize(("limit", "count", "total"), [(0.0, 1, 2), (1.0, 1, 2), (0.5, -1, 2), (0.5, 3, 2)])
def test_refused(limit: float, count: int, total: int) -> None:
    with pytest.raises(ValueError, match=r"share|count"):
        share_above(limit, count, total)


def test_many_parts_stay_numbers() -> None:
    assert share_below(0.002, 0, 3_000_000) > 1e100
    assert share_below(0.002, 30_000, 3_000_000) == pytest.approx(4.16e-5, rel=0.01)  # 1 / (12 million per unit of p)
    assert share_above(0.5, 900, 1000) > 1000
