"""Keeps as many workers going as there are jobs of a round to take, until none is open."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from station.fleet.refreshing.executors import Executor
from station.fleet.refreshing.jobs import Counts, FleetError

POLL_S = 1.0
USELESS = 3
"""As many workers may end badly without having taken a job; one more is no accident."""
EXIT_BAD_INPUT = 2


def drive(
    counts: Callable[[], Counts],
    executor: Executor,
    words: Sequence[str],
    show: Callable[[Counts], None],
    pause: Callable[[float], None] = time.sleep,
) -> Counts:
    """Until every job of the round has ended. `counts`: of the round, now. `words`: of one worker.

    Raises:
        FleetError: the workers cannot work here, and why; what is open stays in the table.
        Trouble: the database cannot be asked.
    """
    bad, before = 0, counts().tries
    while True:
        found = counts()
        show(found)
        if not found.open:
            return found
        for gone in executor.ended():
            if gone.code == EXIT_BAD_INPUT:
                raise FleetError(f"a worker cannot work here: {_last_line(gone.said)}")
            bad += gone.code < 0 or gone.code > EXIT_BAD_INPUT
            if bad > USELESS + found.tries - before:
                raise FleetError(
                    f"{bad} workers ended with code {gone.code}, the last one said: {gone.said or 'nothing'}"
                )
        beginning = max(0, executor.running - found.leased)
        for _ in range(min(executor.width - executor.running, found.may_be_taken - beginning)):
            executor.start(words)
        pause(POLL_S)


def _last_line(said: str) -> str:
    return said.splitlines()[-1].removeprefix("station: ") if said else "it says nothing"
