"""An engine that nobody trusts is tried in a process of its own, which ends in time whatever the graph does."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from engines.bundle.reading import Golden, read_bundle
from engines.bundle.writing import write_bundle
from engines.errors import EngineError, StoreError
from engines.store.store import EngineStore
from station.jobs.engine_check import check_engine
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.faulty_engine import HANGS, faulty, write_faulty_engine
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Its graph turns for ever on a golden image."""
    bundle = read_bundle(write_faulty_engine(tmp_path / "faulty", width=64, height=64))
    golden = Golden("hangs", faulty(bundle.golden[0].image, HANGS), 0.0, 0.0)
    write_bundle(tmp_path / "endless", draft=bundle.manifest, model=bundle.model, golden=[golden])
    return tmp_path / "endless"


def test_an_endless_graph_does_not_hold_the_store(tmp_path: Path, endless: Path) -> None:
    sound = write_small_engine(tmp_path / "sound", width=64, height=64)
    store = EngineStore(tmp_path / "store", check=check_engine)
    kept = store.add(sound, why="sound")
    store.activate(kept)
    with pytest.raises(StoreError, match="its golden images are not scored after 1 s of the processor"):
        EngineStore(store.path, check=partial(check_engine, limit_s=1)).add(endless, why="endless")
    assert store.versions() == (kept,)
    assert store.active() == kept
    store.activate(kept)  # the lock is free


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    files = Path("/proc/self/task").glob("*/children")
    return {int(pid) for file in files for pid in file.read_text().split()}


def test_a_busy_computer_is_no_fault_of_the_engine(tmp_path: Path) -> None:
    """A refresh gives way to the line: its check may get no processor for longer than the limit."""
    engine = write_small_engine(tmp_path / "engine", width=64, height=64)
    ended: list[BaseException | None] = []

    def check() -> None:
        try:
            check_engine(engine, limit_s=2)
        except EngineError as problem:
            ended.append(problem)
        else:
            ended.append(None)

    thread = threading.Thread(target=check)
    before = children()
    thread.start()
    found: list[int] = []

    def is_limited() -> bool:
        found[:] = children() - before
        limits = Path(f"/proc/{found[0]}/limits").read_text() if found else ""
        return bool(limits) and not re.search(r"Max cpu time +unlimited", limits)

    wait_for(is_limited, "the limit of the process")
    os.kill(found[0], signal.SIGSTOP)
    time.sleep(2.5)  # longer than the limit
    os.kill(found[0], signal.SIGCONT)
    thread.join(60)
    assert ended == [None]


def test_what_is_wrong_with_an_engine_is_said(tmp_path: Path) -> None:
    engine = write_small_engine(tmp_path / "engine", width=64, height=64)
    bundle = read_bundle(engine)
    golden = [Golden(entry.name, entry.image, 7.0, entry.map_peak) for entry in bundle.golden]
    write_bundle(tmp_path / "wrong", draft=bundle.manifest, model=bundle.model, golden=golden)
    with pytest.raises(EngineError, match="golden image reference: image_score 0, expected 7"):
        check_engine(tmp_path / "wrong")
    (engine / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(EngineError, match="the manifest says"):
        check_engine(engine)
