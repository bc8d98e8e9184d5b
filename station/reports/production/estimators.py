"""What samples say of all parts: exact bounds for shares. Rates over strata are in `drawn`.

Nothing here knows a database. Every function takes counts and returns shares of 0 to 1; the confidence is 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

CONFIDENCE = 0.95
_STEPS = 60
"""Of a bisection: further than a double distinguishes."""
_Z = 1.959963984540054
"""97.5 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Parts of one verdict: all of them, those that people saw, and those of these that are defective."""

    parts: int
    seen: int
    defective: int

    def __post_init__(self) -> None:
        if not 0 <= self.defective <= self.seen <= self.parts:
            raise ValueError(f"{self.defective} defective of {self.seen} seen of {self.parts} parts cannot be")

    @property
    def is_known(self) -> bool:
        """Whether anything is known of its parts, or there are none."""
        return self.parts == 0 or self.seen > 0

    @property
    def expected_defective(self) -> float:
        """As many as the seen ones stand for."""
        return self.parts * self.defective / self.seen if self.seen else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its bounds; a bound of None: it is one-sided."""

    value: float
    low: float | None
    high: float | None


def wilson(count: int, of: int) -> Estimate:
    """Two-sided interval of a share (Wilson 1927)."""
    if of == 0:
        raise ValueError("a share of nothing")
    return Estimate(count / of, *wilson_bounds(count, of))


def wilson_bounds(count: float, of: float) -> tuple[float, float]:
    """The bounds alone; `of` may be no whole number."""
    share, scale = count / of, 1 + _Z**2 / of
    centre = (share + _Z**2 / (2 * of)) / scale
    half = _Z * math.sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


def at_most(count: int, of: int) -> float:
    """The upper bound of a share at 95 %, one-sided (Clopper and Pearson 1934): 0 of 300 is at most 1.0 %."""
    if count >= of:
        return 1.0
    return _solve(lambda share: _binomial_tail(count, of, share) > 1 - CONFIDENCE)


def at_least(count: int, of: int) -> float:
    """The lower bound of a share at 95 %, one-sided."""
    return 0.0 if count == 0 else 1.0 - at_most(of - count, of)


def most_in_batch(count: int, of: int, batch: int) -> int:
    """How many parts of a closed batch are defective at most, when `count` of `of` drawn ones are (hypergeometric)."""
    low, high = count, batch - (of - count)  # `high` cannot be excluded by counting alone
    while low < high:
        middle = (low + high + 1) // 2
        if _hypergeometric_tail(count, of, middle, batch) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle - 1
    return low


def _solve(is_possible: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_possible(middle) else (low, middle)
    return high


def _binomial_tail(count: int, of: int, share: float) -> float:
    """The probability of at most `count` of `of`."""
    if share in (0.0, 1.0):
        return float(share == 0.0 or count >= of)
    logs = [
        _log_choose(of, number) + number * math.log(share) + (of - number) * math.log1p(-share)
        for number in range(count + 1)
    ]
    return math.fsum(math.exp(value) for value in logs)


def _hypergeometric_tail(count: int, of: int, defective: int, batch: int) -> float:
    """The probability of at most `count` defective ones among `of` that are drawn from a batch."""
    first = max(0, of - (batch - defective))
    all_ways = _log_choose(batch, of)
    return math.fsum(
        math.exp(_log_choose(defective, number) + _log_choose(batch - defective, of - number) - all_ways)
        for number in range(first, min(count, defective) + 1)
    )


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
