"""Sums of engines for other sites: starts `python -m engines.training.sums`, which needs PyTorch."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from station.jobs.process import JobError, run_job
from station.python_command import python_command


def run_sums(action: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What the process says of what it wrote. Raises JobError: nothing was written; says why."""
    if importlib.util.find_spec("torch") is None:
        raise JobError(
            "sums of engines need PyTorch, which is not installed here: run the installer again with --teach, or "
            "pip install '.[train]' in the repository"
        )
    last = run_job(python_command("engines.training.sums", action, *arguments), what="the sums", threads=1)
    if last.get("event") != "done":
        raise JobError("the process of the sums ended without a result")
    return dict(last["summary"])


def absolute(option: str, file: Path) -> str:
    """In one word, because a name may begin with a dash."""
    return f"--{option}={file.absolute()}"
