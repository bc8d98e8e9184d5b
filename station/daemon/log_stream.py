"""Where the log goes: a stream that never raises and never waits, whatever happens to the file behind it.

    write ─► queue (bounded) ─► thread "log" ─► file descriptor
               │ full: the line is lost          │ fails: the line is lost
               └──────────── counted ────────────┴─► one event as soon as a line can be written again

Standard error of a daemon is a pipe, a terminal or a file: its reader may go away (EPIPE), its disk may be full
(ENOSPC) or stand still (the write blocks). None of them may end or delay a stage: what is lost is a log, nothing else.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable

QUEUE_LINES = 4096
"""A part is one line; at 20 parts/s this bridges three minutes in which nothing can be written."""

_LONGEST_LINE_BYTES = 64 * 1024


class LogStream:
    """A text stream for one file descriptor, which it does not own. `write` may be called by any thread.

    Its thread is a daemon thread, on purpose: a write that never returns cannot be ended and must not keep the process.
    """

    def __init__(self, fd: int, lost_line: Callable[[int], str]) -> None:
        """`lost_line` makes the line that reports how many lines could not be written."""
        self._fd = fd
        self._lost_line = lost_line
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUE_LINES)
        self._lock = threading.Lock()
        self._lost = 0
        self._reported = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Lines that were never written, since the start."""
        with self._lock:
            return self._lost

    def write(self, text: str) -> int:
        """Takes lines, each ended by a line feed; drops and counts them when too many wait."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._lose()
        return len(text)

    def flush(self) -> None:
        """Does nothing: the thread writes each line as soon as it can."""

    def close(self, timeout_s: float) -> None:
        """Writes what waits, within the time limit. Idempotent."""
        end = time.monotonic() + timeout_s
        try:
            self._lines.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            self._report_lost()
            if not self._written(text):
                self._lose()
        self._report_lost()

    def _report_lost(self) -> None:
        missing = self.lost - self._reported
        if missing and self._written(self._lost_line(missing)):
            self._reported += missing

    def _written(self, text: str) -> bool:
        """Whether the whole text went out. A disk that fills in the middle of it leaves a torn line, closed by the next
        one."""
        data = memoryview(text.encode("utf-8", "backslashreplace")[:_LONGEST_LINE_BYTES])
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            return False
        return True

    def _lose(self) -> None:
        with self._lock:
            self._lost += 1
