"""What holds for every job, whatever it does."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from station.daemon.supervisor import STEP_S
from station.jobs.process import NICENESS, TERMINATE_S, JobError, run_job
from tests.bench.waiting import wait_for

PROGRAM = """
import json, os, time
while os.getpriority(os.PRIO_PROCESS, 0) < {niceness}:
    time.sleep(0.01)
print(json.dumps({{"event": "done", "niceness": os.getpriority(os.PRIO_PROCESS, 0)}}))
"""


@pytest.mark.system
def test_a_job_gives_way_to_the_line() -> None:
    """It waits for its low priority, as it may run before that is set."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    expected = max(own, NICENESS)
    assert NICENESS >= 10
    done = run_job([sys.executable, "-c", PROGRAM.format(niceness=expected)], what="the test", threads=1)
    assert done["niceness"] == expected


SILENT = """
import pathlib, time
pathlib.Path({begun!r}).touch()
time.sleep(600)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.mark.system
@pytest.mark.parametrize("first", ["", DEAF], ids=["silent", "deaf"])
def test_a_job_that_prints_nothing_can_be_cancelled(tmp_path: Path, first: str) -> None:
    """It imports its libraries, say: a stop of the daemon waits for it and has a time limit."""
    assert TERMINATE_S < STEP_S
    begun, cancelled, problems = tmp_path / "begun", threading.Event(), list[str]()
    command = [sys.executable, "-c", first + SILENT.format(begun=str(begun))]

    def follow() -> None:
        try:
            run_job(command, what="the test", threads=1, cancelled=cancelled)
        except JobError as problem:
            problems.append(str(problem))

    following = threading.Thread(target=follow)
    following.start()
    wait_for(begun.exists, "the job to begin")
    cancelled.set()
    following.join(60)
    assert problems == ["the test was cancelled; nothing was written"]
