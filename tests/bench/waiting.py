"""Waiting in a test: for a condition, with a limit. The one place that polls; it imports nothing of the station."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 50.0
"""Far longer than anything takes: only a failure waits for its end."""
POLL_S = 0.005


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Polls until it holds; fails after the time-out."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited {timeout_s:g} s for {what}"
        time.sleep(POLL_S)


def is_alive(pid: int) -> bool:
    """The process exists, and not only because nobody has asked for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
