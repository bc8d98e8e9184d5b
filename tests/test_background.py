"""Commands of minutes run where nothing else wants the processor, and go before the line where memory is short."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from station.background import GIVES_WAY, GOES_EARLY, GOES_FIRST, LOWEST_PRIORITY, give_way
from tests.bench.places import ROOT

pytestmark = pytest.mark.system

SAYS = (
    "import os; print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), "
    "open('/proc/self/oom_score_adj').read().strip(), file=sys.stderr)"
)
RUN = "import sys; from station.commands.main import main;"
GIVE_WAY = (
    "report --config /nowhere/station.toml",
    "what-if --set decision.reject_score=0.5 --config /nowhere/station.toml",
    "engine compare 1 2 --config /nowhere/station.toml",
    "refresh --config /nowhere/station.toml",
)


@pytest.fixture(autouse=True)
def beside_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GIVES_WAY)


def says(program: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT)
    return [int(word) for word in done.stderr.splitlines()[-1].split()]


@pytest.mark.parametrize("words", GIVE_WAY)
def test_a_command_of_minutes_gives_way(words: str) -> None:
    assert says(f"{RUN} sys.argv[1:] = {words.split()}; main(); {SAYS}") == [os.SCHED_IDLE, LOWEST_PRIORITY, GOES_EARLY]


def test_a_command_that_people_wait_for_does_not() -> None:
    assert says(f"{RUN} sys.argv[1:] = ['parts', '--config', '/x']; main(); {SAYS}")[0] == os.SCHED_OTHER


def test_on_a_computer_without_a_line_nothing_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVES_WAY, "no")
    assert says(f"{RUN} sys.argv[1:] = {GIVE_WAY[0].split()}; main(); {SAYS}")[0] == os.SCHED_OTHER


def test_another_process_gives_way() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        give_way(process.pid, GOES_FIRST)
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        process.communicate(b"\n")
