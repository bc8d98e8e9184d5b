"""From sizes and whether they were found to the size that is found 9 times of 10, with confidence.

The model of MIL-HDBK-1823A (2009), appendix G, for hit/miss data: the probability of detection is logistic in the log
of the size. a90 is the size at which it reaches 0.9, a90/95 the upper 95 % confidence bound on a90. The handbook draws
the bound from the ratio of likelihoods; with 60 trials over six octaves that covers the true size in 71 to 98 % of
simulations, the less the steeper the curve. So it is the 95 % quantile of a90 given the trials, with a prior that
favours flat curves (its density falls with the square of the steepness): that covers in 95 % or more.

Both are read from a grid of (a90, steepness): no start values, nothing that does not converge, and a steepness above 0
makes every curve monotone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engines.bundle.detection import CONFIDENCE, PROBABILITY, Curve

STEEPNESS = np.geomspace(1.0, 60.0, 28)
"""Of the logit over the log of the size: from four octaves between one hit of ten and nine of ten to a step."""
STEPS_PER_OCTAVE = 16
BEYOND_OCTAVES = 3
"""How far beyond the sizes that were tried a90 may lie."""


def fit(sizes_px: NDArray[np.float64], found: NDArray[np.bool_], smallest_px: float, largest_px: float) -> Curve:
    """The curve of some trials.

    Args:
        sizes_px: (n,) of each defect.
        found: (n,) whether it was.
        smallest_px: what sizes were drawn from; `from_px` is None when it would be above the largest.
    """
    low = math.log(smallest_px) - BEYOND_OCTAVES * math.log(2)
    high = math.log(largest_px) + BEYOND_OCTAVES * math.log(2)
    a90 = np.linspace(low, high, round((high - low) / math.log(2) * STEPS_PER_OCTAVE) + 1)
    at_a90 = math.log(PROBABILITY / (1 - PROBABILITY))
    logits = at_a90 + STEEPNESS[:, np.newaxis] * (np.log(sizes_px) - a90[:, np.newaxis, np.newaxis])
    likelihood = -np.logaddexp(0.0, np.where(found, -logits, logits)).sum(axis=2)  # (a90, steepness)
    best = int(likelihood.max(axis=1).argmax())
    steepness = float(STEEPNESS[likelihood[best].argmax()])
    weight = (np.exp(likelihood - likelihood.max()) / STEEPNESS).sum(axis=1)
    below = np.cumsum(weight) / weight.sum()
    bound = max(smallest_px, math.exp(a90[int(np.searchsorted(below, CONFIDENCE))]))
    return Curve(
        trials=len(sizes_px),
        found=int(found.sum()),
        half_px=math.exp(a90[best] - at_a90 / steepness),
        steepness=steepness,
        from_px=float(bound) if bound <= largest_px else None,
    )
