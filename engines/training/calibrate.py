"""From scores of held-out good images to limits that keep a promise about good parts.

The empirical 99 % quantile of some fifty scores is too optimistic: the next fifty exceed it far more often than 1 %.
Here the upper tail is fitted by an exponential (peaks over a threshold: Pickands 1975, with shape 0, which suits
scores that are logs of a squared distance), and the upper confidence bound of its scale is used, so fewer images give
a more careful limit.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from engines.training.errors import TrainingError

TAIL_SHARE = 0.25
"""Share of the scores that the tail is fitted to, but at least `MIN_TAIL` scores."""
MIN_TAIL = 8
MIN_HOLDOUT = 10
CONFIDENCE = 0.9


def tail_limit(scores: NDArray[np.float64], probability: float, *, confidence: float = CONFIDENCE) -> float:
    """The value that a further score of the same kind exceeds with at most `probability`, with this confidence.

    With the k largest of n scores exceeding u by an average of s, P(score > u + x) = k / n * exp(-x / s). The bound on
    the scale is s * 2k / chi2(1 - confidence; 2k), by the Wilson-Hilferty approximation.

    Raises:
        TrainingError: too few scores, or scores that are not finite or all the same.
    """
    count = len(scores)
    if count < MIN_HOLDOUT:
        raise TrainingError(f"calibration needs at least {MIN_HOLDOUT} held-out good images, found {count}")
    if not np.isfinite(scores).all():
        raise TrainingError("calibration found scores that are not finite: the features or the training are broken")
    ordered = np.sort(scores)
    if ordered[-1] - ordered[0] <= 1e-9 * max(1.0, abs(ordered[-1])):
        raise TrainingError(f"all {count} held-out images score {ordered[0]:.6g}: are they all the same image?")
    exceeding = min(count - 1, max(MIN_TAIL, math.ceil(TAIL_SHARE * count)))
    threshold = ordered[-exceeding - 1]
    scale = float(np.mean(ordered[-exceeding:] - threshold))
    degrees = 2 * exceeding
    spread = 2 / (9 * degrees)
    chi2 = degrees * (1 - spread + NormalDist().inv_cdf(1 - confidence) * math.sqrt(spread)) ** 3
    bound = scale * degrees / chi2
    return float(threshold + bound * max(0.0, math.log(exceeding / count / probability)))
