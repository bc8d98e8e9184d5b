"""Where scores stop looking like the others."""

from __future__ import annotations

import math

import numpy as np

from engines.errors import TrainingError
from engines.training.refinement.records import Indices, Scores

NORMAL_HALF_WIDTH = 0.4307
"""A third of a normal distribution lies within this many deviations of its mean."""


def above_median(positive_scores: Scores, factor: float) -> Indices:
    """Positions of scores above `factor` times their median, largest first (ties in order of position).

    Raises:
        TrainingError: a score is not a positive number: a multiple of the median means nothing below zero (a likelihood
            may be above one, so a negative log-likelihood may be negative).
    """
    if not (np.isfinite(positive_scores).all() and (positive_scores > 0).all()):
        strange = positive_scores[~(np.isfinite(positive_scores) & (positive_scores > 0))]
        raise TrainingError(
            f"lambda times the median needs positive finite scores, found {strange[0]:g}: use the detector's positive "
            'scale, or refinement "auto", which measures in deviations'
        )
    above = np.flatnonzero(positive_scores > factor * np.median(positive_scores))
    return above[np.argsort(-positive_scores[above], kind="stable")]


def densest_third(scores: Scores) -> tuple[float, float]:
    """Centre and deviation of the densest third of the scores, of any sign.

    The shortest interval that holds a third of the scores, after the shortest half of Rousseeuw (1984, "Least median of
    squares regression"). Half of the images may be defective, whatever they score: then the densest half is anybody's,
    the densest third is of the good ones, which score low and are more alike. The median breaks earlier: with 40 % dirt
    above it, it is the five sixths quantile of the good.
    """
    ordered = np.sort(scores)
    third = math.ceil(len(ordered) / 3)
    starts = max(1, len(ordered) - 2 * third + 1)  # in the lower two thirds: dirt scores high, however alike it is
    widths = ordered[third - 1 :][:starts] - ordered[:starts]
    start = int(np.argmin(widths))
    low, high = ordered[start], ordered[start + third - 1]
    return float(low + high) / 2, float(high - low) / 2 / NORMAL_HALF_WIDTH
