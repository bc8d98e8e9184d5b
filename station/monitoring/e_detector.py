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
class Evidence:
    """Owns Shiryaev-Roberts sums, one for each alternative; their mean is the evidence that something has changed."""

    alternatives: int
    _log_r: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets what it has seen."""
        self._log_r = [-math.inf] * self.alternatives

    @property
    def value(self) -> float:
        """The mean of R over the alternatives."""
        return _mean_of(self._log_r)

    def add(self, log_ratios: Sequence[float]) -> None:
        """One more value: the logarithm of its likelihood ratio under each alternative."""
        for number, ratio in enumerate(log_ratios):
            before = self._log_r[number]
            grown = math.log1p(math.exp(before)) if before < 0 else before + math.log1p(math.exp(-before))
            self._log_r[number] = min(grown + ratio, _LOG_CAP)

    @property
    def memory(self) -> list[float]:
        """What `restore` takes after a restart."""
        return [max(value, -_LOG_CAP) for value in self._log_r]

    def restore(self, memory: Sequence[float]) -> None:
        """Raises ValueError: not of these alternatives."""
        self._log_r = _restored(memory, self.alternatives)


@dataclass(slots=True)
class EProcess:
    """Evidence against `the share of yes is at most p0`, to be looked at whenever anybody likes.

    The mean over alternatives of products of likelihood ratios is a supermartingale that begins at 1 (Ramdas et al.,
    "Game-theoretic statistics and safe anytime-valid inference", 2023): that it ever reaches 1 / e has probability e.
    """

    p0: float
    alternatives: Sequence[float]
    _log_e: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begins anew."""
        self._log_e = [0.0] * len(self.alternatives)

    @property
    def value(self) -> float:
        return _mean_of(self._log_e)

    def add(self, happened: bool) -> None:
        """One more value."""
        for number, p1 in enumerate(self.alternatives):
            self._log_e[number] = min(self._log_e[number] + _log_ratio(happened, self.p0, p1), _LOG_CAP)

    @property
    def memory(self) -> list[float]:
        """What `restore` takes after a restart."""
        return list(self._log_e)

    def restore(self, memory: Sequence[float]) -> None:
        """Raises ValueError: not of these alternatives."""
        self._log_e = _restored(memory, len(self.alternatives))


@dataclass(slots=True)
class EDetector:
    """Owns the evidence of one stream of yes or no; alarms once `evidence` reaches `run_length`."""

    p0: float
    """Share of yes that is normal."""
    run_length: float
    """Mean number of values between false alarms, at least."""
    alternatives: Sequence[float]
    """Shares that would be wrong, each above `p0`."""
    _evidence: Evidence = field(init=False)

    def __post_init__(self) -> None:
        if not (0 < self.p0 < 1 and self.run_length >= 1 and self.alternatives):
            raise ValueError(f"p0 {self.p0}, run length {self.run_length}: 0 < p0 < 1 and at least 1 are allowed")
        if not all(self.p0 < other < 1 for other in self.alternatives):
            raise ValueError(f"alternatives {self.alternatives}: shares between {self.p0} and 1 are allowed")
        self._evidence = Evidence(len(self.alternatives))

    def reset(self) -> None:
        """Forgets what it has seen."""
        self._evidence.reset()

    @property
    def evidence(self) -> float:
        """The mean of R over the alternatives."""
        return self._evidence.value

    @property
    def alarms(self) -> bool:
        return self.evidence >= self.run_length

    def add(self, happened: bool) -> bool:
        """One more value; returns whether it alarms now."""
        self._evidence.add([_log_ratio(happened, self.p0, p1) for p1 in self.alternatives])
        return self.alarms

    @property
    def memory(self) -> list[float]:
        """What `restore` takes after a restart."""
        return self._evidence.memory

    def restore(self, memory: Sequence[float]) -> None:
        """Raises ValueError: not of this detector."""
        self._evidence.restore(memory)


def _log_ratio(happened: bool, p0: float, p1: float) -> float:
    return math.log(p1 / p0) if happened else math.log((1 - p1) / (1 - p0))


def _mean_of(logs: Sequence[float]) -> float:
    highest = max(logs)
    if highest == -math.inf:
        return 0.0
    total = sum(math.exp(value - highest) for value in logs)
    return math.exp(min(highest + math.log(total / len(logs)), _LOG_CAP))


def _restored(memory: Sequence[float], count: int) -> list[float]:
    if len(memory) != count or not all(math.isfinite(value) for value in memory):
        raise ValueError(f"{len(memory)} values, {count} finite ones are expected")
    return [float(value) for value in memory]


def alternatives_of(p0: float) -> tuple[float, ...]:
    """From half as much again to ten times the share, as far as those are shares."""
    return tuple(dict.fromkeys(min(p0 * factor, (1 + p0) / 2) for factor in (1.5, 2.0, 3.0, 5.0, 10.0)))
