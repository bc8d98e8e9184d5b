"""What of the simulated plant wears out: the wheel of the encoder slips, the valve of the ejector opens late.

Pure. The belt moves as ever; what the PLC counts of it, and when the ejector blows, is not what it was.
"""

from __future__ import annotations

import random
from collections import deque


class Encoder:
    """What a wheel that slips has counted of a belt."""

    def __init__(self) -> None:
        self.slip = 0.0
        """Share of the counts that are missing from now on."""
        self._true = 0
        self._counted = 0.0

    @property
    def counted(self) -> int:
        return int(self._counted)

    def moved_to(self, true: int) -> None:
        """The belt has moved to this place."""
        self._counted += (true - self._true) * (1.0 - self.slip)
        self._true = true

    def at(self, true: int) -> int:
        """What it had counted when the belt was at this place, a moment ago."""
        return int(self._counted - (self._true - true) * (1.0 - self.slip))

    def place_of(self, counted: int) -> float:
        """Where the belt was at this count, a moment ago."""
        return self._true - (self._counted - counted) / (1.0 - self.slip)


class Valve:
    """Follows its input late: by half to one and a half times its lateness, drawn anew for each pulse."""

    def __init__(self, seed: int) -> None:
        self.late_s = 0.0
        self._random = random.Random(seed)
        self._input = False
        self._delay_s = 0.0
        self._coming: deque[tuple[float, bool]] = deque()

    def put(self, now_s: float, level: bool) -> None:
        """Its input now."""
        if level != self._input:
            self._input = level
            if level:
                self._delay_s = self.late_s * self._random.uniform(0.5, 1.5)
            self._coming.append((now_s + self._delay_s, level))

    def due(self, now_s: float) -> list[bool]:
        """Its output, as often as it has changed since it was asked last."""
        levels = []
        while self._coming and self._coming[0][0] <= now_s:
            levels.append(self._coming.popleft()[1])
        return levels
