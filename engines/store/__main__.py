"""`python -m engines.store ENGINE SECONDS`: checks hashes, format and golden scores of an engine nobody trusts yet.

A process of its own with a time limit: a graph may compute for ever, take all memory, or crash what runs it. Exit code
0: it is sound; 1: it is not, and standard output says why.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from engines.errors import EngineError
from engines.store.store import run_golden


def main(engine: str, limit_s: str) -> int:
    """The exit code."""
    signal.alarm(int(limit_s))  # by the system, so that it ends also when whoever started it is gone
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
