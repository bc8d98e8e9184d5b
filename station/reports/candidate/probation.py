"""Pure: the probation of an active engine: what it rejects of the parts, and what the one before does.

Light or product may change meanwhile: then both reject more than agreed, and going back would help nobody. An engine
has failed that rejects more than agreed **and** more than the one before rejects of the same parts; each at an error of
0.1 %, so that a station goes back from an engine that is no worse once in 1,000 times at most, however often it looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from station.reports.candidate.e_values import ENOUGH, SURE, more_often_than_half, share_above

MOST_SHARE = 0.9
SHIFT_S = 8 * 3600.0
FEW_PARTS = 500
"""A probation ends after a shift, too, but never on fewer parts."""


class Finding(Enum):
    """How a probation stands."""

    GOES_ON = "goes on"
    PASSED = "passed"
    FAILED = "failed: it rejects more than the one before"
    """The active engine rejects more than agreed, the one before does not."""
    CHALLENGE = "failed: it has judged a master part wrongly"
    """And the one before rightly, where it may go back."""
    FAULT = "failed: it does not judge"
    """It raises, gives no number, or hangs."""
    BOTH = "both reject more than agreed"
    """Not the engine: light, lens or product have changed."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Parts of production that both engines have judged since the activation."""

    parts: int = 0
    rejected: int = 0
    """By the active engine: FAIL."""
    rejected_before: int = 0
    """By the one before."""
    by_both: int = 0

    def with_part(self, *, rejected: bool, rejected_before: bool) -> Sums:
        """One part more."""
        return Sums(
            self.parts + 1,
            self.rejected + rejected,
            self.rejected_before + rejected_before,
            self.by_both + (rejected and rejected_before),
        )

    @property
    def evidence(self) -> float:
        """E-value that the active engine rejects parts more often than the one before."""
        return more_often_than_half(self.rejected - self.by_both, self.rejected_before - self.by_both)


@dataclass(frozen=True, slots=True)
class Terms:
    """When a probation ends, and how."""

    parts: int
    agreed_share: float
    """Of parts that are rejected: what the engine promised of good ones, and the share of defects of this line."""

    def evidence(self, sums: Sums) -> tuple[float, float]:
        """E-values that the active engine, and the one before, reject more than agreed."""
        share = min(self.agreed_share, MOST_SHARE)
        return share_above(share, sums.rejected, sums.parts), share_above(share, sums.rejected_before, sums.parts)

    def finding(self, sums: Sums, elapsed_s: float = 0.0) -> Finding:
        """How it stands, `elapsed_s` after the activation. May be asked after every part: see `e_values`."""
        active, before = self.evidence(sums)
        if active >= SURE and sums.evidence >= SURE:
            return Finding.FAILED
        if active >= SURE and before >= SURE and sums.evidence < ENOUGH:
            return Finding.BOTH
        is_over = sums.parts >= self.parts or (elapsed_s >= SHIFT_S and sums.parts >= FEW_PARTS)
        return Finding.PASSED if is_over else Finding.GOES_ON
