"""`python -m engines.runtimes.tensorrt ENGINE`: makes the plan of an engine for the GPU of this computer.

A process of its own: building takes minutes and much memory, and a builder that crashes takes nothing with it. It says
where it is as lines of JSON, at least once a second; the last line is the result or the error.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from engines.bundle.reading import read_bundle
from engines.errors import EngineError
from engines.runtimes.names import Precision
from engines.runtimes.tensorrt.builder import BuildProgress
from engines.runtimes.tensorrt.plan_maker import PlanMaker

BEAT_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: there is a plan, which may be used if `passed` says so; 1: there is none."""
    parser = argparse.ArgumentParser(prog="python -m engines.runtimes.tensorrt", description=__doc__)
    parser.add_argument("engine", type=Path, metavar="ENGINE", help="folder of the engine")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp16")
    parser.add_argument("--threads", type=int, default=1, help="of the processor, for the comparison")
    options = parser.parse_args(arguments)
    beat = _Beat()
    try:
        with beat:
            maker = PlanMaker(read_bundle(options.engine), options.precision)
            made = maker.make(threads=options.threads, on_progress=beat.progress)
    except EngineError as problem:
        _say({"event": "error", "message": str(problem)})
        return 1
    record = made.record
    assert record.parity is not None
    _say(
        {
            "event": "done",
            "plan": record.key.name,
            "gpu": str(maker.gpu),
            "tensorrt": record.key.tensorrt_version,
            "plan_bytes": record.plan_bytes,
            "passed": record.parity.passed,
            "frames": made.frames,
            "parity": record.parity.summary() if record.parity.passed else record.parity.refusal(),
        }
    )
    return 0


class _Beat:
    """Says where the build is, also while nothing moves: whoever follows may want to end it."""

    def __init__(self) -> None:
        self._now = BuildProgress("starting", 0, 1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress")

    def progress(self, progress: BuildProgress) -> None:
        """From any thread."""
        self._now = progress

    def __enter__(self) -> _Beat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(BEAT_S):
            now = self._now
            _say({"step": now.phase, "done": now.done, "total": now.total, "left_s": 0.0})


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
