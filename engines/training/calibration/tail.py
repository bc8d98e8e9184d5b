"""Upper limits for one more score of the same kind: with a model of the tail, or without.

Both take scores as they come from unseen images and both follow shifts and scalings of the scores exactly.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special  # scipy.stats takes a second of processor time to import

Scores = NDArray[np.float64]

TAIL_SHARE = 0.25
"""Share of the scores that the tail is fitted to, but at least `MIN_TAIL` scores."""
MIN_TAIL = 10
SHAPE_MEAN, SHAPE_DEVIATION = 0.05, 0.2
"""Prior of the shape: -0.3 suits normal scores, 0 exponential ones, 0.3 the tail of a log-normal of deviation 1."""
OUTLIER_CHANCE = 0.001
"""How often a calibration may take the largest good score for an outlier."""
CHANCE = 1.5
"""Deviations of an autocorrelation of independent scores. With 2, weak likeness is cut off: where parts have eight
images 0.84 of the calibrations held (`benchmarks/calibration.py --of neighbours`)."""
_SHAPES = np.linspace(-0.5, 0.9, 30)  # none of them is 0, where the formulas need their limit
_SCALES = np.exp(np.linspace(-math.log(4), math.log(4), 33))  # in units of the mean excess
_EXCEEDING_POINTS = 7


def exceeding_rank(count: float, probability: float, confidence: float) -> float:
    """How many of `count` independent scores lie above a limit that keeps the promise without any model; a real number.

    The j with P(B <= j) = 1 - confidence, B binomial of `count` trials with this probability, continued between whole
    numbers by the incomplete beta function (fractional order statistics, Hutson 1999): the confidence is met exactly,
    and the rank never falls as the probability rises. -1: even the largest score is too low.
    """
    if (1 - probability) ** count > 1 - confidence:
        return -1.0
    return float(special.bdtrik(1 - confidence, count, probability))


@cache
def min_count(probability: float, confidence: float) -> int:
    """The smallest number of independent scores that gives a limit without any model which one of them may exceed.

    With fewer the largest score would be the limit: one odd image would set it.
    """
    count = math.ceil(math.log(1 - confidence) / math.log(1 - probability))
    while exceeding_rank(count, probability, confidence) < 1:
        count += 1
    return count


def order_limit(scores: Scores, probability: float, confidence: float, effective_count: float) -> float:
    """A distribution-free limit: an order statistic, between two of them in proportion, see `exceeding_rank`.

    `effective_count` stands for the number of scores where they are not independent.

    Raises:
        ValueError: too few scores.
    """
    rank = exceeding_rank(effective_count, probability, confidence)
    if rank < 0:
        needed = min_count(probability, confidence)
        raise ValueError(f"{effective_count:g} scores give no limit without a model, {needed} do")
    return _from_top(scores, rank, effective_count)


def _from_top(scores: Scores, rank: float, effective_count: float) -> float:
    """The score that `rank` of `effective_count` scores exceed, both real numbers."""
    place = max(0.0, len(scores) - 1 - rank * len(scores) / effective_count)
    return float(np.interp(place, np.arange(len(scores)), np.sort(scores)))


def tail_limit(scores: Scores, probability: float, confidence: float, effective_count: float) -> float:
    """A limit from a generalised Pareto tail (peaks over a threshold, Pickands 1975), for few scores.

    Over the threshold u, which k of n scores exceed, P(score > x) = k/n (1 + xi (x - u) / sigma)^(-1/xi). The limit is
    the `confidence` quantile of the posterior of x at this `probability`, on a grid over scale (prior 1 / sigma), shape
    (normal prior, as few scores say little about it) and k/n (Jeffreys prior): so the fewer scores, the more careful.
    With fewer independent scores than scores the likelihood counts in proportion.

    Raises:
        ValueError: the scores that make the tail are all the same.
    """
    ordered = np.sort(scores)
    exceeding = _tail_size(len(ordered))
    threshold = ordered[-exceeding - 1]
    excess = ordered[-exceeding:] - threshold
    unit = float(excess.mean())
    if not unit > 1e-12 * max(1.0, abs(float(threshold))):
        raise ValueError(f"the {exceeding} largest of {len(ordered)} scores are all {threshold:.6g}")

    weight = effective_count / len(ordered)
    shapes, scales = _SHAPES[:, None], _SCALES[None, :]
    inner = 1 + shapes[..., None] * (excess / unit) / scales[..., None]
    possible = (inner > 0).all(axis=-1)
    log_inner = np.log(np.where(possible[..., None], inner, 1.0)).sum(axis=-1)
    log_likelihood = -exceeding * np.log(scales) - (1 + 1 / shapes) * log_inner
    log_prior = -0.5 * ((shapes - SHAPE_MEAN) / SHAPE_DEVIATION) ** 2
    log_posterior = np.where(possible, weight * log_likelihood + log_prior, -np.inf)
    posterior = np.exp(log_posterior - log_posterior.max())

    points = (np.arange(_EXCEEDING_POINTS) + 0.5) / _EXCEEDING_POINTS
    share = special.betaincinv(weight * exceeding + 0.5, weight * (len(ordered) - exceeding) + 0.5, points)
    ratio = np.maximum(share / probability, 1.0)
    limits = scales[..., None] / shapes[..., None] * (ratio ** shapes[..., None] - 1)
    order = np.argsort(limits, axis=None)
    mass = np.cumsum(np.broadcast_to(posterior[..., None], limits.shape).ravel()[order])
    return float(threshold + unit * np.interp(confidence * mass[-1], mass, limits.ravel()[order]))


def upper_limit(scores: Scores, probability: float, confidence: float, effective_count: float) -> float:
    """Without a model where one score may exceed the limit, else from the tail; never higher for a higher probability.

    The lower of the two would not hold: where both are at hand it covers 0.8 of the cases, not 0.9. So the tail stops
    at the highest limit that needs no model.

    Raises:
        ValueError: the scores that make the tail are all the same.
    """
    if exceeding_rank(effective_count, probability, confidence) >= 1:
        return order_limit(scores, probability, confidence, effective_count)
    modelled = tail_limit(scores, probability, confidence, effective_count)
    return max(modelled, _from_top(scores, 1.0, effective_count))


def effective_count(scores: Scores) -> float:
    """As many independent scores say as much about the tail as these, which are in capture order.

    n / (1 + 2 sum of autocorrelations) of whether a score is in the tail, the largest quarter: what a limit counts are
    exceedances, and neighbours that resemble each other share them less than they share their scores. Summed until the
    first one below `CHANCE` / sqrt(n).
    """
    count = len(scores)
    in_tail = (scores > np.sort(scores)[-_tail_size(count) - 1]).astype(np.float64)
    in_tail -= in_tail.mean()
    power = float(in_tail @ in_tail)
    if not power > 0:
        return 1.0  # all the same: one image, over and over
    total = 0.0
    for lag in range(1, count // 4 + 1):
        correlation = float(in_tail[:-lag] @ in_tail[lag:]) / power
        if correlation < CHANCE / math.sqrt(count):
            break
        total += correlation
    return count / (1 + 2 * total)


def _tail_size(count: int) -> int:
    """How many of the largest scores make the tail."""
    return min(count - 1, max(MIN_TAIL, math.ceil(TAIL_SHARE * count)))


def outlier_count(scores: Scores, confidence: float) -> int:
    """How many of the largest scores lie beyond what the others explain, at most one in 50 (or one).

    Those above the widest gap, if they lie above the tail limit of the others for a chance of `OUTLIER_CHANCE` / n.
    """
    ordered = np.sort(scores)
    allowed = max(1, len(ordered) // 50)
    count = allowed - int(np.argmax(np.diff(ordered[-allowed - 1 :])))
    others = ordered[:-count]
    if len(others) <= MIN_TAIL or others[-1] == others[-MIN_TAIL - 1]:
        return 0
    limit = tail_limit(others, OUTLIER_CHANCE / len(ordered), confidence, len(others))
    return count if ordered[-count] > limit else 0
