"""What a review budget costs and what it catches: the table from which a person chooses one.

Reviews cost people's time, defects that pass cost more. How many good parts come to review is counted, not only
promised: the held-out scores are split again and again, and each part is held against limits drawn from the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import ReviewPrice
from engines.errors import TrainingError
from engines.training.calibration.sample import CONFIDENCE, NO_SCORES, Sample, Scores

REVIEW_BUDGETS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
PARTS = 4
"""Of a split: each is held against limits that the other three draw."""
BLOCKS_PER_PART = 5
"""Neighbours resemble each other: they stay together in blocks, and chance gives blocks to parts."""
SPLITS = 5


def capped(
    review_budget: float, budget: float, parts_per_hour: float | None, max_reviews_per_hour: float | None
) -> float:
    """The review budget, lowered where a person cannot look at as many good parts; never below `budget`.

    Raises:
        TrainingError: a rate is not positive, or the most reviews are given without the parts.
    """
    for name, value in (("parts per hour", parts_per_hour), ("most reviews per hour", max_reviews_per_hour)):
        if value is not None and not 0 < value < math.inf:
            raise TrainingError(f"{name} {value}: allowed is a number above 0")
    if max_reviews_per_hour is None:
        return review_budget
    if parts_per_hour is None:
        raise TrainingError(
            f"at most {max_reviews_per_hour:g} reviews per hour: that is a share only of a known rate; "
            "give the rate of the line, too (--parts-per-hour)"
        )
    return min(review_budget, max(budget, max_reviews_per_hour / parts_per_hour))


def price_list(
    held_out_scores: Scores,
    groups: NDArray[np.intp],
    budget: float,
    review_budget: float,
    *,
    defective_scores: Scores | None = None,
    doubtful_scores: Scores = NO_SCORES,
    shown: Callable[[float], float] = lambda limit: limit,
    confidence: float = CONFIDENCE,
) -> tuple[ReviewPrice, ...]:
    """The usual review budgets and the chosen one, from the smallest on.

    Args:
        held_out_scores: (n,) as for a `calibrate` that succeeded.
        groups: (n,) images with the same label show the same part and lie side by side.
        doubtful_scores: as for `calibrate`; no good parts, so they are not counted.
        shown: brings a limit of these scores to the scale of the engine.
    """
    sample = Sample.of(held_out_scores, "image scores", confidence, order_is_capture_order=True)
    budgets = sorted({each for each in (*REVIEW_BUDGETS, max(budget, review_budget)) if each >= budget})
    counted = _above(held_out_scores, groups, doubtful_scores, (budget, *budgets), confidence)

    def price(each: float, above: float | None) -> ReviewPrice:
        limit = sample.limit(each)
        rejected = None if counted is None else counted[0]
        return ReviewPrice(
            review_budget=each,
            review_score=shown(limit),
            rejected=rejected,
            in_review=None if rejected is None or above is None else above - rejected,
            escaped=None if defective_scores is None else int((defective_scores <= limit).sum()),
        )

    above = [None] * len(budgets) if counted is None else counted[1:]
    return tuple(price(each, found) for each, found in zip(budgets, above, strict=True))


def _above(
    scores: Scores, groups: NDArray[np.intp], doubtful: Scores, budgets: Sequence[float], confidence: float
) -> list[float] | None:
    """The share of the scores above the limit of each budget, each score held against limits drawn without its part;
    the first limit is that to reject, which counts the doubtful ones.

    None: the others of a part give no limit.
    """
    _, group = np.unique(groups, return_inverse=True)
    blocks = group * min(PARTS * BLOCKS_PER_PART, int(group.max()) + 1) // (int(group.max()) + 1)
    rng = np.random.default_rng(0)
    above = np.zeros(len(budgets))
    for _ in range(SPLITS):
        part = rng.permutation(int(blocks.max()) + 1)[blocks] % PARTS
        for held in range(PARTS):
            others = scores[part != held]
            try:
                sample = Sample.of(others, "image scores", confidence, order_is_capture_order=True)
                reject = sample.limit_with(doubtful, others, budgets[0], order_is_capture_order=True)
                limits = [reject, *(sample.limit(each) for each in budgets[1:])]
                above += [np.count_nonzero(scores[part == held] > limit) for limit in limits]
            except TrainingError:
                return None
    return [float(count / (SPLITS * len(scores))) for count in above]
