"""Exact bounds of a share, also of a share of decisions that hang together. Pure; no SciPy: the station has none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from station.reports.incomplete_beta import log_incomplete_beta
from station.reports.production.estimators import wilson_bounds

CONFIDENCE = 0.95
_STEPS = 80


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, with its two-sided bounds at 95 %, all of them from 0 to 1."""

    count: int
    of: int
    value: float
    exact: tuple[float, float]
    """Clopper and Pearson (1934): covers at least 95 %, whatever the share is."""
    wilson: tuple[float, float]
    """Wilson (1927): covers 95 % on average."""


def share(count: int, of: int) -> Share:
    """Of independent decisions. Raises ValueError: a share of nothing."""
    return Share(count, of, count / of, exact(count, of), wilson_bounds(count, of)) if of else _nothing()


def share_of_decisions(counts: Sequence[int], trials: int) -> Share:
    """`counts`: how often each part was decided so, of `trials` decisions on each.

    Decisions on the same part hang together: the bounds are those of as many independent decisions as say as much
    (Korn and Graubard 1998), never more than there are decisions, never fewer than there are parts. Where all parts are
    alike (no miss at all), the parts are what counts.

    Raises:
        ValueError: a share of nothing.
    """
    parts = len(counts)
    of, count = parts * trials, sum(counts)
    if of == 0:
        return _nothing()
    value = count / of
    between = sum((one - trials * value) ** 2 for one in counts) / max(1, parts - 1) * parts / of**2
    if between <= 0.0:
        said = float(parts)
    else:
        said = value * (1 - value) / between
        if parts > 1:
            said *= (t_point(of - 1) / t_point(parts - 1)) ** 2
    said = min(float(of), max(float(parts), said))
    return Share(count, of, value, exact(value * said, said), wilson_bounds(value * said, said))


def exact(count: float, of: float) -> tuple[float, float]:
    """Clopper and Pearson's two-sided bounds; `of` may be no whole number."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if count <= 0 else _solve(lambda at: beta_cdf(at, count, of - count + 1) > tail)
    high = 1.0 if count >= of else _solve(lambda at: beta_cdf(at, count + 1, of - count) > 1 - tail)
    return low, high


def most_when_none(of: int) -> float:
    """The one-sided 95 % bound of a share of which none was seen among `of`: 5.8 % of 50."""
    return 1.0 - float((1 - CONFIDENCE) ** (1 / of))


def t_point(freedom: float) -> float:
    """The 97.5 % point of Student's distribution."""
    tail = _solve(lambda at: beta_cdf(at, freedom / 2, 0.5) > 1 - CONFIDENCE)
    return math.sqrt(freedom * (1 - tail) / tail)


def beta_cdf(at: float, first: float, second: float) -> float:
    """The regularised incomplete beta function."""
    if at <= 0.0:
        return 0.0
    return 1.0 if at >= 1.0 else math.exp(log_incomplete_beta(at, first, second))


def _solve(is_beyond: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_beyond(middle) else (middle, high)
    return high


def _nothing() -> Share:
    raise ValueError("a share of nothing")
