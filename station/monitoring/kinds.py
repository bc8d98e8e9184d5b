"""The share of parts with one kind of defect: learns what is normal of it, then notices that this kind alone rises.

A kind is what the engine suggests of a part that does not pass (`station.results.kind_of`); `unknown`: like none that
it knows, so where that rises, a new kind has come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from station import said
from station.monitoring.shares import ShareStream
from station.monitoring.streams import StreamStatus

LEARNED_PARTS = (2000, 10_000)
"""After the first it watches; after the second the normal share is drawn again, nearer to what it is."""
SUSPECT_EVIDENCE = 1e4
"""Too little for an alarm, enough to explain that more parts are rejected."""
MOST_KINDS = 33
"""Those of an engine, and `unknown`."""


class KindStream:
    """Owns how often one kind came."""

    def __init__(self, name: str, run_length_parts: float) -> None:
        self.name = name
        self._run_length = run_length_parts
        self.learn_again()

    def learn_again(self) -> None:
        """What comes now is normal."""
        self._parts = self._count = 0
        self._drawn = (0, 0)
        """Parts and those of this kind when the normal share was drawn last."""
        self._share: ShareStream | None = None

    def add(self, value: float) -> None:
        """1: a part with this kind; 0: any other part that was inspected."""
        if self._share is not None:
            self._share.add(value)
        if self._parts < LEARNED_PARTS[-1] and not self.changed:
            self._parts += 1
            self._count += value > 0
            if self._parts in LEARNED_PARTS:
                self._share = ShareStream(self.name, self._normal(self._parts), self._run_length)
                self._drawn = self._parts, self._count

    def _normal(self, parts: int) -> float:
        """No share that is likely to have given as few of them is above this one."""
        count = self._count + 2
        return min((count + 2 * math.sqrt(count)) / parts, 0.9)

    @property
    def changed(self) -> bool:
        return self._share is not None and self._share.changed

    @property
    def has_moved(self) -> bool:
        """Changed, or likely to be: asked when another stream has changed, which this one may explain."""
        return self._share is not None and (self._share.changed or self._share.evidence >= SUSPECT_EVIDENCE)

    @property
    def status(self) -> StreamStatus:
        """For people. It holds the learning of nothing else up."""
        if self._share is None:
            return StreamStatus(self.name, 1.0, False, said.LEARNS_PARTS(count=self._parts, total=LEARNED_PARTS[0]))
        return self._share.status

    @property
    def memory(self) -> dict[str, Any]:
        """For a restart."""
        share = None if self._share is None else self._share.memory
        return {"parts": self._parts, "count": self._count, "drawn": list(self._drawn), "share": share}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError: the memory of another kind of stream."""
        drawn_parts, drawn_count = map(int, memory["drawn"])
        self._share = None
        if memory["share"] is not None:
            self._count = drawn_count
            self._share = ShareStream(self.name, self._normal(max(drawn_parts, 1)), self._run_length)
            self._share.restore(memory["share"])
        self._drawn = drawn_parts, drawn_count
        self._parts, self._count = int(memory["parts"]), int(memory["count"])
