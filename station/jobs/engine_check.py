"""Checks an engine that nobody trusts yet in a process of its own: a graph may compute for ever, or end its process."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from engines.errors import StoreError
from station.python_command import python_command

CHECK_LIMIT_S = 120
"""Of the processor: a thousand times what the golden images of an engine take on a slow core."""
_GIVEN_UP_S = 660.0
"""By the clock: longer than the process takes to give itself up."""


def check_engine(engine: Path, *, limit_s: int = CHECK_LIMIT_S) -> None:
    """Check hashes, format and golden scores of the engine in a folder, on one core that it gives way on.

    Raises:
        StoreError: they do not agree, or the engine did not come to an end within `limit_s` seconds of the
            processor, or ended its process, or the computer was too busy for ten minutes.
    """
    command = python_command("engines.store", str(engine), str(limit_s))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    try:
        ended = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            timeout=_GIVEN_UP_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f'engine "{engine}" cannot be checked: {error}') from error
    if ended.returncode == 0:
        return
    if ended.returncode == 1 and ended.stdout:
        raise StoreError(ended.stdout)
    if ended.returncode == -signal.SIGXCPU:
        raise StoreError(
            f'engine "{engine}": its golden images are not scored after {limit_s} s of the processor; do not use it, '
            "teach again here"
        )
    if ended.returncode == -signal.SIGALRM:
        raise StoreError(f'engine "{engine}" was not checked in ten minutes: the computer is too busy; try again later')
    why = f"signal {-ended.returncode}" if ended.returncode < 0 else f"code {ended.returncode}"
    said = ended.stderr[-500:].strip() or "no output"
    raise StoreError(f'engine "{engine}" ended the process that checked it ({why}: {said}); do not use it')
