"""The streams that are watched: each learns what is normal from its first values, then holds the others against it.

A stream is on the thread of its watch alone. It notices a change, and notices when everything is as before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from station import said
from station.monitoring.band import Band, Tolerance, band_of, is_independent, is_steady, spread_of
from station.monitoring.e_detector import EDetector

BLOCK = 25
"""Parts in a block: its median has a fifth of their spread, and takes no notice of a few defects."""
LEARNED_BLOCKS = 40
OUTSIDE_SHARE = 0.02
"""Blocks outside their band that are normal."""
_OUTSIDE_ALTERNATIVES = (0.1, 0.5, 0.9)
SIDE_SHARE = 0.6
"""Parts on one side of the centre, beyond the tolerance, that are normal."""
_SIDE_ALTERNATIVES = (0.7, 0.8, 0.95)
SUSPECT_BLOCKS = 2
"""In a row outside the band: too few for an alarm, enough to explain the alarm of another stream."""
BACK_BLOCKS = 20
"""Blocks in a row inside the band, after which a change is over."""
BACK_VALUES = 500
"""Of a share: the last values among which no more than the normal share happened."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """For people."""

    name: str
    learned: float
    """Share of the learning that is done; 1: it watches."""
    changed: bool
    detail: str
    """What is normal and what is now, in words; empty while it learns."""


class Stream(Protocol):
    """What the watch asks of a stream."""

    name: str

    def add(self, value: float) -> None:
        """One more part. What is not finite counts as a value of its own kind and is left out."""
        ...

    @property
    def changed(self) -> bool: ...
    @property
    def has_moved(self) -> bool: ...
    @property
    def status(self) -> StreamStatus: ...
    @property
    def memory(self) -> dict[str, Any]: ...
    def restore(self, memory: Mapping[str, Any]) -> None: ...
    def learn_again(self) -> None: ...


class Sides:
    """Values below a lower edge (-1), above an upper one (1), or between (0): whether more than normal lie on one side.

    Owns what the last values were, and the evidence of either side.
    """

    def __init__(self, normal_share: float, run_length: float, alternatives: Sequence[float]) -> None:
        """`run_length`: values between two false alarms of either side, at least."""
        self._normal_share = normal_share
        self._detectors = tuple(EDetector(normal_share, run_length, alternatives) for _ in range(2))
        self.last: list[int] = []

    def reset(self) -> None:
        """Forgets the evidence; the last values stay."""
        for detector in self._detectors:
            detector.reset()

    def add(self, side: int, *, weighs: bool) -> bool:
        """One more value; whether a side alarms now. Not `weighs`: it counts among the last values alone."""
        self.last.append(side)
        del self.last[:-BACK_VALUES]
        if not weighs:
            return False
        lower, upper = self._detectors
        alarms = (lower.add(side < 0), upper.add(side > 0))
        return any(alarms)

    @property
    def shares(self) -> tuple[float, float]:
        """Below and above, of the last values."""
        count = max(len(self.last), 1)
        return sum(side < 0 for side in self.last) / count, sum(side > 0 for side in self.last) / count

    @property
    def is_normal(self) -> bool:
        return max(self.shares) <= self._normal_share

    @property
    def evidence(self) -> list[list[float]]:
        """What `restore` takes after a restart, beside `last`."""
        return [detector.memory for detector in self._detectors]

    def restore(self, last: Sequence[int], evidence: Sequence[Sequence[float]]) -> None:
        """Raises TypeError, ValueError: not of two sides."""
        self.last = [int(value) for value in last][-BACK_VALUES:]
        for detector, values in zip(self._detectors, evidence, strict=True):
            detector.restore(values)


class ValueStream:
    """A value of each picture: grey, sharpness, place. Medians of blocks against the band of the first ones.

    Where parts vary much and independently, the band is wide; there a small change shows in time, as more parts than
    normal lie on one side of the centre.
    """

    def __init__(self, name: str, tolerance: Tolerance, run_length_parts: float) -> None:
        self.name = name
        self._tolerance = tolerance
        length = max(run_length_parts / 3, 1.0)
        self._detector = EDetector(OUTSIDE_SHARE, max(length / BLOCK, 1.0), _OUTSIDE_ALTERNATIVES)
        self._sides = Sides(SIDE_SHARE, length, _SIDE_ALTERNATIVES)
        """A part below the centre by more than the tolerance, or above."""
        self.learn_again()

    def learn_again(self) -> None:
        """What comes now is normal."""
        self._block: list[float] = []
        self._learning: list[float] = []
        self._spreads: list[float] = []
        self.band: Band | None = None
        self._follows = False
        """Part by part, too."""
        self._sides.last.clear()
        self.last = math.nan
        """Median of the newest block."""
        self.changed = False
        self._inside = self._outside = 0
        """Blocks in a row."""
        self._restarts = 0
        self._reset()

    def _reset(self) -> None:
        self._detector.reset()
        self._sides.reset()

    @property
    def has_moved(self) -> bool:
        """Changed, or as it seems: asked when another stream has changed, which this one may explain."""
        return self.changed or self._outside >= SUSPECT_BLOCKS

    def add(self, value: float) -> None:
        """One more picture."""
        if not math.isfinite(value):
            return
        if self.band is not None and self._follows:
            self._follow(self.band, value)
        self._block.append(value)
        if len(self._block) < BLOCK:
            return
        self.last = median(self._block)
        if self.band is None:
            self._learn(spread_of(self._block))
        else:
            self._watch(self.band)
        self._block.clear()

    def _learn(self, spread: float) -> None:
        self._learning.append(self.last)
        self._spreads.append(spread)
        if len(self._learning) < LEARNED_BLOCKS:
            return
        if is_steady(self._learning, self._tolerance):
            self._follows = is_independent(self._learning, median(self._spreads), BLOCK)
            self.band = band_of(self._learning, self._tolerance, wanders=not self._follows)
            self._learning.clear()
            self._spreads.clear()
        else:  # something moved meanwhile: the older half is of before
            del self._learning[: LEARNED_BLOCKS // 2], self._spreads[: LEARNED_BLOCKS // 2]
            self._restarts += 1

    def _follow(self, band: Band, value: float) -> None:
        tolerance = self._tolerance.of(band.centre)
        side = int(value > band.centre + tolerance) - int(value < band.centre - tolerance)
        self.changed |= self._sides.add(side, weighs=not self.changed)

    def _watch(self, band: Band) -> None:
        inside = self.last in band
        self._inside = self._inside + 1 if inside else 0
        self._outside = 0 if inside else self._outside + 1
        if not self.changed:
            self.changed = self._detector.add(not inside)
            return
        if self._inside >= BACK_BLOCKS and self._sides.is_normal:
            self.changed = False
            self._reset()

    @property
    def status(self) -> StreamStatus:
        """For people."""
        if self.band is None:
            detail = said.NOT_STEADY(count=self._restarts) if self._restarts else ""
            return StreamStatus(self.name, len(self._learning) / LEARNED_BLOCKS, False, detail)
        ends = {"number": f"{self.band.low:.4g}", "other_number": f"{self.band.high:.4g}"}
        detail = said.BAND(**ends) if math.isnan(self.last) else said.BAND_NOW(**ends, third_number=f"{self.last:.4g}")
        if not self._sides.is_normal:
            below, above = self._sides.shares
            side = said.BAND_SIDE_BELOW if below > above else said.BAND_SIDE_ABOVE
            share, count = f"{max(below, above):.0%}", len(self._sides.last)
            detail = side(band=detail, share=share, count=count, third_number=f"{self.band.centre:.4g}")
        return StreamStatus(self.name, 1.0, self.changed, detail)

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart."""
        band = self.band
        return {
            "block": self._block,
            "median": None if math.isnan(self.last) else self.last,
            "learning": self._learning,
            "spreads": self._spreads,
            "follows": self._follows,
            "last": self._sides.last,
            "sides": self._sides.evidence,
            "band": None if band is None else [band.low, band.centre, band.high],
            "changed": self.changed,
            "inside": self._inside,
            "outside": self._outside,
            "restarts": self._restarts,
            "evidence": self._detector.memory,
        }

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError: the memory of another kind of stream."""
        self._block = [float(value) for value in memory["block"]][: BLOCK - 1]
        self.last = math.nan if memory["median"] is None else float(memory["median"])
        self._learning = [float(value) for value in memory["learning"]][: LEARNED_BLOCKS - 1]
        self._spreads = [float(value) for value in memory["spreads"]][: LEARNED_BLOCKS - 1]
        self._follows = bool(memory["follows"])
        self._sides.restore(memory["last"], memory["sides"])
        self.band = None if memory["band"] is None else Band(*map(float, memory["band"]))
        self.changed = bool(memory["changed"])
        self._inside, self._outside = int(memory["inside"]), int(memory["outside"])
        self._restarts = int(memory["restarts"])
        self._detector.restore(memory["evidence"])
