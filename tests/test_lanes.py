"""The run of the tests itself: what starts a process is of the system lane, and what was not run is counted."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from station.commands.main import main
from station.commands.options import EXIT_BAD_INPUT
from tests.bench.places import DATASETS, missing_set
from tests.bench.programs import not_installed
from tests.conftest import closing_line


def popen() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def spawn() -> None:
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    process.start()
    process.join()


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


@pytest.mark.parametrize("start", [popen, spawn, fork])
def test_a_test_without_the_marker_cannot_start_a_process(start: Callable[[], None]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"so it is of the system lane: mark it with pytest\.mark\.system"):
        start()


@pytest.mark.system
@pytest.mark.parametrize("start", [popen, spawn])
def test_a_test_with_the_marker_can(start: Callable[[], None]) -> None:
    start()


def test_the_closing_line_names_the_packages_and_counts_by_reason() -> None:
    reasons = [
        f"Skipped: mbpoll is {not_installed('mbpoll')}",
        f"Skipped: mbpoll is {not_installed('mbpoll')}",
        f"libmodbus is {not_installed('libmodbus-dev')}",
        f"Skipped: {missing_set(DATASETS / 'bottle')}",
        "Skipped: this computer has a GPU that can be used",
        "Skipped: no environment .venv-fleet: make fleet-test makes it",
        "Skipped: a PC is x86_64",
    ]
    assert closing_line(reasons) == (
        "Not run: 3 for a missing program (Debian: apt install libmodbus-dev mbpoll), "
        "1 for want of an image set (STATION_DATASETS), 1 for want of .venv-fleet (make fleet-test), "
        "1 for the GPU or TensorRT of this machine, "
        "1 for another reason, see above."
    )


def test_the_closing_line_is_empty_when_everything_ran() -> None:
    assert closing_line([]) == ""


def test_no_command_makes_the_process_of_the_tests_give_way() -> None:
    """As a process of its own a what-if does, for the rest of its life; here that would be all tests behind it."""
    assert (
        main(["what-if", "--set", "decision.reject_score=0.5", "--config", "/nowhere/station.toml"]) == EXIT_BAD_INPUT
    )
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
