"""Logging of the daemon."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, threading
from station.daemon import logs
logs.configure()
gate = threading.Event()
def stuck_here():
    gate.wait()
thread = threading.Thread(target=stuck_here)
thread.start()
os.kill(os.getpid(), signal.SIGUSR1)
gate.set()
thread.join()
"""


@pytest.mark.system
def test_sigusr1_writes_the_stack_of_every_thread_and_the_process_goes_on() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0
    assert "in stuck_here" in run.stderr
    assert "in <module>" in run.stderr
