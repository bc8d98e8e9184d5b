"""Lines of JSON on standard output for whoever follows a command that takes long: the pages, and the daemon's jobs.

{"step": "parts", "done": 5000, "total": 50000, "left_s": 0.0}     a sign of progress
{"event": "done", ...}                                             the last line: the result
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from station.jobs.process import JobProgress

Signs = Callable[[str, int, int], None]


def add_progress_option(parser: argparse.ArgumentParser) -> None:
    """`--progress json`."""
    parser.add_argument(
        "--progress", choices=("json",), help="lines of JSON on standard output in place of what is for people"
    )


def signs_of(options: argparse.Namespace) -> Signs:
    """What takes signs of progress; without `--progress` it does nothing."""
    if options.progress is None:
        return lambda _step, _done, _total: None
    return sign


def sign(step: str, done: int, total: int, left_s: float = 0.0) -> None:
    """One sign of progress."""
    _line({"step": step, "done": done, "total": total, "left_s": left_s})


def sign_job(progress: JobProgress) -> None:
    """The same of a job that this command follows."""
    sign(progress.step, progress.done, progress.total, progress.left_s)


def end(options: argparse.Namespace, **result: object) -> None:
    """The last line of a command that has done its work; without `--progress` it does nothing."""
    if options.progress is not None:
        _line({"event": "done", **result})


def fail(options: argparse.Namespace, problem: object) -> None:
    """The last line of a command that has failed; without `--progress` it does nothing."""
    if options.progress is not None:
        _line({"event": "error", "message": str(problem)})


def _line(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201
