"""Whether process values go together as they did, and whether they are read at all. Pure: samples in, findings out.

learning ─► the first samples without a gap: model and limits ─► watching: missing, frozen, swapped, unusual
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from station.monitoring.e_detector import EDetector, alternatives_of
from station.process.dynamic_pca import LEAST_SAMPLES, Model, Values, learn, with_limits

FALSE_SHARE = 0.011
"""Of samples beyond a limit while all is well."""
NORMAL_SHARE = 0.05
"""The run length holds while at most this share is beyond: limits are estimates, and no plant stays quite the same."""
MISSED = 3
"""Samples in a row without a value."""
LEAST_FROZEN = 30
FROZEN_TIMES = 5
"""A value that stands still for as many times longer than it ever did while it was learned."""
KEPT = 64
"""Samples at hand, for contributions."""
BLOCK = 25
"""Samples that are one yes or no: smoothed statistics stay beyond a limit for some samples, and samples that hang
together are no evidence of their own. Yes: more than half of them are beyond."""
BLAMED = 3
"""Signals that are named."""
MARGIN = 0.5
"""Of its learned span: further outside a value is somewhere else."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was learned of one value."""

    low: float
    high: float
    longest_still: int
    """Samples in a row with the same value."""

    def holds(self, value: float) -> bool:
        """Whether it lies where the value lay, or near it."""
        reach = MARGIN * (self.high - self.low)
        return self.low - reach <= value <= self.high + reach


class Watch:
    """Owns model and evidence for one list of values. Called by one thread."""

    def __init__(self, names: Sequence[str], *, learn_samples: int, run_length: float) -> None:
        """`run_length`: samples between two false alarms, on average at least."""
        self.names = tuple(names)
        self._learn_samples = max(LEAST_SAMPLES + LEAST_SAMPLES // 2, learn_samples)
        self._learning: list[list[float]] = []
        self.model: Model | None = None
        self._known: dict[str, Known] = {}
        self._recent: deque[list[float]] = deque(maxlen=KEPT)
        self._evidence = EDetector(NORMAL_SHARE, max(10.0, run_length / BLOCK), alternatives_of(NORMAL_SHARE))
        self._block: list[bool] = []
        self._missed = dict.fromkeys(self.names, 0)
        self._still: dict[str, tuple[float, int]] = {}
        self._t2 = self._spe = 0.0
        self._steps = 0

    @property
    def learned(self) -> float:
        """Share of what is needed."""
        return 1.0 if self.model is not None else len(self._learning) / self._learn_samples

    @property
    def statistics(self) -> tuple[float, float]:
        """(T2, SPE) of the last sample, as shares of their limits."""
        if self.model is None:
            return 0.0, 0.0
        return self._t2 / self.model.t2_limit, self._spe / self.model.spe_limit

    def add(self, values: Mapping[str, float]) -> dict[str, str]:
        """One sample; a name that is missing was not read. Returns what stands now: kind to words."""
        row = [float(values.get(name, math.nan)) for name in self.names]
        standing = self._reading(row)
        if not np.isfinite(row).all():
            self._recent.clear()
            self._steps = 0
            return standing
        if self.model is None:
            self._learning.append(row)
            if len(self._learning) >= self._learn_samples:
                self._learn()
            return standing
        standing.update(self._together(row))
        return standing

    def learn_again(self) -> None:
        """What comes from now on is normal."""
        self.model = None
        self._learning, self._known = [], {}
        self._evidence.reset()
        self._recent.clear()
        self._steps = 0

    def learn_from(self, rows: Values) -> None:
        """What was recorded before is normal, (samples, signals) without gaps. Raises ValueError: too few."""
        self._learning = [[float(value) for value in row] for row in rows]
        self._learn()

    def _learn(self) -> None:
        rows = np.array(self._learning)
        middle = len(rows) * 2 // 3
        self.model = with_limits(learn(self.names, rows[:middle]), rows[middle:], FALSE_SHARE)
        for index, name in enumerate(self.names):
            column = rows[:, index]
            changes = np.flatnonzero(np.diff(column)) + 1
            runs = np.diff(np.concatenate([[0], changes, [len(column)]]))
            self._known[name] = Known(float(column.min()), float(column.max()), int(runs.max()))
        self._learning = []
        self._evidence.reset()

    def _reading(self, row: Sequence[float]) -> dict[str, str]:
        """What is missing, stands still, or was exchanged."""
        missing, frozen = [], []
        for name, value in zip(self.names, row, strict=True):
            self._missed[name] = 0 if math.isfinite(value) else self._missed[name] + 1
            if self._missed[name] >= MISSED:
                missing.append(name)
            before, count = self._still.get(name, (math.nan, 0))
            self._still[name] = (value, count + 1 if value == before else 1)
            known = self._known.get(name)
            usual = LEAST_FROZEN if known is None else max(LEAST_FROZEN, FROZEN_TIMES * known.longest_still)
            if known is not None and known.high > known.low and self._still[name][1] >= usual:
                frozen.append(name)
        found = {}
        if missing:
            found["missing"] = f"{', '.join(missing)}: not read; check the PLC, its network and [[process.registers]]"
        if frozen:
            found["frozen"] = (
                f"{', '.join(frozen)}: the value stands still; check the sensor and what writes the register"
            )
        if pair := self._swapped(row):
            found["swapped"] = f"{pair[0]} and {pair[1]} look exchanged; check the addresses in [[process.registers]]"
        return found

    def _swapped(self, row: Sequence[float]) -> tuple[str, str] | None:
        """Two values, each where the other one was."""
        away = [
            (name, value)
            for name, value in zip(self.names, row, strict=True)
            if name in self._known and math.isfinite(value) and not self._known[name].holds(value)
        ]
        for number, (first, value) in enumerate(away):
            for second, other in away[number + 1 :]:
                if self._known[second].holds(value) and self._known[first].holds(other):
                    return first, second
        return None

    def _together(self, row: list[float]) -> dict[str, str]:
        """Whether the values go together."""
        model = self.model
        assert model is not None
        self._recent.append(row)
        if len(self._recent) < 3:
            return {}
        values = np.array(self._recent)
        t2, spe = model.scores(values[-3:])
        weight = 1.0 if self._steps == 0 else 0.2
        self._t2 += weight * (float(t2[-1]) - self._t2)
        self._spe += weight * (float(spe[-1]) - self._spe)
        self._steps += 1
        beyond = self._t2 > model.t2_limit or self._spe > model.spe_limit
        self._block.append(beyond)
        if len(self._block) >= BLOCK:
            self._evidence.add(2 * sum(self._block) > BLOCK)
            self._block = []
        if not self._evidence.alarms:
            return {}
        blamed = ", ".join(f"{name} {100 * share:.0f} %" for name, share in model.contributions(values)[:BLAMED])
        return {"unusual": f"the values do not go together as they did; most by {blamed}"}
