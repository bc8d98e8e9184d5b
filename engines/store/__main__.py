"""`python -m engines.store ENGINE SECONDS`: checks hashes, format and golden scores of an engine nobody trusts yet.

A process of its own with a limit: a graph may compute for ever, take all memory, or crash what runs it. SECONDS are of
the processor: a refresh gives way to the line and may get none for minutes, which is no fault of its engine. Exit code
0: it is sound; 1: it is not, and standard output says why.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import time
from pathlib import Path

from engines.errors import EngineError
from engines.store.store import run_golden

WALL_LIMIT_S = 600
"""Whatever the processor does: the store is locked meanwhile."""


def main(engine: str, limit_s: str) -> int:
    """The exit code."""
    # Both by the system, so that it ends also when whoever started it is gone.
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + int(limit_s), most))
    signal.alarm(WALL_LIMIT_S)
    os.nice(10)
    Path("/proc/self/oom_score_adj").write_text("1000")  # where memory ends, this process goes and not the station
    try:
        run_golden(Path(engine))
    except EngineError as problem:
        sys.stdout.write(str(problem))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
