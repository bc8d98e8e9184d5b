"""A worker's sign of life: its own thread and connection renew the lease of a job while the worker is at it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from station.fleet.refreshing.jobs import Job
from station.fleet.refreshing.table import Table
from station.northbound.postgres.trouble import Trouble

BEATS = 4
"""In the time of a lease: three may fail."""
MOST_PAUSE_S = 5.0
"""People look at the progress."""


class Lost(Exception):
    """The job was given to another worker, since nothing was heard of this one; what was done is thrown away."""


class Heart:
    """Renews the lease of one job. `show` and `check` are called by the thread that works."""

    def __init__(self, open_table: Callable[[], Table], job: Job, lease_s: float) -> None:
        self._open_table = open_table
        self._job = job
        self._lease_s = lease_s
        self._shown = ("", 0, 0)
        self._stop, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def show(self, step: str, done: int, total: int) -> None:
        """What stands in the table with the next beat. Raises Lost."""
        self._shown = (step, done, total)
        self.check()

    def check(self) -> None:
        """Raises Lost."""
        if self._lost.is_set():
            raise Lost

    def _run(self) -> None:
        table = self._open_table()
        try:
            while not self._stop.wait(min(self._lease_s / BEATS, MOST_PAUSE_S)):
                try:
                    if not table.beat(self._job, self._lease_s, *self._shown):
                        self._lost.set()
                        return
                except Trouble:
                    continue  # the lease may end meanwhile: then the next beat says so
        finally:
            table.close()
