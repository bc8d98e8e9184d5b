"""What is dear to make is made once in a run of the tests, by the first worker that asks; the others wait for it.

pytest makes a fixture of a module once in each worker that has a test of that module, which for an engine that is
taught, or a graph in 8 bits, is half a minute of a core each time.
"""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Returns what `make` returned where it was called first, as a copy of this worker's own.

    `make` gets a new folder that stays as long as those of the run. What lies in it belongs to all workers: a test that
    changes anything there takes a copy. When `make` raises, nothing is kept, and the next one that asks tries again.
    """
    of_the_run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_the_run = of_the_run.parent
    kept = of_the_run / f"{name}.made"
    with (of_the_run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = make(factory.mktemp(name))
            written = kept.with_suffix(".part")
            written.write_bytes(pickle.dumps(made))
            written.rename(kept)
    found: Made = pickle.loads(kept.read_bytes())  # noqa: S301  written by this run
    return found
