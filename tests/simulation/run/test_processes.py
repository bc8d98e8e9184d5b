"""What happens to the station when whoever started it is stopped or killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from station.simulation.run.processes import stopped_in_order
from tests.bench.places import ROOT
from tests.bench.waiting import is_alive, wait_for

STARTER = """
import sys, time
from pathlib import Path
from station.simulation.run.processes import Process
child = Process("a server", ["http.server", "0", "--bind", "127.0.0.1"], Path(sys.argv[1]), {}, piped=False)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.system
def test_a_process_ends_when_the_one_that_started_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        assert is_alive(child)
        starter.kill()
    wait_for(lambda: not is_alive(child), "the end of the server")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
def test_signals_act_as_ctrl_c_inside_and_as_before_outside(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stopped_in_order():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_the_time_limit_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt), stopped_in_order(limit_s=1):
        signal.pause()
    assert signal.alarm(0) == 0
