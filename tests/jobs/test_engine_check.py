"""An engine that nobody trusts is tried in a process of its own, which ends in time whatever the graph does."""

from __future__ import annotations

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
    with pytest.raises(StoreError, match="its golden images are not scored after 1 s"):
        EngineStore(store.path, check=partial(check_engine, limit_s=1)).add(endless, why="endless")
    assert store.versions() == (kept,)
    assert store.active() == kept
    store.activate(kept)  # the lock is free


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
