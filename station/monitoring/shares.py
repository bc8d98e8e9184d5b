"""Streams of shares: of parts to which something happens, and of scores in the tails of those learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from station import said
from station.monitoring.e_detector import EDetector, EProcess, alternatives_of
from station.monitoring.streams import BACK_VALUES, BLOCK, LEARNED_BLOCKS, Sides, StreamStatus

LEARNED_SCORES = BLOCK * LEARNED_BLOCKS
TAIL, TAIL_SHARE = 0.1, 0.15
"""A tenth of the learned scores lies in each tail; up to this share of later ones is normal, which leaves room for the
error of a quantile of 1,000 scores (0.01).
"""
_TAIL_ALTERNATIVES = (0.25, 0.4, 0.7)
LIFE_ERROR = 0.01
"""Chance that an engine that keeps its promise is ever called wrong by its labels, however often one looks."""
_BEYOND = (0.05, 0.15, 0.4)
"""Shares of disagreement that would be wrong, on the way from the promised one to all."""


class ShareStream:
    """Something that happens to a part or not: a reject, a part that was not inspected."""

    def __init__(
        self,
        name: str,
        normal_share: float,
        run_length_parts: float,
        *,
        alternatives: Sequence[float] = (),
        back_values: int = BACK_VALUES,
    ) -> None:
        """`alternatives`: shares that would be wrong; none: from half as much again on. `back_values`: a change is over
        once no more than the normal share happened among this many values.
        """
        self.name = name
        self.normal_share = normal_share
        self._back_values = back_values
        alternatives = alternatives or alternatives_of(normal_share)
        self._detector = EDetector(normal_share, max(run_length_parts, 1.0), alternatives)
        self.learn_again()

    def learn_again(self) -> None:
        """There is nothing to learn; a change that stands is over."""
        self._last: list[int] = []
        self.changed = False
        self._detector.reset()

    def add(self, value: float) -> None:
        """1: it happened to this part; 0: it did not."""
        happened = value > 0
        self._last.append(int(happened))
        del self._last[: -self._back_values]
        if not self.changed:
            self.changed = self._detector.add(happened)
        elif len(self._last) == self._back_values and self.share <= self.normal_share:
            self.changed = False
            self._detector.reset()

    @property
    def evidence(self) -> float:
        """That it happens more often than normal; an alarm from the run length on."""
        return self._detector.evidence

    @property
    def share(self) -> float:
        """Among the last values."""
        return sum(self._last) / len(self._last) if self._last else 0.0

    @property
    def has_moved(self) -> bool:
        return self.changed

    @property
    def status(self) -> StreamStatus:
        """For people."""
        detail = said.SHARE_MOVED(
            share=f"{self.normal_share:.2%}", other_share=f"{self.share:.2%}", count=len(self._last)
        )
        return StreamStatus(self.name, 1.0, self.changed, detail)

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart."""
        return {"last": self._last, "changed": self.changed, "evidence": self._detector.memory}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError: the memory of another kind of stream."""
        self._last = [int(value) for value in memory["last"]][-self._back_values :]
        self.changed = bool(memory["changed"])
        self._detector.restore(memory["evidence"])


class DisagreementStream:
    """What people said of parts of one verdict: e-process against the share of disagreement that was promised.

    It may be looked at after every label. It counts from the engine's first label on; another engine begins anew.
    """

    def __init__(self, name: str, promised_share: float) -> None:
        self.name = name
        self.promised_share = promised_share
        self._process = EProcess(promised_share, tuple(promised_share + (1 - promised_share) * x for x in _BEYOND))
        self.learn_again()

    def learn_again(self) -> None:
        """What was said until now is settled."""
        self._labels = self._disagree = 0
        self.changed = False
        self._process.reset()

    def add(self, value: float) -> None:
        """1: a label that disagrees; 0: one that agrees."""
        self._labels += 1
        self._disagree += value > 0
        self._process.add(value > 0)
        self.changed |= self._process.value >= 1 / LIFE_ERROR

    @property
    def has_moved(self) -> bool:
        return self.changed

    @property
    def status(self) -> StreamStatus:
        """For people."""
        detail = said.LABELS_DISAGREE(
            count=self._disagree,
            total=self._labels,
            share=f"{self.promised_share:.1%}",
            other_number=f"{min(self._process.value, 9999):.3g}",
            number=f"{1 / LIFE_ERROR:.0f}",
        )
        return StreamStatus(self.name, 1.0, self.changed, detail)

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart."""
        return {
            "labels": self._labels,
            "disagree": self._disagree,
            "changed": self.changed,
            "evidence": self._process.memory,
        }

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError: the memory of another kind of stream."""
        self._labels, self._disagree = int(memory["labels"]), int(memory["disagree"])
        self.changed = bool(memory["changed"])
        self._process.restore(memory["evidence"])


class ScoreStream:
    """The scores of parts that pass: whether more of them than before lie where the highest or the lowest tenth lay."""

    def __init__(self, name: str, run_length_parts: float) -> None:
        self.name = name
        length = max(run_length_parts / 2, 1.0)
        self._tails = Sides(TAIL_SHARE, length, _TAIL_ALTERNATIVES)
        self.learn_again()

    def learn_again(self) -> None:
        """What comes now is normal."""
        self._learning: list[float] = []
        self.edges: tuple[float, float] | None = None
        self._tails.last.clear()
        self._tails.reset()
        self.changed = False

    def add(self, value: float) -> None:
        """The score of one more part that passes."""
        if not math.isfinite(value):
            return
        if self.edges is None:
            self._learn(value)
            return
        low, high = self.edges
        side = int(value > high) - int(value < low)
        was_changed = self.changed
        self.changed |= self._tails.add(side, weighs=not was_changed)
        if was_changed and len(self._tails.last) == BACK_VALUES and self._tails.is_normal:
            self.changed = False
            self._tails.reset()

    def _learn(self, value: float) -> None:
        self._learning.append(value)
        if len(self._learning) == LEARNED_SCORES:
            low, high = np.quantile(self._learning, [TAIL, 1 - TAIL])
            self.edges = (float(low), float(high))
            self._learning.clear()

    @property
    def has_moved(self) -> bool:
        return self.changed

    @property
    def status(self) -> StreamStatus:
        """For people."""
        if self.edges is None:
            return StreamStatus(self.name, len(self._learning) / LEARNED_SCORES, False, "")
        low, high = self._tails.shares
        detail = said.TAILS(
            share=f"{high:.0%}",
            number=f"{self.edges[1]:.3f}",
            other_share=f"{low:.0%}",
            other_number=f"{self.edges[0]:.3f}",
            third_share=f"{TAIL_SHARE:.0%}",
        )
        return StreamStatus(self.name, 1.0, self.changed, detail)

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart."""
        return {
            "learning": self._learning,
            "edges": None if self.edges is None else list(self.edges),
            "last": self._tails.last,
            "changed": self.changed,
            "evidence": self._tails.evidence,
        }

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError: the memory of another kind of stream."""
        self._learning = [float(value) for value in memory["learning"]][: LEARNED_SCORES - 1]
        edges = memory["edges"]
        self.edges = None if edges is None else (float(edges[0]), float(edges[1]))
        self.changed = bool(memory["changed"])
        self._tails.restore(memory["last"], memory["evidence"])
