"""Rates over strata of which people saw a part, and how well two people agree: by draws from a fixed seed.

Takes counts and returns shares of 0 to 1, as `estimators` does; the confidence is 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from station.reports.production.estimators import CONFIDENCE, Estimate, Stratum

DRAWS = 20_000
SEED = 20_261_129


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
