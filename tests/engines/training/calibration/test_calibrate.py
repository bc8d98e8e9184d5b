"""Do limits keep their promise? Simulated: many calibrations on few scores, each tested on the true distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from engines.bundle.manifest import Calibration
from engines.errors import TrainingError
from engines.training.calibration.calibrate import calibrate, realised
from engines.training.calibration.tail import (
    effective_count,
    exceeding_rank,
    min_count,
    order_limit,
    tail_limit,
    upper_limit,
)

Scores = NDArray[np.float64]

TRUTHS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "gamma": lambda rng, size: rng.gamma(2.0, size=size),
    "log-normal": lambda rng, size: np.exp(0.5 * rng.normal(size=size)),
    "t of 5 degrees": lambda rng, size: rng.standard_t(5, size=size),
    "t of 5 degrees, exponential": lambda rng, size: np.exp(0.25 * rng.standard_t(5, size=size)),
}
HEAVY_TAIL = "t of 5 degrees, exponential"


def limits_of(scores: Scores, budget: float = 0.01) -> Calibration:
    return calibrate(scores, scores, budget, order_is_capture_order=False)


@pytest.mark.parametrize("count", [20, 60, 200, 500])
@pytest.mark.parametrize("name", TRUTHS)
def test_the_budget_holds_with_the_stated_confidence(name: str, count: int) -> None:
    rng = np.random.default_rng(7)
    truth = np.sort(TRUTHS[name](rng, 200_000))
    limits = np.array([limits_of(rng.choice(truth, count)).reject_score for _ in range(120)])
    rates = 1 - np.searchsorted(truth, limits, side="right") / len(truth)
    # 0.9 was promised; of 120 trials 0.82 is what chance allows. A model of the tail cannot know of a heavy one.
    allowed = 0.6 if name == HEAVY_TAIL and count < min_count(0.01, 0.9) else 0.82
    assert np.mean(rates <= 0.01) >= allowed
    assert np.mean(rates) <= 0.01


@pytest.mark.parametrize("count", [60, 400])
def test_undetected_dirt_costs_care_but_not_the_promise(count: int) -> None:
    rng = np.random.default_rng(3)
    rates = []
    for _ in range(40):
        scores = rng.normal(size=count)
        dirty = rng.random(count) < 0.02
        scores[dirty] += rng.uniform(2, 8, dirty.sum())
        limit = limits_of(scores).reject_score
        rates.append(np.mean(rng.normal(size=20_000) > limit))
    assert np.mean(np.array(rates) <= 0.01) >= 0.82


def test_the_naive_quantile_would_not_hold() -> None:
    """What the bound is for: the empirical quantile of 60 scores breaks the budget more often than it keeps it."""
    rng = np.random.default_rng(7)
    truth = np.sort(rng.normal(size=200_000))
    limits = np.array([np.quantile(rng.choice(truth, 60), 0.99) for _ in range(400)])
    rates = 1 - np.searchsorted(truth, limits, side="right") / len(truth)
    assert np.mean(rates <= 0.01) < 0.5


samples = st.builds(
    lambda seed, count: np.random.default_rng(seed).normal(size=count), st.integers(0, 10_000), st.integers(20, 400)
)


@given(
    samples,
    st.sampled_from([1.0, 0.5, 0.2]),
    st.lists(st.floats(0.001, 0.4), min_size=2, max_size=6, unique=True),
)
@settings(deadline=None, max_examples=60)
def test_a_larger_budget_never_gives_a_higher_limit(values: Scores, worth: float, budgets: list[float]) -> None:
    """From one way of drawing a limit to the other, too: KolektorSDD had 3 % below 5 %."""
    limits = [upper_limit(values, budget, 0.9, worth * len(values)) for budget in sorted(budgets)]
    assert limits == sorted(limits, reverse=True)


@given(samples, st.sampled_from([(0.01, 0.02), (0.01, 0.03), (0.01, 0.1), (0.05, 0.1), (0.03, 0.4)]))
@settings(deadline=None, max_examples=60)
def test_the_review_band_does_not_vanish(values: Scores, budgets: tuple[float, float]) -> None:
    calibration = calibrate(values, values, *budgets, order_is_capture_order=False)
    assert calibration.review_score < calibration.reject_score
    assert (calibration.false_reject_budget, calibration.review_budget) == budgets


def test_the_review_budget_moves_only_the_review_limit() -> None:
    scores = np.random.default_rng(1).normal(size=300)
    narrow, wide = (calibrate(scores, scores, 0.01, review, order_is_capture_order=False) for review in (0.03, 0.1))
    assert wide.review_score < narrow.review_score
    assert (wide.reject_score, wide.pixel_score) == (narrow.reject_score, narrow.pixel_score)
    none = calibrate(scores, scores, 0.05, 0.01, order_is_capture_order=False)
    assert (none.review_score, none.review_budget) == (none.reject_score, 0.05), "it counts the rejected ones, too"


@pytest.mark.parametrize("count", [200, 500])
@pytest.mark.parametrize("budget", [0.03, 0.1])
@pytest.mark.parametrize("name", TRUTHS)
def test_the_review_budget_holds_and_is_used(name: str, budget: float, count: int) -> None:
    rng = np.random.default_rng(3)
    truth = np.sort(TRUTHS[name](rng, 200_000))
    limits = np.array([upper_limit(rng.choice(truth, count), budget, 0.9, count) for _ in range(120)])
    rates = 1 - np.searchsorted(truth, limits, side="right") / len(truth)
    assert np.mean(rates <= budget) >= 0.82  # of 120 trials at 0.9: three deviations of chance
    assert np.median(rates) >= 0.4 * budget


@given(samples, st.floats(-50, 50), st.floats(0.1, 20))
@settings(deadline=None, max_examples=25)
def test_limits_move_and_scale_with_the_scores(values: Scores, shift: float, scale: float) -> None:
    first, second = limits_of(values), limits_of(values * scale + shift)
    for name in ("reject_score", "review_score", "pixel_score", "typical_score"):
        assert getattr(second, name) == pytest.approx(getattr(first, name) * scale + shift, rel=1e-6, abs=1e-6)
    assert second.scale.shown(values[0] * scale + shift) == pytest.approx(first.scale.shown(values[0]), abs=1e-6)


@given(samples)
@settings(deadline=None, max_examples=25)
def test_a_smaller_budget_gives_a_higher_limit(values: Scores) -> None:
    for limit in (tail_limit, order_limit):
        try:
            limits = [limit(values, budget, 0.9, len(values)) for budget in (0.2, 0.1, 0.05, 0.02, 0.01)]
        except ValueError:
            assert limit is order_limit  # too few for the smallest budgets
            continue
        assert limits == sorted(limits)
    calibration = limits_of(values)
    assert calibration.review_score <= calibration.reject_score


def test_more_images_of_the_same_kind_give_a_lower_limit() -> None:
    def limit(count: int) -> float:
        """In the mean over samples: a single one may show its heavy tail only when it is large."""
        samples = np.random.default_rng(4).normal(size=(40, count))
        return float(np.mean([tail_limit(sample, 0.01, 0.9, count) for sample in samples]))

    assert limit(320) < limit(80) < limit(20)


@pytest.mark.parametrize("count", [60, 209, 300])
def test_one_contaminated_image_is_left_out_and_named(count: int) -> None:
    clean = np.random.default_rng(5).normal(size=count)
    dirty = clean.copy()
    dirty[count // 2] = 60.0
    before, after = limits_of(clean), limits_of(dirty)
    assert after.outlier_count == 1
    assert after.reject_score < before.reject_score + 1.0
    assert f"1 of the {count} images score far beyond the others" in after.promise
    assert "left out" not in before.promise


def test_neighbours_that_resemble_each_other_count_less() -> None:
    rng = np.random.default_rng(11)
    independent = rng.normal(size=200)
    exposures = np.repeat(rng.normal(size=50), 4) + 0.1 * rng.normal(size=200)
    assert effective_count(independent) > 160
    assert 35 < effective_count(exposures) < 110
    careful, plain = calibrate(exposures, exposures, 0.01), limits_of(exposures)
    assert careful.reject_score > plain.reject_score
    assert f"worth {careful.effective_count:.0f} independent ones" in careful.promise


def test_the_promise_says_when_it_rests_on_a_model() -> None:
    rng = np.random.default_rng(2)
    few, enough = limits_of(rng.normal(size=387)), limits_of(rng.normal(size=388))
    assert "rests on a model of the tail of the scores: without one it takes 388 independent images" in few.promise
    assert "model" not in enough.promise
    assert few.promise.startswith(
        "Of 1000 good parts at most 10 are rejected and at most 100 rejected or in review. Each of the two holds in "
        "9 of 10 teachings from as many images (387)."
    )
    assert few.method.startswith("generalised Pareto tail")
    assert enough.method.startswith("order statistic")


@given(st.integers(1, 40), st.data())
@settings(deadline=None, max_examples=40)
def test_escape_bounds_enclose_what_was_seen(count: int, data: st.DataObject) -> None:
    good = np.random.default_rng(0).normal(size=100)
    defective = np.array(data.draw(st.lists(st.floats(-3, 20), min_size=count, max_size=count)))
    calibration = calibrate(good, good, 0.01, defective_scores=defective)
    escapes = calibration.escapes
    assert escapes is not None
    assert escapes.escaped_count + escapes.failed_count <= count
    assert escapes.escaped_count / count <= escapes.escape_share_upper
    assert escapes.fail_share_lower <= escapes.failed_count / count
    assert f"the {count} labelled ones" in calibration.promise


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
@settings(deadline=None, max_examples=30)
def test_escapes_are_the_defects_that_pass_and_failures_those_that_fail(below: int, between: int, above: int) -> None:
    """A defect exactly at a limit counts as the station judges it: PASS at the review, REVIEW at the reject limit."""
    good = np.random.default_rng(0).uniform(0, 1, 100)
    limits = calibrate(good, good, 0.01)
    review, reject = limits.review_score, limits.reject_score
    assert review < reject
    defective = np.array(
        [
            *np.linspace(-1.0, review, below + 1),
            *np.linspace(reject, np.nextafter(review, np.inf), between + 1),
            *np.linspace(np.nextafter(reject, np.inf), reject + 5.0, above + 1),
        ]
    )
    escapes = calibrate(good, good, 0.01, defective_scores=np.random.default_rng(1).permutation(defective)).escapes
    assert escapes is not None
    assert (escapes.escaped_count, escapes.failed_count) == (below + 1, above + 1)
    assert escapes.defective_count == below + between + above + 3


def test_the_bound_of_escapes_is_drawn_from_the_defects_that_pass() -> None:
    good = np.random.default_rng(0).uniform(0, 1, 100)
    limits = calibrate(good, good, 0.01)
    between = (limits.review_score + limits.reject_score) / 2
    defective = np.array([0.5] * 2 + [between] * 5 + [limits.reject_score + 1.0] * 13)
    calibration = calibrate(good, good, 0.01, defective_scores=defective)
    assert calibration.escapes is not None
    # Clopper and Pearson by their definition: at the bound, as few escapes (as many failures) have 10 % chance.
    upper, lower = calibration.escapes.escape_share_upper, calibration.escapes.fail_share_lower
    assert stats.binom.cdf(2, 20, upper) == pytest.approx(0.1)
    assert stats.binom.sf(12, 20, lower) == pytest.approx(0.1)
    assert f"at most {upper:.1%} pass and at least {lower:.1%} fail outright" in calibration.promise


@pytest.mark.parametrize("repeated", [1, 5])
def test_outliers_count_for_nothing_in_the_effective_count(repeated: int) -> None:
    """Of 250 scores 5 lie far out, as many as may: 98 % of what the scores are worth remains."""
    rng = np.random.default_rng(4)
    scores = np.repeat(rng.normal(size=250 // repeated), repeated) + 0.01 * rng.normal(size=250)
    scores[rng.choice(250, 5, replace=False)] = 50.0 + np.arange(5)
    worth = effective_count(scores)
    if repeated > 1:
        assert worth < 125, "neighbours show the same part"
    in_order, apart = calibrate(scores, scores, 0.01), limits_of(scores)
    assert (in_order.outlier_count, apart.outlier_count) == (5, 5)
    assert in_order.effective_count == pytest.approx(0.98 * worth)
    assert apart.effective_count == pytest.approx(0.98 * 250)


def test_copies_of_one_image_and_one_other_give_no_limit() -> None:
    """Without the guard the review limit would be the score of the copies: every good part would be in review."""
    scores = np.r_[np.full(249, 2.0), 9.0]
    with pytest.raises(TrainingError, match="limit of the image scores, 2, is not above their median"):
        limits_of(scores)


@given(st.integers(20, 2000), st.floats(0.001, 0.4))
@settings(deadline=None, max_examples=60)
def test_the_rank_of_a_limit_meets_the_confidence_exactly(count: int, budget: float) -> None:
    """At a whole rank j the chance that j or fewer of `count` lie above is 1 - confidence; between, it is between."""
    rank = exceeding_rank(count, budget, 0.9)
    below, above = np.floor(rank), np.floor(rank) + 1
    assert stats.binom.cdf(below, count, budget) <= 0.1 + 1e-6
    assert stats.binom.cdf(above, count, budget) >= 0.1 - 1e-6


def test_a_limit_without_a_model_is_not_set_by_one_image() -> None:
    for budget, expected in ((0.01, 388), (0.03, 129), (0.05, 77)):
        assert min_count(budget, 0.9) == expected
        assert exceeding_rank(expected, budget, 0.9) >= 1 > exceeding_rank(expected - 1, budget, 0.9)
    assert exceeding_rank(229, 0.01, 0.9) < 0 < exceeding_rank(230, 0.01, 0.9)  # log(0.1) / log(0.99) = 229.1
    scores = np.arange(400.0)
    assert 397.9 < order_limit(scores, 0.01, 0.9, 400) < 398.0
    with pytest.raises(ValueError, match="200 scores give no limit without a model, 388 do"):
        order_limit(scores, 0.01, 0.9, 200)


def test_escape_bound_without_escapes_is_that_of_the_textbook() -> None:
    good = np.random.default_rng(0).normal(size=100)
    escapes = calibrate(good, good, 0.01, defective_scores=np.full(22, 50.0)).escapes
    assert escapes is not None
    assert escapes.escape_share_upper == pytest.approx(1 - 0.1 ** (1 / 22))
    assert escapes.fail_share_lower == pytest.approx(0.1 ** (1 / 22))


def test_realised_counts_every_part_once_and_judges_the_promise() -> None:
    good = np.random.default_rng(0).normal(size=100)
    calibration = limits_of(good)
    between = (calibration.review_score + calibration.reject_score) / 2
    test_good = np.array([0.0] * 96 + [between] * 3 + [calibration.reject_score + 1])
    found = realised(calibration, test_good, np.array([0.0, between, 99.0, 99.0]))
    assert (found.false_rejects.count, found.good_in_review.count) == (1, 3)
    assert (found.escapes.count, found.defective_in_review.count) == (1, 1)
    assert found.false_rejects.low < 0.01 < found.false_rejects.high
    assert found.within_budget
    assert not found.refuted
    broken = realised(calibration, np.full(50, 99.0), np.empty(0))
    assert broken.refuted
    assert not broken.within_budget
    assert broken.escapes.total == 0
    assert realised(calibration, np.empty(0), np.empty(0)).within_budget is None


def test_copies_of_one_rejected_part_refute_nothing() -> None:
    calibration = limits_of(np.random.default_rng(0).normal(size=100))
    test_good = np.array([0.0] * 96 + [calibration.reject_score + 1] * 6)
    found = realised(calibration, test_good, np.empty(0), np.arange(102) // 6)
    assert (found.false_rejects.count, found.independent_good) == (6, 17)
    assert not found.within_budget, "the share of images is reported as it is"
    assert not found.refuted
    assert realised(calibration, test_good, np.empty(0)).refuted, "six different parts"


def test_dirty_training_images_show_in_the_promise() -> None:
    good = np.random.default_rng(0).normal(size=100)
    assert "dirty" in calibrate(good, good, 0.01, is_dirty=True).promise
    assert "dirty" not in calibrate(good, good, 0.01).promise


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(50), "all 50 image scores are 0"),
        (np.arange(9.0), "at least 10 held-out good images needed, found 9"),
        (np.array([np.nan] * 20), "not finite"),
        (np.r_[np.zeros(5), np.ones(45)], "the 13 largest of 50 scores are all 1"),
        (np.zeros((5, 4)), r"shape \(5, 4\)"),
    ],
)
def test_useless_scores_are_refused(values: Scores, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        limits_of(values)


def test_useless_options_are_refused() -> None:
    good = np.random.default_rng(0).normal(size=100)
    with pytest.raises(TrainingError, match="allowed is above 0 and at most"):
        calibrate(good, good, 0.0)
    with pytest.raises(TrainingError, match=r"review budget 0.5: allowed is above 0 and at most 0.4"):
        calibrate(good, good, 0.01, 0.5)
    with pytest.raises(TrainingError, match="100 image scores and 99 map peaks"):
        calibrate(good, good[1:], 0.01)
    with pytest.raises(TrainingError, match="scores of defective images: at least 1 image needed, found 0"):
        calibrate(good, good, 0.01, defective_scores=np.empty(0))
    with pytest.raises(TrainingError, match="not finite"):
        realised(limits_of(good), np.array([np.inf]), np.empty(0))


def test_scores_that_are_all_the_same_count_as_one() -> None:
    assert effective_count(np.full(30, 2.5)) == 1.0


def test_only_what_neighbours_share_of_the_tail_counts() -> None:
    """Three quarters drift slowly, as with the light of a day; which image scores high is chance."""
    rng = np.random.default_rng(3)
    drift = np.sin(np.arange(400) / 40) + 0.1 * rng.normal(size=400)
    high = rng.random(400) < 0.25
    scores = np.where(high, 5.0 + rng.normal(size=400), drift)
    assert effective_count(scores) > 300
    together = np.where(np.sort(high), scores, drift)  # the high ones one after the other
    assert effective_count(np.where(np.sort(high), 5.0 + together, drift)) < 40


@given(st.integers(0, 2**31), st.integers(1, 30))
def test_doubtful_images_raise_the_limit_to_reject_and_no_other(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    scores, doubtful = rng.normal(size=60), rng.uniform(-3, 12, count)
    plain = limits_of(scores, 0.05)
    limits = calibrate(scores, scores, 0.05, order_is_capture_order=False, doubtful_scores=doubtful)
    assert limits.reject_score >= plain.reject_score
    assert limits.review_score == plain.review_score
    assert limits.pixel_score == plain.pixel_score
    assert limits.holdout_count == plain.holdout_count


def test_no_part_is_rejected_for_being_like_a_doubtful_image() -> None:
    rng = np.random.default_rng(0)
    scores, doubtful = rng.normal(size=200), rng.uniform(3, 6, 40)
    limits = calibrate(scores, scores, 0.01, doubtful_scores=doubtful)
    assert calibrate(scores, scores, 0.01).reject_score < 4
    assert limits.reject_score > 5.5
    assert "40 images were left out on weak grounds" in limits.promise
    assert "weak grounds" not in limits_of(scores).promise


def test_a_doubtful_score_that_is_not_finite_is_refused() -> None:
    scores = np.random.default_rng(0).normal(size=50)
    with pytest.raises(TrainingError, match="scores of doubtful images are not finite"):
        calibrate(scores, scores, 0.01, doubtful_scores=np.array([np.nan]))
