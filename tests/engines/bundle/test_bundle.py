"""An engine on disk: what is written is read back, and whatever was changed afterwards is refused with its name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from engines.bundle.reading import read_bundle, read_manifest
from engines.bundle.writing import write_bundle
from engines.errors import BundleError, EngineError
from tests.bench.engines.small_engine import write_small_engine


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return write_small_engine(tmp_path / "engine", width=64, height=48)


def test_round_trip(engine: Path) -> None:
    bundle = read_bundle(engine)
    assert bundle.manifest.engine_id == bundle.manifest.content_id()
    assert [golden.name for golden in bundle.golden] == ["reference", "spot"]
    assert bundle.golden[0].image.shape == (48, 64, 3)
    assert bundle.model == (engine / "model.onnx").read_bytes()


def test_golden_images_keep_their_colours(tmp_path: Path) -> None:
    reference = np.zeros((16, 16, 3), np.uint8)
    reference[:, :, 0] = 200
    bundle = read_bundle(write_small_engine(tmp_path / "engine", width=16, height=16, reference=reference))
    assert (bundle.golden[0].image == reference).all()


def test_a_link_to_the_directory_is_followed(engine: Path, tmp_path: Path) -> None:
    (tmp_path / "active").symlink_to(engine)
    assert read_bundle(tmp_path / "active").path == engine.resolve()
    assert read_manifest(tmp_path / "active") == read_manifest(engine)


def edit_manifest(engine: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = engine / "manifest.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def flip_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def replace_by_link(file: Path) -> None:
    moved = file.rename(file.with_name("moved"))
    file.symlink_to(moved)


def golden_of_another_size(engine: Path) -> None:
    done, png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    assert done
    (engine / "golden" / "spot.png").write_bytes(png.tobytes())


def escape_through_golden_folder(engine: Path) -> None:
    outside = engine.parent / "outside"
    (engine / "golden").rename(outside)
    (engine / "golden").symlink_to(outside)


def oversized(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(2 << 20)


def named_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda e: (e / "manifest.json").unlink(), "manifest.json: No such file"),
        (lambda e: (e / "model.onnx").unlink(), "model.onnx: No such file"),
        (lambda e: (e / "golden" / "spot.png").unlink(), "golden/spot.png: No such file"),
        (lambda e: (e / "manifest.json").write_text("{"), "not a JSON object"),
        (lambda e: (e / "manifest.json").write_text("[]"), "not a JSON object"),
        (lambda e: (e / "manifest.json").write_text("[" * 100_000), "not a JSON object"),
        (lambda e: oversized(e / "manifest.json"), "at most 1048576"),
        (lambda e: named_pipe(e / "manifest.json"), "not a plain file"),
        (lambda e: flip_byte(e / "model.onnx"), "model.onnx: sha256 .* the manifest says"),
        (lambda e: flip_byte(e / "golden" / "spot.png"), "golden/spot.png: sha256"),
        (golden_of_another_size, "golden/spot.png: sha256"),
        (lambda e: replace_by_link(e / "model.onnx"), "model.onnx: Too many levels of symbolic links"),
        (escape_through_golden_folder, "behind a link"),
        (lambda e: edit_manifest(e, lambda m: m.update(format_version=2)), "format_version 2, this software reads 1"),
        (lambda e: edit_manifest(e, lambda m: m.update(surprise=1)), "surprise: Extra inputs"),
        (lambda e: edit_manifest(e, lambda m: m.pop("calibration")), "calibration: Field required"),
        (
            lambda e: edit_manifest(e, lambda m: m["input"].update(width="64")),
            "input.width: Input should be a valid int",
        ),
        (
            lambda e: edit_manifest(e, lambda m: m["calibration"].update(reject_score=99.0)),
            "changed after it was made",
        ),
        (
            lambda e: edit_manifest(e, lambda m: m["golden"][0].update(file="golden/../../secret.png")),
            "golden.0.file: String should match pattern",
        ),
        (
            lambda e: edit_manifest(e, lambda m: m["model"].update(file="../x")),
            "model.file: Input should be 'model.onnx'",
        ),
    ],
)
def test_damage_is_refused(engine: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(engine)
    with pytest.raises(BundleError, match=message):
        read_bundle(engine)


def test_non_finite_limit_is_refused(engine: Path) -> None:
    file = engine / "manifest.json"
    file.write_text(file.read_text().replace('"reject_score": 40.0', '"reject_score": NaN'))
    with pytest.raises(BundleError):
        read_bundle(engine)


def test_images_that_decode_to_absurd_sizes_are_refused_before_one_is_read(engine: Path) -> None:
    """Ten megabytes of PNGs decode to 32 GB: what the manifest says of their size is bounded, file by file and all."""

    def enlarge(content: dict[str, Any]) -> None:
        content["input"] |= {"width": 16384, "height": 16384}

    def many(content: dict[str, Any]) -> None:
        content["input"] |= {"width": 2048, "height": 2048}
        content["sample"] = ["0" * 64] * 24

    for change, said in ((enlarge, "268435456 pixels, at most 4194304"), (many, "26 images decode to 327155712 bytes")):
        edit_manifest(engine, change)
        with pytest.raises(BundleError, match=said):
            read_manifest(engine)


def test_no_engine_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"No such file or directory.*station teach"):
        read_bundle(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="not a directory"):
        read_bundle(tmp_path / "file")


def test_never_overwrites(engine: Path) -> None:
    bundle = read_bundle(engine)
    with pytest.raises(EngineError, match="exists already"):
        write_bundle(engine, draft=bundle.manifest, model=bundle.model, golden=bundle.golden)
    assert read_bundle(engine).manifest == bundle.manifest


def test_failed_write_leaves_nothing(engine: Path, tmp_path: Path) -> None:
    bundle = read_bundle(engine)
    blocker = tmp_path / "blocker"
    blocker.touch()
    with pytest.raises(BundleError, match="cannot write"):
        write_bundle(blocker / "engine", draft=bundle.manifest, model=bundle.model, golden=bundle.golden)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocker", "engine"]
