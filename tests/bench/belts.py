"""A belt whose every movement the test decides."""

from __future__ import annotations

from math import ceil


class KnownBelt:
    """Moves at the speed that the test sets, and says exactly where it is."""

    def __init__(self) -> None:
        self.time_ns = 0
        self.at = 0.0
        self.speed = 0.0
        """Counts per ns."""

    def run(self, counts_per_s: float) -> None:
        self.speed = counts_per_s / 1e9

    def move_to(self, time_ns: int) -> None:
        self.at = self.at + self.speed * (time_ns - self.time_ns)
        self.time_ns = time_ns

    def position(self, time_ns: int, ahead_ns: int = 0) -> float:
        return self.at + self.speed * (time_ns + ahead_ns - self.time_ns)

    def time_at(self, position: float, now_ns: int) -> int | None:
        return self.time_ns + ceil((position - self.at) / self.speed) + 1 if self.speed > 0 else None
