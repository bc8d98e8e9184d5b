"""What samples say of all parts: exact bounds for shares, and rates over strata of which people saw a part.

Nothing here knows a database. Every function takes counts and returns shares of 0 to 1; the confidence is 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
DRAWS = 20_000
SEED = 20_261_129
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
    share, scale = count / of, 1 + _Z**2 / of
    centre = (share + _Z**2 / (2 * of)) / scale
    half = _Z * math.sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2)) / scale
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


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


def detection_rate(rejected: Sequence[Stratum], passed: Sequence[Stratum]) -> Estimate | None:
    """Which share of the defective parts was rejected, with its lower bound; None: not known.

    Each stratum is drawn with the distribution whose quantiles are the bounds of Clopper and Pearson, the rejected ones
    on their lower side and the passed ones on their upper: Jeffreys' distribution, which lies between the two, covers
    less than 93 % where a sample that found nothing could have found two (docs/decisions/0029-review-and-reports.md).
    """
    found = sum(one.expected_defective for one in rejected)
    missed = sum(one.expected_defective for one in passed)
    if not all(one.is_known for one in (*rejected, *passed)) or found + missed == 0:
        return None
    generator = np.random.default_rng(SEED)
    kept = _drawn(generator, rejected, upper=False)
    gone = _drawn(generator, passed, upper=True)
    rates = kept / np.maximum(kept + gone, 1.0)
    return Estimate(found / (found + missed), float(np.quantile(rates, 1 - CONFIDENCE)), None)


def false_reject_rate(rejected: Sequence[Stratum], passed: Sequence[Stratum]) -> Estimate | None:
    """Which share of the good parts was rejected, two-sided; None: not known."""
    good_rejected, good_passed = ([_good(one) for one in strata] for strata in (rejected, passed))
    wrong = sum(one.expected_defective for one in good_rejected)
    right = sum(one.expected_defective for one in good_passed)
    if not all(one.is_known for one in (*rejected, *passed)) or wrong + right == 0:
        return None
    generator = np.random.default_rng(SEED)
    bounds = []
    for upper in (False, True):
        drawn = _drawn(generator, good_rejected, upper=upper)
        others = _drawn(generator, good_passed, upper=not upper)
        rates = drawn / np.maximum(drawn + others, 1.0)
        bounds.append(float(np.quantile(rates, (1 + CONFIDENCE) / 2 if upper else (1 - CONFIDENCE) / 2)))
    return Estimate(wrong / (wrong + right), *bounds)


def kappa(pairs: Sequence[tuple[str, str]]) -> Estimate | None:
    """Cohen's kappa of two people's words on the same parts, with a bootstrap interval; None: fewer than two pairs."""
    if len(pairs) < 2:
        return None
    words = sorted({word for pair in pairs for word in pair})
    numbers = np.array([[words.index(word) for word in pair] for pair in pairs])
    generator = np.random.default_rng(SEED)
    drawn = [_kappa(numbers[generator.integers(0, len(pairs), len(pairs))], len(words)) for _ in range(1000)]
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(_kappa(numbers, len(words)), float(low), float(high))


def _kappa(numbers: NDArray[np.int64], words: int) -> float:
    agreed = float((numbers[:, 0] == numbers[:, 1]).mean())
    shares = [np.bincount(numbers[:, side], minlength=words) / len(numbers) for side in (0, 1)]
    by_chance = float(shares[0] @ shares[1])
    return 1.0 if by_chance == 1.0 else (agreed - by_chance) / (1 - by_chance)


def _good(stratum: Stratum) -> Stratum:
    """The same parts, with the good ones counted."""
    return Stratum(stratum.parts, stratum.seen, stratum.seen - stratum.defective)


def _drawn(generator: np.random.Generator, strata: Sequence[Stratum], *, upper: bool) -> NDArray[np.float64]:
    """How many defective parts there may be in these strata together: those that were seen, and of the others as many
    as a share draws that the sample does not contradict."""
    total = np.zeros(DRAWS)
    for one in strata:
        total += one.defective
        unseen = one.parts - one.seen
        if unseen == 0:
            continue
        ones, zeros = (one.defective + upper, one.seen - one.defective + (not upper))
        if ones == 0:
            continue  # none were found, and the lower side knows of none
        shares = generator.beta(ones, zeros, DRAWS) if zeros else np.ones(DRAWS)
        total += generator.binomial(unseen, shares)
    return total


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
