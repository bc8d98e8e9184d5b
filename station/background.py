"""Work for people beside the line: it runs where nothing else wants the processor, and goes where memory is short.

The lowest nice value is not enough. A process of any nice value keeps a core for its slice (3 ms and more) when a
thread of the line wakes up; one of the idle class loses it at once. It also reads and writes only while the disk is
idle.

On a computer without a line, where such work should come to its end beside others: STATION_GIVES_WAY=no.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

LOWEST_PRIORITY = 19
GIVES_WAY = "STATION_GIVES_WAY"
GOES_EARLY, GOES_FIRST = 900, 1000
"""When memory is short: before everything that others need, and before even that."""


def give_way(pid: int = 0, oom_score: int = GOES_EARLY) -> None:
    """For the process `pid` (0: this one) and those it starts from now on. A container may forbid some of it."""
    if os.environ.get(GIVES_WAY) == "no":
        return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, LOWEST_PRIORITY)  # what counts where the idle class is forbidden
    with contextlib.suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid or 'self'}/oom_score_adj").write_text(str(oom_score), encoding="ascii")
