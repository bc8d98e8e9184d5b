"""Work that can wait is done where it meets no part: it begins when a part has just got its result.

Whatever runs in this process shares the interpreter with the line, and a part that comes meanwhile waits for it; no
priority helps: 10 ms for the bytes of a graph, some 50 ms for a session that is made (decision 46).
"""

from __future__ import annotations

import threading
import time

from station.results import InspectionRecord

QUIET_S = 1.0
"""Without a part for as long the line stands: nothing is waited for."""
LONGEST_S = 0.3
"""For one piece of work: a line of a few parts a second is met seldom anyway."""


class Gaps:
    """Knows when a part has its result. `record` on the signalling thread, `wait` on any other, one at a time."""

    def __init__(self) -> None:
        self._last_s = float("-inf")
        self._passed = threading.Event()

    def record(self, _record: InspectionRecord) -> None:
        """A part has its result, and the PLC has it."""
        self._last_s = time.monotonic()
        self._passed.set()

    def wait(self) -> None:
        """Returns when the next part has its result; soon where none comes."""
        if time.monotonic() - self._last_s < QUIET_S:
            self._passed.clear()
            self._passed.wait(LONGEST_S)
