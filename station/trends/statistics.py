"""Slope and significance of a series of daily medians, and when it crosses a limit. Pure.

Theil-Sen (Theil 1950, Sen 1968): the median of the slopes of all pairs; a quarter of the days may be wrong.
Mann-Kendall with ties and the correction for continuity (Kendall 1975; Gilbert 1987, chapter 16). The bounds of the
slope are Gilbert's: ranks of the slopes, from the variance of the same statistic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Z_80 = 1.2815515655446004
"""90 % point of the normal distribution: 80 % lie within."""
STEP_SPREADS = 8.0
"""A level that changes by as many robust standard deviations within a day is a step: somebody did something."""
_SIDE = 3
"""Days on each side of a step."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Where a series goes, per day."""

    per_day: float
    low: float
    high: float
    """Bounds at 80 %."""
    p: float
    """Of Mann-Kendall, two-sided: how likely a series without a trend looks like this."""
    level: float
    """Where the line stands on the last day."""
    spread: float
    """Robust standard deviation of the days around the line."""
    days: float
    """From the first to the last."""
    level_error: float = 0.0
    """Standard deviation of `level`: that of the end of a line, with days that hang together."""

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
    reach = Z_80 * math.sqrt(variance * _hanging_together(rest))
    low = slopes[max(0, round((len(slopes) - reach) / 2) - 1)]
    high = slopes[min(len(slopes) - 1, round((len(slopes) + reach) / 2))]
    offset = float(np.median(rest))
    spread = 1.4826 * float(np.median(np.abs(rest - offset)))
    level, length = offset + middle * float(at[-1]), float(at[-1] - at[0])
    error = 2 * spread * math.sqrt(_hanging_together(rest) / len(at))
    return Slope(middle, float(low), float(high), p_value(s, variance), level, spread, length, error)


def _hanging_together(rest: Values) -> float:
    """By how much the variance is larger because a day is like the one before (Hamed and Rao 1998, first lag)."""
    centred = rest - rest.mean()
    size = float((centred**2).sum())
    rho = min(0.7, max(0.3, float((centred[1:] * centred[:-1]).sum()) / size)) if size > 0 else 0.0
    return (1 + rho) / (1 - rho)


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


def days_to(limit: float, found: Slope, error: float = 0.0) -> tuple[float, float, float] | None:
    """(days, at the earliest, at the latest; 80 % between) until the line crosses the limit; None: it does not.

    A limit that is crossed already is 0 days away. The latest may be infinite. `error`: sigma of the limit.
    """
    way = limit - found.level
    if found.per_day == 0 or way * found.per_day < 0:
        return None
    fast, slow = sorted((abs(found.low), abs(found.high)), reverse=True)
    if found.low * found.high <= 0:
        slow = 0.0
    reach = Z_80 * math.hypot(found.level_error, error)
    far = math.inf if slow == 0 else (abs(way) + reach) / slow
    return abs(way / found.per_day), max(0.0, abs(way) - reach) / fast, far


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
    for index in range(len(seen) - 1, 0, -1):
        before, after = seen[max(0, index - _SIDE) : index], seen[index : index + _SIDE]
        jump = abs(float(seen[index] - seen[index - 1]) - drift)
        level = abs(float(np.median(after)) - float(np.median(before)) - drift * (len(before) + len(after)) / 2)
        if min(jump, level) > max(least, STEP_SPREADS * spread):
            return index
    return 0
