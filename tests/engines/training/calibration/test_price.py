"""What a review budget costs: counted on images that the limits do not know."""

from __future__ import annotations

import numpy as np
import pytest

from engines.errors import TrainingError
from engines.training.calibration.calibrate import calibrate
from engines.training.calibration.price import REVIEW_BUDGETS, capped, price_list
from engines.training.calibration.sample import NO_SCORES

GOOD = np.random.default_rng(2).normal(size=300)
EACH = np.arange(300)


def test_a_wider_band_costs_reviews_and_catches_defects() -> None:
    defects = np.linspace(0, 4, 41)
    prices = price_list(GOOD, EACH, 0.01, 0.07, defective_scores=defects)
    assert [price.review_budget for price in prices] == sorted({*REVIEW_BUDGETS, 0.07})
    reviews = [price.in_review for price in prices if price.in_review is not None]
    escaped = [price.escaped for price in prices if price.escaped is not None]
    assert len(reviews) == len(escaped) == len(prices)
    assert reviews == sorted(reviews)
    assert escaped == sorted(escaped, reverse=True)
    assert reviews[0] == 0 < reviews[-1]
    for price in prices:
        assert price.rejected is not None
        assert price.in_review is not None
        assert price.rejected + price.in_review <= price.review_budget + 0.03  # of 300: two deviations of chance
    limits = calibrate(GOOD, GOOD, 0.01, 0.07, defective_scores=defects)
    chosen = next(price for price in prices if price.review_budget == 0.07)
    assert limits.escapes is not None
    assert (chosen.escaped, chosen.review_score) == (limits.escapes.escaped_count, limits.review_score)


def test_limits_are_shown_on_the_scale_of_the_engine() -> None:
    prices, shown = price_list(GOOD, EACH, 0.01, 0.1), price_list(GOOD, EACH, 0.01, 0.1, shown=np.tanh)
    assert [price.review_score for price in shown] == [np.tanh(price.review_score) for price in prices]
    assert [price.in_review for price in shown] == [price.in_review for price in prices]


def test_images_of_one_part_do_not_vouch_for_each_other() -> None:
    """Ten parts with thirty images each, one part odd: its images are held against limits that none of them drew."""
    groups = EACH // 30
    odd = GOOD + np.where(groups == 4, 6.0, 0.0)
    together, apart = (price_list(odd, labels, 0.01, 0.1)[-2] for labels in (groups, EACH))
    assert together.rejected is not None
    assert apart.rejected is not None
    assert together.rejected == pytest.approx(0.1, abs=0.01)
    assert apart.rejected < 0.5 * together.rejected


def test_the_count_is_the_same_each_time() -> None:
    assert price_list(GOOD, EACH, 0.01, 0.1) == price_list(GOOD, EACH, 0.01, 0.1)


def test_what_cannot_be_counted_is_none() -> None:
    """Without the one part that differs nothing but copies are left."""
    scores = np.r_[np.full(37, 5.0), 6.0, 7.0, 8.0]
    groups = np.r_[np.arange(37), 37, 37, 37]
    prices = price_list(scores, groups, 0.01, 0.1)
    assert {(price.rejected, price.in_review, price.escaped) for price in prices} == {(None, None, None)}
    assert all(price.review_score > 5 for price in prices)


def test_reviews_are_bounded_by_what_a_person_can_look_at() -> None:
    assert capped(0.1, 0.01, None, None) == capped(0.1, 0.01, 3600.0, None) == 0.1
    assert capped(0.1, 0.01, 3600.0, 90.0) == 0.025
    assert capped(0.1, 0.01, 3600.0, 900.0) == 0.1, "it never widens"
    assert capped(0.1, 0.01, 3600.0, 1.0) == 0.01, "then there is no review band"
    with pytest.raises(TrainingError, match="give the rate of the line, too"):
        capped(0.1, 0.01, None, 90.0)
    with pytest.raises(TrainingError, match="parts per hour -1"):
        capped(0.1, 0.01, -1.0, None)


def test_doubtful_images_cost_reviews_in_place_of_rejects() -> None:
    doubtful = np.linspace(3, 6, 40)
    prices, wider = (price_list(GOOD, EACH, 0.05, 0.1, doubtful_scores=each) for each in (NO_SCORES, doubtful))
    for plain, changed in zip(prices, wider, strict=True):
        assert changed.review_score == plain.review_score
        assert (plain.rejected, changed.rejected) == (pytest.approx(0.04, abs=0.015), 0)
        assert plain.rejected is not None
        assert plain.in_review is not None
        assert changed.in_review == pytest.approx(plain.in_review + plain.rejected)
