"""What waits for the recording thread, in order, and since when: a disk that never responds shows in nothing else."""

from __future__ import annotations

import queue
import time
from typing import Generic, TypeVar

_Message = TypeVar("_Message")


class WaitingRows(Generic[_Message]):
    """Owns the queue. Any thread puts and asks; the recording thread takes, and says when all it took is written."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[float, _Message]] = queue.SimpleQueue()
        self._taken_since: float | None = None
        self._turn_s = time.monotonic()

    def put(self, message: _Message) -> None:
        """Never waits."""
        self._queue.put((time.monotonic(), message))

    def take(self, timeout_s: float) -> _Message:
        """The next one. Raises queue.Empty when none comes in time."""
        self._turn_s = time.monotonic()
        since, message = self._queue.get(timeout=timeout_s)
        if self._taken_since is None:
            self._taken_since = since
        return message

    def written(self) -> None:
        """All that was taken is on disk."""
        self._taken_since = None
        self._turn_s = time.monotonic()

    def __len__(self) -> int:
        """How many nobody has taken yet."""
        return self._queue.qsize()

    @property
    def oldest_s(self) -> float:
        """For how long the oldest one waits, in seconds, taken or not; 0.0 when none does."""
        since = self._taken_since
        if since is None:
            since = time.monotonic() if self._queue.empty() else self._turn_s
        return time.monotonic() - since
