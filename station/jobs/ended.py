"""How long the end of something is shown: what was done or refused an hour ago says nothing of the station of now."""

from __future__ import annotations

import time
from collections.abc import Callable

SHOWN_S = 3600.0
"""By the monotonic clock: a step of the wall clock neither keeps nor removes it. Log, events and audit log keep all."""


class Ended:
    """When something has ended. Owned by whoever shows it; one thread marks, others look."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._at_s: float | None = None

    def mark(self) -> None:
        """It has ended now."""
        self._at_s = self._clock_s()

    def forget(self) -> None:
        """It goes on, or there is nothing to show."""
        self._at_s = None

    @property
    def ago_s(self) -> float | None:
        """None: it has not ended, or nothing is to be shown."""
        at_s = self._at_s
        return None if at_s is None else self._clock_s() - at_s

    @property
    def is_old(self) -> bool:
        """It ended more than SHOWN_S ago and is shown no more."""
        ago_s = self.ago_s
        return ago_s is not None and ago_s > SHOWN_S
