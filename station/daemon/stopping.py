"""Stopping what may hang: each step has a time limit, and one that exceeds it does not hold up the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class Stopping:
    """Owns the list of the steps that did not end. Used by one thread."""

    def __init__(self) -> None:
        self.hanging: list[str] = []
        """Their threads cannot be ended: only the process can."""

    def step(self, name: str, limit_s: float, stop: Callable[[], object]) -> None:
        """Calls `stop` in a thread of its own and waits for at most `limit_s`.

        A step that raises leaves its trace in the log (`threading.excepthook`), and the next one is taken.
        """
        thread = threading.Thread(target=stop, name=f"stop-{name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:  # no thread can be started any more
            log.error("step of the stop left out", step=name, problem=str(problem))
            self.hanging.append(name)
            return
        thread.join(limit_s)
        if thread.is_alive():
            log.error("step of the stop did not end in time", step=name, limit_s=limit_s)
            self.hanging.append(name)
