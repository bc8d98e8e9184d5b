"""What holds for every job, whatever it does."""

from __future__ import annotations

import os
import sys

import pytest

from station.jobs.process import NICENESS, run_job

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
