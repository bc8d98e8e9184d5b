"""E-values for two engines on the same parts: evidence that one may look at after every part. Pure.

An e-value is a bet against a hypothesis: its mean is at most 1 while the hypothesis holds, at every time and however
often it is looked at, so it ever reaches 1 / alpha with a probability of at most alpha (Ville's inequality). A bet that
is a mixture over all alternatives needs no guess of how large the effect is (Ramdas et al., "Game-theoretic statistics
and safe anytime-valid inference", 2023).
"""

from __future__ import annotations

import math

from station.reports.incomplete_beta import log_incomplete_beta

ENOUGH = 20.0
"""An error of 5 %, whenever and however often somebody looks."""
SURE = 1000.0
"""An error of 0.1 %: what acts without a person asks for as much."""
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
