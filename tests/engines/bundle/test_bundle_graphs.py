"""Graphs in other precisions and the sample: what an engine holds beside its float32 graph."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from engines.bundle.archive import export_archive
from engines.bundle.files import bundle_files
from engines.bundle.manifest import MAX_SAMPLE
from engines.bundle.reading import Bundle, FrameGraph, Graph, read_bundle
from engines.bundle.writing import write_bundle
from engines.errors import BundleError
from engines.parity_report import HALF, ParityReport
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.parity import Side, compare, parity_images
from engines.store.store import EngineStore
from tests.bench.engines.small_engine import write_small_engine

HEIGHT, WIDTH = 48, 64
FRAME = FrameGraph(b"\x08\x08", width=640, height=480, grey=True)


def sample(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(2).integers(60, 70, (count, HEIGHT, WIDTH, 3), np.uint8))


@pytest.fixture
def plain(tmp_path: Path) -> Bundle:
    return read_bundle(write_small_engine(tmp_path / "plain", width=WIDTH, height=HEIGHT))


def parity(bundle: Bundle) -> ParityReport:
    with OnnxRuntime(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=1) as runtime:
        side = Side("ONNX Runtime", runtime)
        return compare(side, side, parity_images(bundle.golden, sample(3)), bundle.manifest.calibration, HALF)


def with_graphs(bundle: Bundle, path: Path, *, count: int = 3) -> Path:
    """The engine once more with a second graph and a sample."""
    write_bundle(
        path,
        draft=bundle.manifest,
        model=bundle.model,
        golden=bundle.golden,
        variants={"fp16": Graph(bundle.model, parity(bundle))},
        sample=sample(count),
        frame=FRAME,
    )
    return path


def test_round_trip(plain: Bundle, tmp_path: Path) -> None:
    bundle = read_bundle(with_graphs(plain, tmp_path / "full"))
    assert bundle.variants["fp16"].model == (tmp_path / "full" / "model_fp16.onnx").read_bytes()
    assert bundle.variants["fp16"].parity == parity(plain)
    assert bundle.frame == FRAME
    assert FRAME.shape == (480, 640)
    assert plain.frame is None
    assert len(bundle.sample) == 3
    for found, expected in zip(bundle.sample, sample(3), strict=True):
        assert np.array_equal(found, expected)
    assert bundle.manifest.engine_id != plain.manifest.engine_id
    assert {"frame.onnx", "model_fp16.onnx", "sample/00.png", "sample/02.png"} <= set(bundle_files(bundle.manifest))


def test_engines_made_before_keep_their_id_and_are_read(plain: Bundle) -> None:
    """Their manifest has none of these keys, and their id is a hash of what it has."""
    file = plain.path / "manifest.json"
    content = json.loads(file.read_text())
    assert "possible_variants" not in content  # older software reads an engine that has no question
    assert "known_defects" not in content
    assert "detection" not in content
    del content["variants"], content["sample"], content["frame"], content["reviews"]
    file.write_text(json.dumps(content))
    assert read_bundle(plain.path).manifest == plain.manifest
    engine_id = content.pop("engine_id")
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert engine_id == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize("name", ["model_fp16.onnx", "frame.onnx", "sample/01.png"])
def test_a_missing_or_changed_file_is_refused(plain: Bundle, tmp_path: Path, name: str) -> None:
    file = with_graphs(plain, tmp_path / "full") / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: sha256 .* the manifest says"):
        read_bundle(tmp_path / "full")
    file.unlink()
    with pytest.raises(BundleError, match=f"{name}: No such file"):
        read_bundle(tmp_path / "full")


def test_a_sample_of_another_size_is_refused(plain: Bundle, tmp_path: Path) -> None:
    write_bundle(
        tmp_path / "full",
        draft=plain.manifest,
        model=plain.model,
        golden=plain.golden,
        sample=[np.zeros((8, 8, 3), np.uint8)],
    )
    with pytest.raises(BundleError, match=r"sample/00.png: size \(8, 8\), the model takes \(64, 48\)"):
        read_bundle(tmp_path / "full")


def test_a_sample_is_bounded(plain: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_SAMPLE}"):
        with_graphs(plain, tmp_path / "full", count=MAX_SAMPLE + 1)


def test_a_report_that_was_edited_is_refused(plain: Bundle, tmp_path: Path) -> None:
    file = with_graphs(plain, tmp_path / "full") / "manifest.json"
    content = json.loads(file.read_text())
    content["variants"]["fp16"]["parity"]["score_share"] = 0.01
    file.write_text(json.dumps(content))
    with pytest.raises(BundleError, match="changed after it was made"):
        read_bundle(tmp_path / "full")


def test_archive_and_store_carry_everything(plain: Bundle, tmp_path: Path) -> None:
    engine = with_graphs(plain, tmp_path / "full", count=MAX_SAMPLE)
    store, other = EngineStore(tmp_path / "store" / "a"), EngineStore(tmp_path / "store" / "b")
    version = store.add(engine, why="test")
    store.export(version, tmp_path / "engine.tar")
    imported = other.import_archive(tmp_path / "engine.tar")
    found = read_bundle(imported.path)
    assert found.manifest == read_bundle(engine).manifest
    assert len(found.sample) == MAX_SAMPLE
    assert found.variants["fp16"] == read_bundle(engine).variants["fp16"]
    assert found.frame == FRAME
    export_archive(imported.path, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "engine.tar").read_bytes()
