"""The scores of a master part, over the challenge tests: EWMA. The part does not change, so what moves is the station.

From the first 12 tests it learns where the score lies and how it varies, and leaves room for the error of both: of
1,000 parts whose scores are normal two alarm in 1,100 tests, a year of three a day. A shift by 3 deviations takes 10
tests, by 4 takes 6.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

from station import said
from station.monitoring.seen import SeenMaster
from station.monitoring.streams import StreamStatus
from station.records.challenges import ChallengeRow

LEARNED_TESTS = 12
WEIGHT = 0.25
"""Of the newest score."""
_WIDTH, _OF_MEAN, _OF_SPREAD = 4.0, 3.0, 1.65
"""Standard deviations to the limit; of the learned mean; and those of the learned deviation that are added to it."""
_MOST = 3.5
"""Deviations that a single score counts: one odd test is no change."""
_KEPT = 256
"""Parts of challenge tests whose score or name waits for the other."""
LEAST_SHIFT = 0.03
"""Of a score, 0 to 1, that anybody cares about."""


class Masters:
    """Joins scores of parts of challenge tests with the names that the runs give. Owns what waits for the other."""

    def __init__(self) -> None:
        self._scores: OrderedDict[int, float] = OrderedDict()
        self._names: OrderedDict[int, tuple[ChallengeRow, str]] = OrderedDict()
        self._done: OrderedDict[int, None] = OrderedDict()

    def joined(self, message: SeenMaster | ChallengeRow) -> list[tuple[ChallengeRow, str, float]]:
        """Of those that are whole now: the test, the name of the part, and its score."""
        if isinstance(message, SeenMaster):
            self._scores[message.acquisition_id] = message.score
        else:
            self._names.update((step.acquisition_id, (message, step.part)) for step in message.run.steps)
        found = [number for number in self._scores if number in self._names and number not in self._done]
        self._done.update(dict.fromkeys(found))
        whole = [(*self._names[number], self._scores[number]) for number in found]
        for kept in (self._scores, self._names, self._done):
            while len(kept) > _KEPT:
                kept.popitem(last=False)
        return whole


class MasterStream:
    """Owns what one master part scored."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.learn_again()

    def learn_again(self) -> None:
        """What comes now is normal."""
        self._learning: list[float] = []
        self.average: float | None = None
        """Of the newest scores; None: it learns."""
        self.changed = False

    def add(self, value: float) -> None:
        """The score of one more test."""
        if not math.isfinite(value):
            return
        if self.average is None:
            self._learning.append(value)
            if len(self._learning) == LEARNED_TESTS:
                self.average = self.centre
            return
        reach = _MOST * self._deviation
        counted = min(max(value, self.centre - reach), self.centre + reach)
        self.average = (1 - WEIGHT) * self.average + WEIGHT * counted
        off = abs(self.average - self.centre)
        self.changed = off > self.limit / 2 if self.changed else off >= self.limit

    @property
    def centre(self) -> float:
        """Of the learned scores."""
        return fmean(self._learning)

    @property
    def _deviation(self) -> float:
        count = len(self._learning)
        spread = stdev(self._learning) * (1 + _OF_SPREAD / math.sqrt(2 * (count - 1)))
        return max(spread, LEAST_SHIFT / 2)

    @property
    def limit(self) -> float:
        """How far the average may lie from the centre."""
        of_average = _WIDTH * math.sqrt(WEIGHT / (2 - WEIGHT))
        return self._deviation * (of_average + _OF_MEAN / math.sqrt(len(self._learning)))

    @property
    def has_moved(self) -> bool:
        return self.changed

    @property
    def status(self) -> StreamStatus:
        """For people. It learns for days, and holds nothing up meanwhile."""
        if self.average is None:
            detail = said.LEARNS_TESTS(count=len(self._learning), total=LEARNED_TESTS)
            return StreamStatus(self.name, 1.0, False, detail)
        low, high = self.centre - self.limit, self.centre + self.limit
        detail = said.MASTER_SCORE(number=f"{low:.3f}", other_number=f"{high:.3f}", third_number=f"{self.average:.3f}")
        return StreamStatus(self.name, 1.0, self.changed, detail)

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart."""
        return {"learning": self._learning, "average": self.average, "changed": self.changed}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError: the memory of another kind of stream."""
        learning = [float(value) for value in memory["learning"]][:LEARNED_TESTS]
        average = memory["average"]
        if not all(map(math.isfinite, learning)) or (average is not None and len(learning) < LEARNED_TESTS):
            raise ValueError(f"{len(learning)} scores of a master part, {LEARNED_TESTS} finite ones are expected")
        self._learning = learning
        self.average = None if average is None else float(average)
        self.changed = bool(memory["changed"])
