"""Reference pictures are untrusted files: what is not as it was written is refused with a sentence."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.bundle.files import sha256_of
from engines.bundle.manifest import InputSpec
from engines.bundle.reading import read_bundle, read_manifest
from engines.bundle.reference import (
    INDEX_FILE,
    MAX_PICTURE_BYTES,
    MAX_PICTURES,
    jpeg_size,
    picture_name,
    read_reference,
    reference_files,
    reference_picture,
    reference_size,
)
from engines.errors import BundleError
from tests.bench.engines.good_pictures import keep_reference
from tests.bench.engines.pictures import ring
from tests.bench.engines.small_engine import write_small_engine


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    engine = write_small_engine(tmp_path_factory.mktemp("engine") / "e", width=320, height=160)
    return keep_reference(engine, [ring(seed, size=160) for seed in range(5)])


@pytest.fixture
def engine(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "engine"))


def with_index(engine: Path, change: Callable[[dict[str, object]], object]) -> None:
    file = engine / INDEX_FILE
    index = json.loads(file.read_text())
    change(index)
    file.write_text(json.dumps(index))


def put(engine: Path, content: bytes) -> None:
    """The second picture is `content`, and the index says so."""
    (engine / picture_name(1)).write_bytes(content)
    with_index(engine, lambda index: index["pictures"][1].update(sha256=sha256_of(content)))  # type: ignore[index]


def linked(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def jpeg(shape: tuple[int, ...]) -> bytes:
    return bytes(cv2.imencode(".jpg", np.zeros(shape, np.uint8))[1].tobytes())


def test_they_are_small_and_no_part_of_the_engine(engine: Path) -> None:
    manifest = read_manifest(engine)
    assert reference_size(manifest.input) == (256, 128)
    pictures = read_reference(engine, manifest)
    assert [one.image for one in pictures] == [0, 1, 2, 3, 4]
    assert all(one.pixels.shape == (128, 256, 3) for one in pictures)
    shutil.rmtree(engine / "reference")
    assert read_reference(engine, manifest) == ()
    assert read_bundle(engine).manifest == manifest


def test_two_hundred_are_a_few_megabytes() -> None:
    spec = InputSpec(width=256, height=256)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (spec.height, spec.width, 3), np.uint8)
    assert len(reference_picture(0, noise, spec).jpeg) < MAX_PICTURE_BYTES
    ordinary = reference_picture(0, ring(0, size=256), spec)
    files = reference_files("0" * 64, spec, [ordinary] * MAX_PICTURES)
    assert sum(map(len, files.values())) < 6 << 20


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed picture": (lambda e: (e / picture_name(2)).write_bytes(jpeg((128, 256, 3))), "damaged or changed"),
    "a missing picture": (lambda e: (e / picture_name(4)).unlink(), "004.jpg"),
    "a missing index": (lambda e: (e / INDEX_FILE).unlink(), "index.json"),
    "no JSON": (lambda e: (e / INDEX_FILE).write_text("{"), "index.json"),
    "an unknown key": (lambda e: with_index(e, lambda i: i.update(more=1)), "more"),
    "another engine": (lambda e: with_index(e, lambda i: i.update(engine_id="a" * 64)), "of engine aaaaaaaaaaaa"),
    "another size": (lambda e: with_index(e, lambda i: i.update(width=200)), "200 x 128 px"),
    "too many": (
        lambda e: with_index(e, lambda i: i.update(pictures=[{"image": 0, "sha256": "a" * 64}] * 201)),
        "200",
    ),
    "a large file": (lambda e: put(e, bytes(MAX_PICTURE_BYTES + 1)), "at most"),
    "another format": (lambda e: put(e, bytes(cv2.imencode(".png", np.zeros((128, 256), np.uint8))[1])), "None"),
    "a picture of gigapixels": (
        lambda e: put(e, jpeg((128, 256)).replace(struct.pack(">HH", 128, 256), struct.pack(">HH", 65000, 65000))),
        "65000",
    ),
    "a cut header": (lambda e: put(e, jpeg((128, 256))[:80]), "001.jpg"),
    "a link": (lambda e: linked(e / picture_name(1)), "001.jpg"),
    "a pipe": (lambda e: pipe(e / picture_name(1)), "not a plain file"),
    "a folder behind a link": (lambda e: linked(e / "reference"), "link"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_refused_and_the_engine_still_runs(engine: Path, damage: str) -> None:
    do, expected = DAMAGE[damage]
    do(engine)
    manifest = read_manifest(engine)
    with pytest.raises(BundleError, match=expected):
        read_reference(engine, manifest)
    read_bundle(engine)


@given(st.binary(max_size=200))
def test_the_size_of_any_bytes_is_a_size_or_none(data: bytes) -> None:
    assert jpeg_size(b"\xff\xd8\xff" + data) is None or len(jpeg_size(b"\xff\xd8\xff" + data) or ()) == 2
