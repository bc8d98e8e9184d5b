"""The engine store while several change it at once, and killed at any moment: it stays whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engines.errors import StoreError
from engines.store import history
from engines.store.history import Action
from engines.store.store import EngineStore
from tests.bench.places import ROOT
from tests.engines.store.test_store import active_name, engines, small, store

__all__ = ["engines", "store"]


ACTIVATE_FOREVER = """
import sys
from pathlib import Path
from engines.store.store import EngineStore
store = EngineStore(Path(sys.argv[1]), lock_timeout_s=60)
print("begins", flush=True)
for turn in range(int(sys.argv[2])):
    store.activate(store.versions()[turn % 3], why=f"turn {turn}")
    if turn % 4 == 3:
        store.add(Path(sys.argv[3]), why="again")
"""


def changing(store: EngineStore, engine: Path, turns: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ACTIVATE_FOREVER, str(store.path), str(turns), str(engine)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.system
def test_two_at_once_wait_for_each_other(store: EngineStore, engines: list[Path]) -> None:
    both = [changing(store, engines[0], 12) for _ in range(2)]
    assert [process.communicate(timeout=60) and process.returncode for process in both] == [0, 0]
    changes = [event for event in store.events() if event.action is Action.ACTIVATE]
    assert all(earlier.after == later.before for earlier, later in pairwise(changes))
    assert active_name(store) == changes[-1].after
    assert not list(store.path.glob(".new-*"))


def test_busy_is_reported(store: EngineStore) -> None:
    impatient = EngineStore(store.path, lock_timeout_s=0.1)
    with store._locked(), pytest.raises(StoreError, match="being changed by another command"):
        impatient.activate(store.versions()[0])


@pytest.mark.system
def test_killed_at_any_moment_the_store_stays_whole(store: EngineStore, engines: list[Path]) -> None:
    """Kills come at random times while a process activates and adds without end."""
    rng = np.random.default_rng(3)
    store.activate(store.versions()[0])
    for _ in range(5):
        process = changing(store, engines[1], 100_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(float(rng.uniform(0.0, 0.15)))  # the moment to kill: anywhere in a change
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        active = store.active()
        assert active is not None
        store.verify(active)
        assert len(store.versions()) == 3
        announced = [event.after for event in store.events() if event.action is Action.ACTIVATE]
        assert active.name in announced
    change = store.activate(store.versions()[2])
    assert change.after == active_name(store) == store.versions()[2].name
    assert not [path for path in store.path.iterdir() if path.name.startswith(".new-")]
    known = [event for event in store.events() if event.action in history.CHANGES]
    assert all(earlier.after == later.before for earlier, later in pairwise(known))


KILLED_IN = """
import os, signal, sys
from pathlib import Path
from engines.store.store import EngineStore
store, point, engine = EngineStore(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3])
seen = 0
def hook(event, arguments):
    global seen
    if event == point:
        seen += 1
        if seen == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
store.add(engine, why="new")
store.activate(store.versions()[-1])
"""


@pytest.mark.system
@pytest.mark.parametrize(
    ("point", "times"),
    [("tempfile.mkdtemp", 1), ("os.rename", 1), ("os.rename", 2), ("os.symlink", 1), ("shutil.copyfile", 2)],
)
def test_killed_between_two_steps(store: EngineStore, tmp_path: Path, point: str, times: int) -> None:
    """Python's audit hook ends the process right before the named call."""
    first = store.versions()[0]
    store.activate(first)
    engine = small(tmp_path / "fourth", reject_score=44.0)
    command = [sys.executable, "-c", KILLED_IN, str(store.path), point, str(engine), str(times)]
    process = subprocess.run(command, cwd=ROOT, timeout=60, env=os.environ)
    assert process.returncode == -signal.SIGKILL
    assert store.active() == first
    for version in store.versions():
        store.verify(version)
    new = store.add(engine, why="again")
    assert new.number == 4
    store.activate(new)
    assert store.active() == new
    assert not [path for path in store.path.iterdir() if path.name.startswith(".new-")]
    store.rollback()
    assert store.active() == first


# ---- history ----------------------------------------------------------------------------------------------------
