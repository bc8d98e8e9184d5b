"""Slope and significance of a series of daily medians, and where its levels begin. Pure.

Theil-Sen (Theil 1950, Sen 1968): the median of the slopes of all pairs; a quarter of the days may be wrong.
Mann-Kendall with ties and the correction for continuity (Kendall 1975; Gilbert 1987, chapter 16).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
STEP_SPREADS = 8.0
"""A level that changes by as many robust standard deviations within a day is a step: somebody did something."""
_SIDE = 3
"""Days on each side of a step."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Where a series goes, per day."""

    per_day: float
    p: float
    """Of Mann-Kendall, two-sided: how likely a series without a trend looks like this."""
    level: float
    """Where the line stands on the last day."""
    spread: float
    """Robust standard deviation of the days around the line."""
    days: float
    """From the first to the last."""

    @property
    def moved(self) -> float:
        """From the first day to the last."""
        return self.per_day * self.days


def slope(days: Sequence[float], values: Sequence[float]) -> Slope | None:
    """Of at least five days; None: of fewer nothing can be said."""
    at, seen = np.asarray(days, float), np.asarray(values, float)
    if len(at) < 5:
        return None
    first, second = np.triu_indices(len(at), 1)
    apart = at[second] - at[first]
    slopes = np.sort((seen[second] - seen[first])[apart > 0] / apart[apart > 0])
    middle = float(np.median(slopes))
    s, variance = mann_kendall(seen)
    rest = seen - middle * at
    offset = float(np.median(rest))
    spread = 1.4826 * float(np.median(np.abs(rest - offset)))
    level, length = offset + middle * float(at[-1]), float(at[-1] - at[0])
    return Slope(middle, p_value(s, variance), level, spread, length)


def begin_of_slope(days: Sequence[float], values: Sequence[float]) -> int:
    """Index of the day from which a level and then a line fit the values best; days before it flatten a slope."""
    at, seen = np.asarray(days, float), np.asarray(values, float)
    best, begin = math.inf, 0
    for index in range(len(at) - 4):
        hinge = np.maximum(0.0, at - at[index])
        centred, level = hinge - hinge.mean(), seen - seen.mean()
        size = float(centred @ centred)
        rest = float(level @ level) - float(centred @ level) ** 2 / size if size > 0 else math.inf
        if rest < best:
            best, begin = rest, index
    return begin


def mann_kendall(values: Values) -> tuple[float, float]:
    """(S, its variance with ties): how many pairs rise more than fall."""
    count = len(values)
    first, second = np.triu_indices(count, 1)
    s = float(np.sign(values[second] - values[first]).sum())
    ties = np.unique(values, return_counts=True)[1].astype(float)
    variance = (count * (count - 1) * (2 * count + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    return s, variance


def p_value(s: float, variance: float) -> float:
    """Two-sided, with the correction for continuity."""
    if variance <= 0 or s == 0:
        return 1.0
    return math.erfc((abs(s) - 1) / math.sqrt(variance) / math.sqrt(2))


def since_last_step(values: Sequence[float], least: float) -> int:
    """Index of the first value after the last step: a cleaning, a new lamp, another exposure. 0: there was none.

    `least`: a smaller change is no step.
    """
    seen = np.asarray(values, float)
    if len(seen) < 2 * _SIDE:
        return 0
    differences = np.diff(seen)
    drift = float(np.median(differences))
    spread = 1.4826 * float(np.median(np.abs(differences - drift))) / math.sqrt(2)
    large = max(least, STEP_SPREADS * spread)
    for index in 1 + np.flatnonzero(np.abs(differences - drift) > large)[::-1]:
        before, after = seen[max(0, index - _SIDE) : index], seen[index : index + _SIDE]
        level = abs(float(np.median(after)) - float(np.median(before)) - drift * (len(before) + len(after)) / 2)
        if level > large:
            return int(index)
    return 0
