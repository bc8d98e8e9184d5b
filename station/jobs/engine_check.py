"""Checks an engine that nobody trusts yet in a process of its own: a graph may compute for ever, or end its process."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from engines.errors import StoreError
from station.python_command import python_command

CHECK_LIMIT_S = 120
"""A thousand times what the golden images of an engine take on a slow core, and a busy machine starts slowly."""
_START_S = 60
"""Beyond the limit, which begins when the process has loaded its modules."""


def check_engine(engine: Path, *, limit_s: int = CHECK_LIMIT_S) -> None:
    """Check hashes, format and golden scores of the engine in a folder, on one core that it gives way on.

    Raises:
        StoreError: they do not agree, or the engine did not come to an end within `limit_s` seconds, or ended its
            process.
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
            timeout=limit_s + _START_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f'engine "{engine}" cannot be checked: {error}') from error
    if ended.returncode == 0:
        return
    if ended.returncode == 1 and ended.stdout:
        raise StoreError(ended.stdout)
    if ended.returncode == -signal.SIGALRM:
        raise StoreError(
            f'engine "{engine}": its golden images are not scored after {limit_s} s; do not use it, teach again here'
        )
    why = f"signal {-ended.returncode}" if ended.returncode < 0 else f"code {ended.returncode}"
    said = ended.stderr[-500:].strip() or "no output"
    raise StoreError(f'engine "{engine}" ended the process that checked it ({why}: {said}); do not use it')
