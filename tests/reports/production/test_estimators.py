"""Bounds as tables of statistics have them, and intervals that hold on simulated lines with known truth."""

from __future__ import annotations

import pytest

from benchmarks.report_estimators import AT_LEAST, covered
from station.reports.production.drawn import detection_rate, false_reject_rate, kappa
from station.reports.production.estimators import Stratum, at_least, at_most, most_in_batch, wilson


@pytest.mark.parametrize(
    ("count", "of", "bound"),
    [(0, 300, 0.009936), (0, 59, 0.049500), (1, 50, 0.091398), (3, 100, 0.075712), (10, 10, 1.0)],
)
def test_upper_bounds_are_those_of_clopper_and_pearson(count: int, of: int, bound: float) -> None:
    assert at_most(count, of) == pytest.approx(bound, abs=2e-5)
    assert at_least(of - count, of) == pytest.approx(1 - bound, abs=2e-5)


def test_a_closed_batch_has_a_whole_number() -> None:
    assert most_in_batch(0, 300, 10_000) == 97
    assert most_in_batch(0, 300, 300) == 0
    assert most_in_batch(2, 300, 300) == 2
    assert most_in_batch(0, 1, 10) == 9


def test_wilson_is_as_published() -> None:
    found = wilson(10, 100)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.05523, 0.17437), abs=1e-5)
    assert wilson(0, 5).low == 0.0
    with pytest.raises(ValueError, match="a share of nothing"):
        wilson(0, 0)


def test_where_all_parts_were_seen_there_is_nothing_to_estimate() -> None:
    rejected, passed = [Stratum(10, 10, 8), Stratum(5, 5, 1)], [Stratum(100, 100, 1)]
    found = detection_rate(rejected, passed)
    assert found is not None
    assert (found.value, found.low) == (pytest.approx(0.9), pytest.approx(0.9))
    wrong = false_reject_rate(rejected, passed)
    assert wrong is not None
    assert (wrong.value, wrong.low, wrong.high) == pytest.approx((6 / 105,) * 3)


def test_what_nobody_has_looked_at_is_not_known() -> None:
    assert detection_rate([Stratum(10, 10, 8)], [Stratum(100, 0, 0)]) is None
    assert detection_rate([Stratum(10, 0, 0)], [Stratum(100, 100, 0)]) is None
    assert false_reject_rate([Stratum(10, 10, 8)], [Stratum(100, 0, 0)]) is None
    assert detection_rate([Stratum(10, 10, 0)], [Stratum(100, 100, 0)]) is None, "no defect was there to be found"
    with pytest.raises(ValueError, match="cannot be"):
        Stratum(5, 6, 0)


def test_a_sample_without_a_defect_bounds_the_detection_and_does_not_make_it_100_percent() -> None:
    found = detection_rate([Stratum(100, 100, 90)], [Stratum(10_000, 300, 0)])
    assert found is not None
    assert found.value == 1.0
    assert found.low is not None
    assert 0.45 < found.low < 0.55, "at most about 97 of 10,000 passed: 90 of 187"


def test_kappa_knows_chance() -> None:
    same = kappa([("good", "good")] * 30 + [("defective", "defective")] * 10)
    assert same is not None
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)
    fifty = kappa([("good", "good"), ("good", "defective"), ("defective", "good"), ("defective", "defective")] * 20)
    assert fifty is not None
    assert fifty.value == pytest.approx(0.0)
    assert fifty.low is not None
    assert fifty.low < 0 < (fifty.high or 0)
    assert kappa([("good", "good")]) is None


def test_the_intervals_cover_on_simulated_lines() -> None:
    found = covered(60)
    for name, one in found.items():
        assert one.given >= 20, name
        assert one.share >= AT_LEAST - 0.06, f"{name}: {one.share:.0%} of {one.given}; two of 60 may miss by chance"
