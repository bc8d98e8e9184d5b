"""Waiting in a test: for a condition, with a limit. The one place that polls; it imports nothing of the station."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 50.0
"""Far longer than anything takes: only a failure waits for its end."""
POLL_S, SLOW_POLL_S = 0.005, 0.02
"""At first, and when it takes longer: whoever is asked needs time to answer, which it lacks for its work."""


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Polls until it holds; fails after the time-out."""
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        assert waited < timeout_s, f"waited {timeout_s:g} s for {what}"
        time.sleep(min(max(POLL_S, waited / 20), SLOW_POLL_S))


def children_of(pid: int) -> list[int]:
    """Processes that any thread of this one has started. Threads that end meanwhile have none."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def command_of(pid: int) -> bytes:
    """Its command line; empty: it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_alive(pid: int) -> bool:
    """The process exists, and not only because nobody has asked for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
