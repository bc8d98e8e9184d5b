"""Scores of parts that pass against those of good parts that the engine had not seen: conformal test martingale.

The p-value of a score is its rank among the held-out scores and those that came before, ties broken at random. As
long as all of them could have come in any order, these p-values are independent and uniform (Vovk, Gammerman, Shafer,
"Algorithmic Learning in a Random World"), so bets against them gain nothing, and the mean run length to R >= A is at
least A. It needs no learning: the first part on the line is held against teaching already.

A change must also matter: the mean p-value of the last parts lies further from a half than small lots do.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from station.monitoring.e_detector import Evidence
from station.monitoring.streams import BACK_VALUES, StreamStatus

BINS = 512
"""Of scores from 0 to 1: within one, scores are alike."""
LEAST_HELD_OUT = 30
BETS = (0.3, 0.6, 0.8)
"""Exponents k of the bets k p^(k-1), that p is small, and of their mirror images."""
MATTERS = 0.15
"""From a half to the mean p-value: less are lots that differ a little. A shift by half a deviation reaches it."""
LEAST_VALUES = 100
"""Whose mean says anything of that."""
_SMALLEST = 1e-6


class ConformalStream:
    """Owns how often each score came, and the evidence that those of now are others."""

    def __init__(self, name: str, run_length_parts: float, held_out: Sequence[float]) -> None:
        """`held_out`: of good parts that would pass, 0 to 1, by a model that had not seen them."""
        self.name = name
        self._run_length = max(run_length_parts, 1.0)
        self._held_out = [_bin(score) for score in held_out]
        self._evidence = Evidence(2 * len(BETS))
        self._random = random.Random(0)
        self.learn_again()
        for number in self._held_out:
            self._counts[number] += 1

    def learn_again(self) -> None:
        """What comes now is normal: teaching is forgotten."""
        self._counts = [0] * BINS
        self._last: list[float] = []
        """The newest p-values."""
        self.changed = False
        self._evidence.reset()

    def add(self, value: float) -> None:
        """The score of one more part that passes."""
        if not math.isfinite(value):
            return
        number = _bin(value)
        p = self._p_value(number)
        self._last.append(round(p, 4))
        del self._last[:-BACK_VALUES]
        if self.changed:  # what is held against stays as it was, or the change would become normal
            if len(self._last) == BACK_VALUES and not self._matters:
                self.changed = False
                self._evidence.reset()
            return
        self._counts[number] += 1
        self._evidence.add([math.log(k) + (k - 1) * math.log(one) for one in (p, 1 - p) for k in BETS])
        self.changed = self._evidence.value >= self._run_length and self._matters

    def _p_value(self, number: int) -> float:
        """Share of scores that are higher, and of those alike a random part."""
        alike = self._counts[number] + 1
        higher, total = sum(self._counts[number + 1 :]), sum(self._counts) + 1
        return min(max((higher + self._random.random() * alike) / total, _SMALLEST), 1 - _SMALLEST)

    @property
    def mean(self) -> float:
        """Of the last p-values: below a half, scores are higher than at teaching."""
        return sum(self._last) / len(self._last) if self._last else 0.5

    @property
    def _matters(self) -> bool:
        return len(self._last) >= LEAST_VALUES and abs(self.mean - 0.5) > MATTERS

    @property
    def has_moved(self) -> bool:
        return self.changed

    @property
    def status(self) -> StreamStatus:
        """For people."""
        side = "above" if self.mean <= 0.5 else "below"
        share = max(self.mean, 1 - self.mean)
        detail = f"a part of now lies {side} one of teaching in {share:.0%} of pairs, normal up to {0.5 + MATTERS:.0%}"
        return StreamStatus(self.name, 1.0, self.changed, detail)

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart."""
        counts = {str(number): count for number, count in enumerate(self._counts) if count}
        return {"counts": counts, "last": self._last, "changed": self.changed, "evidence": self._evidence.memory}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError, AttributeError: the memory of another kind of stream."""
        counts = [0] * BINS
        for number, count in memory["counts"].items():
            if not (0 <= int(number) < BINS and int(count) >= 0):
                raise ValueError(f"{count} scores in bin {number}; there are {BINS} bins")
            counts[int(number)] = int(count)
        self._counts = counts
        self._last = [min(max(float(value), 0.0), 1.0) for value in memory["last"]][-BACK_VALUES:]
        self.changed = bool(memory["changed"])
        self._evidence.restore(memory["evidence"])


def _bin(score: float) -> int:
    return min(max(int(score * BINS), 0), BINS - 1)
