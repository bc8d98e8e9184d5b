"""The e-detector: notices that something happens more often than a stated share, with a stated run length.

Shiryaev-Roberts with a mixture of alternatives (Shin, Ramdas, Rinaldo, "E-detectors", 2022): with likelihood ratios
L(x) against the share `p0`, R_n = (R_{n-1} + 1) L(x_n). While the conditional share is at most `p0`, whatever the
dependence between values, R_n - n is a supermartingale, so the mean run length to R >= A is at least A.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

_LOG_CAP = 700.0
"""Of log R: far above every threshold, and exp of it is still a number."""


@dataclass(slots=True)
class EDetector:
    """Owns the evidence of one stream of yes or no; alarms once `evidence` reaches `run_length`."""

    p0: float
    """Share of yes that is normal."""
    run_length: float
    """Mean number of values between false alarms, at least."""
    alternatives: Sequence[float]
    """Shares that would be wrong, each above `p0`."""
    _log_r: list[float] = field(init=False)

    def __post_init__(self) -> None:
        if not (0 < self.p0 < 1 and self.run_length >= 1 and self.alternatives):
            raise ValueError(f"p0 {self.p0}, run length {self.run_length}: 0 < p0 < 1 and at least 1 are allowed")
        if not all(self.p0 < other < 1 for other in self.alternatives):
            raise ValueError(f"alternatives {self.alternatives}: shares between {self.p0} and 1 are allowed")
        self.reset()

    def reset(self) -> None:
        """Forgets what it has seen."""
        self._log_r = [-math.inf] * len(self.alternatives)

    @property
    def evidence(self) -> float:
        """The mean of R over the alternatives."""
        highest = max(self._log_r)
        if highest == -math.inf:
            return 0.0
        total = sum(math.exp(value - highest) for value in self._log_r)
        return math.exp(min(highest + math.log(total / len(self._log_r)), _LOG_CAP))

    @property
    def alarms(self) -> bool:
        return self.evidence >= self.run_length

    def add(self, happened: bool) -> bool:
        """One more value; returns whether it alarms now."""
        for number, p1 in enumerate(self.alternatives):
            ratio = math.log(p1 / self.p0) if happened else math.log((1 - p1) / (1 - self.p0))
            before = self._log_r[number]
            grown = math.log1p(math.exp(before)) if before < 0 else before + math.log1p(math.exp(-before))
            self._log_r[number] = min(grown + ratio, _LOG_CAP)
        return self.alarms

    @property
    def memory(self) -> list[float]:
        """What `restore` takes after a restart."""
        return [max(value, -_LOG_CAP) for value in self._log_r]

    def restore(self, memory: Sequence[float]) -> None:
        """Raises ValueError: not of this detector."""
        if len(memory) != len(self.alternatives) or not all(math.isfinite(value) for value in memory):
            raise ValueError(f"{len(memory)} values, {len(self.alternatives)} finite ones are expected")
        self._log_r = list(memory)


def alternatives_of(p0: float) -> tuple[float, ...]:
    """From half as much again to ten times the share, as far as those are shares."""
    return tuple(dict.fromkeys(min(p0 * factor, (1 + p0) / 2) for factor in (1.5, 2.0, 3.0, 5.0, 10.0)))
