"""The thread of a companion: it waits, looks, and ends when the watch does."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class WaitingThread(ABC):
    """Owns the thread and what ends it. Whoever extends it gives `_run`, which returns soon after `_stopped` is set."""

    def __init__(self, name: str) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Cancels what is under way; False when that took too long."""
        self._stopped.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _wake(self) -> None:  # noqa: B027  most wait for `_stopped` alone
        """Where `_run` waits for something else than `_stopped`."""

    @abstractmethod
    def _run(self) -> None:
        """On the thread."""
