"""What the line leaves for those who look: one reference to the newest part, and a short line of each of the last."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from station.results import InspectionRecord, score_of

LAST_PARTS = 32


@dataclass(frozen=True, slots=True)
class PartLine:
    """A part in the strip of the last ones: no pixels, so that 32 of them hold nothing."""

    acquisition_id: int
    part_id: int
    verdict: str
    reason: int
    score: float | None
    wall_time: float
    challenge: int

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class LiveFeed:
    """Written by signalling, read by the live stage: each access is one reference, so neither waits for the other.

    Stands where signalling hands over a record, and passes it on first.
    """

    def __init__(self, record: Callable[[InspectionRecord], None]) -> None:
        self._record = record
        self.newest: InspectionRecord | None = None
        self._lines: deque[PartLine] = deque(maxlen=LAST_PARTS)
        self.parts = 0
        """How many have come."""

    def record(self, record: InspectionRecord) -> None:
        """A part has its result. One that came too late decided nothing and is not shown."""
        self._record(record)
        if record.late:
            return
        part = record.part
        line = PartLine(
            part.acquisition_id,
            part.part_id,
            record.decision.verdict.name,
            record.decision.code.value,
            finite(score_of(record.views)),
            part.wall_time,
            part.challenge,
        )
        self._lines.append(line)
        self.newest = record
        self.parts += 1

    def lines(self) -> list[PartLine]:
        """Of the last parts, the newest last."""
        while True:
            try:
                return list(self._lines)
            except RuntimeError:  # a part came in between
                continue


def finite(value: float | None) -> float | None:
    """For JSON, which knows no NaN."""
    return value if value is not None and math.isfinite(value) else None
