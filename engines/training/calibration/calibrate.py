"""From scores of held-out good images to limits that come with a promise, and what became of the promise.

The empirical 99 % quantile of some fifty scores is too optimistic: the next parts exceed it far more often than 1 %.
Here every limit is an upper confidence bound that knows the number of images: without any model of the scores where
there are enough of them, from a model of their tail where there are not; the promise says which. Both were chosen by
simulation (`benchmarks/calibration.py`): the model keeps its promise for tails up to about those of a log-normal of
deviation 0.5; with heavier ones it holds in two cases of three, and twice as many images are the remedy.

Two budgets, two limits, each drawn by itself: how many good parts may be rejected, and how many may be rejected or cost
a person's look. The second is the lever on escapes that breaks no promise; what it costs is people's time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes a second of processor time to import

from engines import said
from engines.bundle.manifest import Calibration, EscapeBounds
from engines.errors import TrainingError
from engines.training.calibration.sample import CONFIDENCE, NO_SCORES, Sample, Scores
from engines.training.calibration.tail import min_count

MIN_HOLDOUT = 10
REVIEW_BUDGET = 0.1
"""Of a new product: its first weeks are worth a look at every tenth good part."""
MAX_BUDGET = 0.2
MAX_REVIEW_BUDGET = 0.4
PIXEL_BUDGET_FACTOR = 3.0
"""This many times the false-reject budget of the good parts may show a region."""


def calibrate(
    held_out_scores: Scores,
    held_out_peaks: Scores,
    budget: float,
    review_budget: float = REVIEW_BUDGET,
    *,
    doubtful_scores: Scores = NO_SCORES,
    defective_scores: Scores | None = None,
    order_is_capture_order: bool = True,
    is_dirty: bool = False,
    confidence: float = CONFIDENCE,
) -> Calibration:
    """Limits for a false-reject budget, each with this confidence.

    A cell of the map counts as defective above a limit on the *largest* cell of good parts, not of single cells: what
    people and region rules see is whether a part shows a region, and that is what the pixel budget speaks of.

    Args:
        held_out_scores: (n,) image scores of good images, each by a model that did not see it.
        held_out_peaks: (n,) the largest cell of their maps.
        budget: share of good parts that may be rejected, above 0 and at most 0.2.
        review_budget: share that may be rejected or in review, above 0 and at most 0.4; `budget` where that is more.
        doubtful_scores: image scores of images that were not learned and may be good: the limit to reject is drawn as
            if they were, so that parts like them come to review.
        defective_scores: image scores of known defective images that were not learned.
        order_is_capture_order: neighbours may show the same part; then fewer images are independent.
        is_dirty: refinement found defects among the training images; some may be left, and the promise says so.

    Raises:
        TrainingError: too few scores, scores that are not finite or all the same, or a budget out of range.
    """
    check_budgets(budget, review_budget)
    if not 0.5 <= confidence < 1:
        raise TrainingError(f"confidence {confidence}: allowed is from 0.5 to below 1")
    scores = _checked(held_out_scores, "image scores", minimum=MIN_HOLDOUT)
    peaks = _checked(held_out_peaks, "map peaks", minimum=MIN_HOLDOUT)
    if len(scores) != len(peaks):
        raise TrainingError(
            f"calibration got {len(scores)} image scores and {len(peaks)} map peaks: one per image each"
        )

    review_budget = max(budget, review_budget)
    pixel_budget = min(0.4, PIXEL_BUDGET_FACTOR * budget)
    image = Sample.of(scores, "image scores", confidence, order_is_capture_order)
    pixel = Sample.of(peaks, "map peaks", confidence, order_is_capture_order)
    doubtful = _checked(doubtful_scores, "scores of doubtful images", minimum=0)
    reject_score = image.limit_with(doubtful, scores, budget, order_is_capture_order)
    review_score = image.limit(review_budget)
    escapes = (
        None
        if defective_scores is None
        else escape_bounds(
            _checked(defective_scores, "scores of defective images", minimum=1), review_score, reject_score, confidence
        )
    )
    return Calibration(
        reject_score=reject_score,
        review_score=review_score,
        pixel_score=pixel.limit(pixel_budget),
        typical_score=float(np.median(scores)),
        typical_peak=float(np.median(peaks)),
        false_reject_budget=budget,
        review_budget=review_budget,
        pixel_budget=pixel_budget,
        confidence=confidence,
        holdout_count=len(scores),
        effective_count=image.effective_count,
        outlier_count=image.outlier_count,
        method=f"{'order statistic' if image.needs_no_model(budget) else 'generalised Pareto tail'}, cross-fitted",
        promise=_promise(image, budget, review_budget, escapes, is_dirty=is_dirty, doubtful=len(doubtful)),
        escapes=escapes,
    )


def check_budgets(budget: float, review_budget: float) -> None:
    """Raises TrainingError for a budget that no calibration accepts."""
    if not 0 < budget <= MAX_BUDGET:
        raise TrainingError(f"false-reject budget {budget}: allowed is above 0 and at most {MAX_BUDGET}")
    if not 0 < review_budget <= MAX_REVIEW_BUDGET:
        raise TrainingError(f"review budget {review_budget}: allowed is above 0 and at most {MAX_REVIEW_BUDGET}")


def escape_bounds(defective: Scores, review_score: float, reject_score: float, confidence: float) -> EscapeBounds:
    """One-sided bounds on what passes and what fails of defects like these (Clopper and Pearson 1934)."""
    count = len(defective)
    escaped, failed = int((defective <= review_score).sum()), int((defective > reject_score).sum())
    return EscapeBounds(
        defective_count=count,
        escaped_count=escaped,
        failed_count=failed,
        escape_share_upper=_upper(escaped, count, confidence),
        fail_share_lower=_lower(failed, count, confidence),
    )


@dataclass(frozen=True)
class ObservedShare:
    """A count out of a total, with its two-sided Clopper-Pearson interval. Share and bounds are NaN when total is 0."""

    count: int
    total: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Realised:
    """What happened on test images, beside what was promised."""

    false_reject_budget: float
    confidence: float
    """Of the promise and of each interval."""
    false_rejects: ObservedShare
    """Good parts that FAIL."""
    good_in_review: ObservedShare
    escapes: ObservedShare
    """Defective parts that PASS."""
    defective_in_review: ObservedShare
    within_budget: bool | None
    """Whether the observed share of false rejects is within the budget; None: no good test images."""
    independent_good: int
    """Good test images, copies of one part counted once."""
    refuted: bool | None
    """Whether even the lower bound of the false rejects among these lies above the budget: then chance does not explain
    it."""


def realised(
    calibration: Calibration,
    good_scores: Scores,
    defective_scores: Scores,
    good_groups: NDArray[np.intp] | None = None,
) -> Realised:
    """Hold the limits against test images that took no part in training and calibration.

    Args:
        good_groups: a label for each good image; those with the same label show the same part (`twin_groups`), which
            counts once for what chance explains, as rejected when any of its images is. None: all differ.

    Raises:
        TrainingError: a score is not finite.
    """
    good = _checked(good_scores, "scores of good test images", minimum=0)
    defective = _checked(defective_scores, "scores of defective test images", minimum=0)
    reject, review = calibration.reject_score, calibration.review_score
    confidence = calibration.confidence
    budget = calibration.false_reject_budget

    def observed(hits: NDArray[np.bool_]) -> ObservedShare:
        count, total = int(hits.sum()), len(hits)
        if total == 0:
            return ObservedShare(0, 0, float("nan"), float("nan"), float("nan"))
        side = (1 + confidence) / 2
        return ObservedShare(count, total, count / total, _lower(count, total, side), _upper(count, total, side))

    false_rejects = observed(good > reject)
    groups = np.arange(len(good)) if good_groups is None else good_groups
    parts = observed(np.isin(np.unique(groups), groups[good > reject]))
    return Realised(
        false_reject_budget=budget,
        confidence=confidence,
        false_rejects=false_rejects,
        good_in_review=observed((good > review) & (good <= reject)),
        escapes=observed(defective <= review),
        defective_in_review=observed((defective > review) & (defective <= reject)),
        within_budget=false_rejects.share <= budget if len(good) else None,
        independent_good=parts.total,
        refuted=parts.low > budget if len(good) else None,
    )


def _upper(count: int, total: int, confidence: float) -> float:
    return 1.0 if count == total else float(special.betaincinv(count + 1, total - count, confidence))


def _lower(count: int, total: int, confidence: float) -> float:
    return 0.0 if count == 0 else float(special.betaincinv(count, total - count + 1, 1 - confidence))


def _checked(scores: Scores, name: str, *, minimum: int) -> Scores:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1:
        raise TrainingError(f"calibration: the {name} have shape {scores.shape}, expected one number per image")
    if len(scores) < minimum:
        kind = "image" if minimum == 1 else "held-out good images"
        raise TrainingError(f"calibration: {name}: at least {minimum} {kind} needed, found {len(scores)}")
    if not np.isfinite(scores).all():
        raise TrainingError(f"calibration: the {name} are not finite: the features or the training are broken")
    if minimum == MIN_HOLDOUT and np.ptp(scores) <= 1e-9 * max(1.0, float(np.abs(scores).max())):
        raise TrainingError(
            f"calibration: all {len(scores)} {name} are {scores[0]:.6g}: are the held-out images all the same?"
        )
    return scores


def escapes_in_words(escapes: EscapeBounds, confidence: float) -> str:
    """A sentence of the promise."""
    return said.ESCAPES(
        count=escapes.defective_count,
        share=f"{escapes.escape_share_upper:.1%}",
        other_share=f"{escapes.fail_share_lower:.1%}",
        third_share=f"{confidence:.0%}",
    )


def _promise(
    image: Sample, budget: float, review_budget: float, escapes: EscapeBounds | None, *, is_dirty: bool, doubtful: int
) -> str:
    total = len(image.scores) + image.outlier_count
    sure = {"number": f"{10 * image.confidence:.3g}", "count": total}
    is_alike = image.effective_count < 0.95 * total
    sentences = [
        said.PROMISE(rejected=f"{1000 * budget:.3g}", in_review=f"{1000 * review_budget:.3g}"),
        said.HOLDS_ALIKE(**sure, total=f"{image.effective_count:.0f}") if is_alike else said.HOLDS(**sure),
    ]
    if not image.needs_no_model(budget):
        sentences.append(said.TAIL(count=min_count(budget, image.confidence)))
    if image.outlier_count:
        sentences.append(said.OUTLIERS(count=image.outlier_count, total=total))
    if is_dirty:
        sentences.append(said.DIRTY())
    if doubtful:
        sentences.append(said.DOUBTFUL(count=doubtful))
    if escapes is not None:
        sentences.append(escapes_in_words(escapes, image.confidence))
    return " ".join(sentences)
