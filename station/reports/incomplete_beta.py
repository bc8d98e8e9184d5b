"""The regularised incomplete beta function, behind exact bounds of shares and e-values. Pure; the station has no SciPy.

By its continued fraction (Lentz; Numerical Recipes, 6.4).
"""

from __future__ import annotations

import math

_TINY = 1e-300


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
