"""What a connector does that cannot send: pauses of 1, 2, 4 .. 60 s, a line in the log now and then, a sentence for
people in `plant.db`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import structlog

from station.forwarding.progress import Cursors, ForwardingError

log = structlog.get_logger()

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


class Failing:
    """Owns since when, and how often in a row, one connector has failed. Used by its thread."""

    def __init__(
        self,
        name: str,
        cursors: Cursors,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw`: 0 to 1, so that many stations do not come back at the same moment."""
        self._name = name
        self._cursors = cursors
        self._clock = clock
        self._draw = draw
        self._times = 0
        self._since: float | None = None

    def fails(self, why: str, asked_s: float = 0.0) -> float:
        """Seconds until the next try; `asked_s`: at least, the other side asks for it."""
        self._times += 1
        if self._since is None:
            self._since = self._clock()
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._times - 1, 10))
        if self._times & (self._times - 1) == 0:  # 1, 2, 4, 8: the log of a day without a receiver stays short
            log.warning("not sent", connector=self._name, why=why, times=self._times)
        try:
            self._cursors.failing(self._name, self._since, why)
        except ForwardingError as problem:
            log.warning("the cursors cannot be written", problem=str(problem))
        return max(asked_s, float(pause * (0.5 + 0.5 * self._draw())))

    def works(self) -> None:
        """The other side has taken something, or nothing waits."""
        if self._since is not None:
            log.info("it is sent again", connector=self._name, after_s=round(self._clock() - self._since))
        self._times, self._since = 0, None
