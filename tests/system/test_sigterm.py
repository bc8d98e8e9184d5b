"""SIGTERM before the station has begun and after it has ended: a stop in order, whatever Python is busy with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.bench.places import ROOT
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system

ENDING = """
import os, sys
from station.commands.main import main

class Gate:
    def __del__(self):  # while Python takes itself apart, behind everything of the station
        os.write(1, b".")
        os.read(0, 1)

gate = Gate()
sys.argv[1:] = ["run", "--config", sys.argv[1]]
sys.exit(main())
"""


def test_before_the_configuration_is_read(tmp_path: Path) -> None:
    """The start is held up where a busy computer holds it up: before anything is open."""
    pipe = tmp_path / "station.toml"
    os.mkfifo(pipe)
    process = subprocess.Popen([sys.executable, "-m", "station", "run", "--config", str(pipe)], cwd=ROOT)
    opened: list[int] = []
    writer = threading.Thread(target=lambda: opened.append(os.open(pipe, os.O_WRONLY)), daemon=True)
    writer.start()
    try:
        wait_for(lambda: bool(opened), "the station at its configuration")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        if opened:
            os.close(opened[0])


def test_after_the_station_has_ended(tmp_path: Path) -> None:
    """A second SIGTERM, from somebody in a hurry: the exit code stays that of the station."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING, str(tmp_path / "none.toml")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin, process.stdout:
        assert process.stdout.read(1) == b"."
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        assert process.wait(60) == 2
