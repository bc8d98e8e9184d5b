"""What a camera process and the libraries in it write to standard error, line by line.

GenTL producers print what they please, also from native code. In the daemon's log their lines would stand between JSON
events; in a pipe that nobody empties their next write would hold the camera up for good. So a thread reads them, and
the first time a line is seen it is posted as `CameraSaid`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import IO

MAX_LINES = 100
"""Different lines that are posted of one camera, over all of its processes: a library that never stops talking must not
set the size of the log."""

MAX_CHARACTERS = 500


class SaidLines:
    """The lines of one camera that were posted already. Used by one reading thread at a time."""

    def __init__(self, post: Callable[[str], None]) -> None:
        self._post = post
        self._seen: set[str] = set()

    def take(self, line: str) -> None:
        """Posts a line that is new, until there were `MAX_LINES`."""
        line = line.strip()
        if not line or line in self._seen or len(self._seen) >= MAX_LINES:
            return
        self._seen.add(line)
        self._post(line if len(self._seen) < MAX_LINES else f"{line} (further lines are not logged)")


class OutputReader:
    """Empties the standard error of one camera process until it ends.

    Its thread is a daemon thread: what the process may have started itself can keep the pipe open for ever.
    """

    def __init__(self, stream: IO[str], lines: SaidLines) -> None:
        self._stream = stream
        self._lines = lines
        self._thread = threading.Thread(target=self._run, name="camera-output", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Returns when everything has been read, or after the time limit. The process must have ended."""
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._stream.close()

    def _run(self) -> None:
        while line := self._stream.readline(MAX_CHARACTERS):
            self._lines.take(line)
