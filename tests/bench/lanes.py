"""The two lanes: a test that starts a process carries the marker `system`, and no other test may start one.

Everything under `tests/system` carries it by its place, what uses a fixture that compiles by its fixture, all others by
`pytest.mark.system`. The interpreter's audit hook sees every start of a process, so that the lanes cannot drift.
Tests that train for seconds carry it, too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from multiprocessing import util
from pathlib import Path
from typing import Any

import pytest

from tests.bench.places import ROOT

SYSTEM = ROOT / "tests" / "system"
COMPILING = frozenset(("axe", "browser", "driver_folder", "libcuda", "libnvml", "old_libcuda"))
"""Fixtures for all tests of a session: the first one that asks starts the compiler, the browser or npm."""
SYSTEM_TIMEOUT_S = 300
"""For processes that wait for a core; all others have the 60 s of pyproject.toml."""
STARTS = frozenset(("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"))

_running: pytest.Item | None = None


def mark_by_place(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if SYSTEM in item.path.parents or not COMPILING.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.system)
        if item.get_closest_marker("system") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SYSTEM_TIMEOUT_S))


def comes_first(item: pytest.Item) -> int:
    """Sorts tests of minutes before all others, so that no worker is left alone with one at the end."""
    limit = item.get_closest_marker("timeout")
    return 0 if limit is not None and limit.args and limit.args[0] > SYSTEM_TIMEOUT_S else 1


def now_running(item: pytest.Item | None) -> None:
    global _running  # noqa: PLW0603  an audit hook cannot be taken away again, so there is one for the process
    _running = item


def watch_for_processes() -> None:
    """From now on a test without the marker fails where it starts a process. Called once, before the first test."""
    sys.addaudithook(lambda event, args: refuse_process(str(args[0] if args else event)) if event in STARTS else None)
    spawn = util.spawnv_passfds  # multiprocessing starts its processes without an event

    def watched(path: Any, args: Sequence[Any], passfds: Sequence[int]) -> int:
        if not any("resource_tracker" in str(argument) for argument in args):  # Python's own, for shared memory
            refuse_process("a process of multiprocessing")
        return spawn(path, args, passfds)

    vars(util)["spawnv_passfds"] = watched


def refuse_process(what: str) -> None:
    """Fails the running test unless it carries the marker."""
    if _running is not None and _running.get_closest_marker("system") is None:
        pytest.fail(
            f"{_running.name} starts {what}, so it is of the system lane: mark it with pytest.mark.system, "
            f"or move it to {Path(SYSTEM).relative_to(ROOT)}/ if it runs a whole station"
        )
