"""E-values for two engines on the same parts: evidence that one may look at after every part. Pure.

An e-value is a bet against a hypothesis: its mean is at most 1 while the hypothesis holds, at every time and however
often it is looked at, so it ever reaches 1 / alpha with a probability of at most alpha (Ville's inequality). A bet that
is a mixture over all alternatives needs no guess of how large the effect is (Ramdas et al., "Game-theoretic statistics
and safe anytime-valid inference", 2023).
"""

from __future__ import annotations

import math

ENOUGH = 20.0
"""An error of 5 %, whenever and however often somebody looks."""
SURE = 1000.0
"""An error of 0.1 %: what acts without a person asks for as much."""
_TINY = 1e-300
_LARGEST = 700.0
"""Of a logarithm: exp of it is still a number."""


def more_often_than_half(of_interest: int, other: int) -> float:
    """Evidence that of two outcomes one is the more frequent: against a share of at most 1/2, mixed evenly over
    (1/2, 1). For parts that two engines judge differently.

    Raises ValueError for counts below 0.
    """
    return share_above(0.5, of_interest, of_interest + other)


def share_above(limit: float, count: int, total: int) -> float:
    """Evidence that a share is above `limit`, from `count` of `total`: mixed evenly over (limit, 1).

    Raises ValueError for counts that are none, or a limit outside (0, 1).
    """
    _check(limit, count, total)
    return _mixture(limit, count, total, above=True)


def share_below(limit: float, count: int, total: int) -> float:
    """Evidence that a share is below `limit`, from `count` of `total`: mixed evenly over (0, limit).

    Raises ValueError for counts that are none, or a limit outside (0, 1).
    """
    _check(limit, count, total)
    return _mixture(limit, count, total, above=False)


def _check(limit: float, count: int, total: int) -> None:
    if not 0 <= count <= total:
        raise ValueError(f"{count} of {total}: no count of a total")
    if not 0 < limit < 1:
        raise ValueError(f"a share of {limit}: must be between 0 and 1")


def _mixture(limit: float, count: int, total: int, *, above: bool) -> float:
    """The mean of (p / limit)^count ((1 - p) / (1 - limit))^(total - count) over p on one side of the limit."""
    a, b = count + 1, total - count + 1
    beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    side = log_incomplete_beta(1.0 - limit, b, a) if above else log_incomplete_beta(limit, a, b)
    width = 1.0 - limit if above else limit
    against = count * math.log(limit) + (total - count) * math.log1p(-limit)
    return math.exp(min(beta + side - against - math.log(width), _LARGEST))


def log_incomplete_beta(x: float, a: float, b: float) -> float:
    """The logarithm of the regularised incomplete beta function I_x(a, b), for 0 < x < 1: a tail of a million parts is
    smaller than any number.
    """
    if x > (a + 1.0) / (a + b + 2.0):
        return math.log1p(-math.exp(log_incomplete_beta(1.0 - x, b, a)))
    front = a * math.log(x) + b * math.log1p(-x) - math.lgamma(a) - math.lgamma(b) + math.lgamma(a + b)
    return front + math.log(_fraction(x, a, b) / a)


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the function above (Lentz); takes some sqrt(max(a, b)) steps."""
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for step in range(1, 10_000):
        even = step * (b - step) * x / ((a + 2 * step - 1.0) * (a + 2 * step))
        d, c = 1.0 / _not_zero(1.0 + even * d), _not_zero(1.0 + even / c)
        value *= d * c
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1.0))
        d, c = 1.0 / _not_zero(1.0 + odd * d), _not_zero(1.0 + odd / c)
        value *= d * c
        if abs(d * c - 1.0) < 1e-13:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
