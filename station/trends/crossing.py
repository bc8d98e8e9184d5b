"""When a series that stood at a level and then began to move reaches its limit: a median and an interval. Pure.

    value = level + slope * max(0, day - begin) + noise that hangs together from day to day

Begin and autocorrelation are not known and not chosen: each pair of them is a regression of its own (generalised least
squares, noise AR(1) with the gaps between days), and the day of crossing is the mixture of all of them, weighted by how
well each explains the days (unit-information prior, so that its weight is |W|^(1/2) S^(-(n - 2) / 2) with the residual
sum S and the restricted likelihood's determinants, without which a correlation is taken for too small; Hoeting et al.
1999, Bayesian model averaging). That the limit hangs on the level, and how well that is known,
is in each regression: crossed is what makes a linear form of level and slope positive, and that is Student's t.

Choosing one begin and asking for the bounds of its slope held the true day in half to two thirds of the cases: when the
slope begins is what is known least, and it moves the day more than the slope does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
CORRELATIONS = (0.4, 0.6, 0.75, 0.9)
"""Of a day with the one before. Days of a station hang together: it is never taken to be less than the first."""
LEAST_AFTER = 4
"""Days after the begin."""
CLIPPED = 3.0
"""Robust standard deviations around the best line; what lies beyond is a day on which something else happened."""
FAR_D = 2000.0
"""Nobody asks about what is further away."""
SIDE = 0.1
"""Of the interval, on either side."""


def crossing(
    days: Sequence[float] | Values, values: Sequence[float] | Values, offset: float, share: float, *, rises: bool
) -> tuple[float, float, float]:
    """(median, earliest, latest; 80 % between) days from the last one until the line crosses its limit.

    0: it has crossed it. Infinite: it may never do so. At least six days.

    Args:
        days: in order.
        values: medians of these days.
        offset: of the limit, `offset + share * level`.
        share: 0 where the limit stands by itself, 1 where it is a distance from the level, 0.75 for a quarter below it.
        rises: from which side the limit is crossed.
    """
    at = np.asarray(days, float)
    begins = at[: len(at) - LEAST_AFTER]
    columns = np.stack([np.ones((len(begins), len(at))), np.maximum(0.0, at - begins[:, None])], axis=2)
    seen = _clipped(columns, np.asarray(values, float))
    fits = [_fitted(at, columns, seen, correlation) for correlation in CORRELATIONS]
    evidence, means, covariances = (np.concatenate(each) for each in zip(*fits, strict=True))
    begins = np.tile(begins, len(CORRELATIONS))
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    freedom, sign = len(at) - 2, 1.0 if rises else -1.0

    def has_crossed(day: float) -> float:
        """Its probability."""
        form = np.stack([np.full(len(begins), 1.0 - share), day - begins], axis=1)
        middle = (form * means).sum(axis=1) - offset
        spread = np.sqrt(np.einsum("mi,mij,mj->m", form, covariances, form))
        return float(weights @ _student(sign * middle / np.maximum(spread, 1e-300), freedom))

    last = float(at[-1])
    earliest, median, latest = (_first_day(has_crossed, last, quantile) for quantile in (SIDE, 0.5, 1 - SIDE))
    return median, earliest, latest


def _fitted(at: Values, columns: Values, seen: Values, correlation: float) -> tuple[Values, Values, Values]:
    """(log of the weight, (level, slope), their covariance) of the regression of each begin: (m,), (m, 2), (m, 2, 2).

    `columns`: (m, days, 2).
    """
    before = correlation ** np.diff(at)
    scale = np.concatenate([[1.0], 1.0 / np.sqrt(1.0 - before**2)])
    white = seen * scale
    white[1:] -= before * seen[:-1] * scale[1:]
    whitened = columns * scale[:, None]
    whitened[:, 1:] -= before[:, None] * columns[:, :-1] * scale[1:, None]
    inverse = np.linalg.inv(whitened.transpose(0, 2, 1) @ whitened)
    found = np.einsum("mij,mdj,d->mi", inverse, whitened, white)
    rest = ((white - np.einsum("mdi,mi->md", whitened, found)) ** 2).sum(axis=1)
    rest = np.maximum(rest, 1e-18 * float(white @ white) + 1e-300)
    freedom = len(at) - 2
    sizes = np.linalg.slogdet(columns.transpose(0, 2, 1) @ columns)[1] + np.linalg.slogdet(inverse)[1]
    weight = float(np.log(scale).sum()) + sizes / 2 - freedom / 2 * np.log(rest)
    return weight, found, inverse * (rest / freedom)[:, None, None]


def _clipped(columns: Values, seen: Values) -> Values:
    """Days that lie far from the best level and line around all others are brought nearer."""
    found = np.einsum("mij,mdj,d->mi", np.linalg.inv(columns.transpose(0, 2, 1) @ columns), columns, seen)
    lines = np.einsum("mdi,mi->md", columns, found)
    expected: Values = lines[int(np.abs(seen - lines).sum(axis=1).argmin())]
    rest = seen - expected
    reach = CLIPPED * 1.4826 * float(np.median(np.abs(rest)))
    clipped: Values = expected + np.clip(rest, -reach, reach) if reach > 0 else seen
    return clipped


def _student(values: Values, freedom: int) -> Values:
    """Distribution function of Student's t after Wallace (1959): within 0.002 from five degrees of freedom on."""
    size = np.sqrt(freedom * np.log1p(values**2 / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
    return np.array([0.5 * math.erfc(-each / math.sqrt(2)) for each in np.copysign(size, values)])


def _first_day(has_crossed: Callable[[float], float], last: float, quantile: float) -> float:
    """Days after the last one by which the line has crossed with this probability."""
    if has_crossed(last) >= quantile:
        return 0.0
    if has_crossed(last + FAR_D) < quantile:
        return math.inf
    low, high = 0.0, FAR_D
    while high - low > 0.01 * max(1.0, low):
        middle = (low + high) / 2
        low, high = (low, middle) if has_crossed(last + middle) >= quantile else (middle, high)
    return (low + high) / 2
