"""Bounds the events of one kind: a connection that flaps, or a client that never stops, must not fill the records."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

BURST = 100
"""Events of one kind that are kept whole, however fast they come."""
REFILL_S = 10.0
"""After a burst one more is kept in this time: at most 8,740 of a kind in a day."""


@dataclass(slots=True)
class _Kind:
    """A token bucket."""

    tokens: float = BURST
    since_s: float = 0.0
    left_out: int = 0


class Repeats:
    """Which events are kept, and how many were left out of each kind. Any thread may call it; it never waits long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        begin = clock()
        self._kinds: dict[str, _Kind] = defaultdict(lambda: _Kind(since_s=begin))

    def keeps(self, kind: str) -> bool:
        """Whether this event is kept; one that is not is counted."""
        with self._lock:
            found = self._refilled(kind)
            if found.tokens >= 1:
                found.tokens -= 1
                return True
            found.left_out += 1
            return False

    def left_out(self, *, at_the_end: bool = False) -> list[tuple[str, int]]:
        """Kinds with the number of events that were left out since the last report, where a report may be kept now."""
        with self._lock:
            found = []
            for kind in [kind for kind, bucket in self._kinds.items() if bucket.left_out]:
                bucket = self._refilled(kind)
                if at_the_end or bucket.tokens >= 1:
                    found.append((kind, bucket.left_out))
                    bucket.tokens = max(0.0, bucket.tokens - 1)
                    bucket.left_out = 0
            return found

    def _refilled(self, kind: str) -> _Kind:
        """With the lock held."""
        bucket = self._kinds[kind]
        now_s = self._clock()
        bucket.tokens = min(BURST, bucket.tokens + (now_s - bucket.since_s) / REFILL_S)
        bucket.since_s = now_s
        return bucket
