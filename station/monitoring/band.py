"""What is normal of a value: the band that the first blocks of a stream span, no narrower than a stated tolerance."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WIDTH, WIDTH_OF_WANDER = 4.0, 8.0
"""Robust standard deviations from the centre to the edge; more where medians wander, as 40 of them then say less."""
_MAD_TO_SIGMA = 1.4826
_MEDIAN_OF_NORMAL = 1.2533
"""Standard deviation of the median of n normal values, in those of their mean."""
_MORE, _ALIKE = 1.4, 0.4
"""Spread over the explained one, and correlation, of medians that wander; 40 independent ones reach each of them in 1
of 50 and 1 of 150 cases, and both in fewer than 1 of 1,000.
"""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a value may move before anybody cares, however steady it was."""

    relative: float = 0.0
    """Share of the centre."""
    absolute: float = 0.0
    """In the unit of the value."""

    def of(self, centre: float) -> float:
        return max(self.absolute, self.relative * abs(centre))


@dataclass(frozen=True, slots=True)
class Band:
    """Medians of blocks between `low` and `high` are normal."""

    low: float
    centre: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def band_of(medians: Sequence[float], tolerance: Tolerance, *, wanders: bool = False) -> Band:
    """The band of these medians of blocks. `wanders`: they are not independent."""
    centre = median(medians)
    half = max((WIDTH_OF_WANDER if wanders else WIDTH) * spread_of(medians), tolerance.of(centre))
    return Band(centre - half, centre, centre + half)


def spread_of(values: Sequence[float]) -> float:
    """Robust standard deviation."""
    centre = median(values)
    return _MAD_TO_SIGMA * median([abs(value - centre) for value in values])


def is_independent(medians: Sequence[float], part_spread: float, block: int) -> bool:
    """Whether the value may be followed part by part, which a slow wander of the light would forbid: then medians of
    blocks of `block` parts vary more than parts of this spread explain, and each resembles the one before.
    """
    explained = _MEDIAN_OF_NORMAL * part_spread / math.sqrt(block)
    return spread_of(medians) <= _MORE * explained or _correlation(medians) <= _ALIKE


def _correlation(values: Sequence[float]) -> float:
    """Of each value with the next one; 0 where they do not vary."""
    mean = sum(values) / len(values)
    deviations = [value - mean for value in values]
    total = sum(deviation**2 for deviation in deviations)
    return sum(map(operator.mul, deviations, deviations[1:])) / total if total > 0 else 0.0


def is_steady(medians: Sequence[float], tolerance: Tolerance) -> bool:
    """Whether the two halves of what a band is learned from agree: else something moved while it was learned."""
    if not all(math.isfinite(value) for value in medians):
        return False
    half = len(medians) // 2
    return median(medians[half:]) in band_of(medians[:half], tolerance)
