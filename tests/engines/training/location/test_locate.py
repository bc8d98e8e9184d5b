"""What teaching chooses from the good images alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.bundle.location_spec import BlobLocation, TemplateLocation
from engines.errors import DatasetError, TrainingError
from engines.preprocess import prepare
from engines.training.images.dataset import Dataset, inspect_image, open_dataset, read_image
from engines.training.location.locate import METHODS, LocateOptions, locate, split_located
from engines.training.location.sheet import location_sheet
from engines.training.summary import warnings_of
from tests.bench.engines.loose_parts import Lie, random_lie, screw, texture
from tests.bench.engines.pictures import ring, write_rings
from tests.bench.engines.small_training import SmallTraining
from tests.bench.places import DATASETS, missing_set

COUNT = 22


def write(folder: Path, make: Callable[[int], np.ndarray], count: int = COUNT, prefix: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    for seed in range(count):
        image = make(seed)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
        assert cv2.imwrite(str(folder / f"{prefix}{seed:03}.png"), bgr)
    return folder


def any_screw(seed: int) -> np.ndarray:
    return screw(random_lie(seed), seed=seed, width=200, height=200)


def jittered_ring(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed + 100)
    return np.roll(ring(seed, size=200), tuple(rng.integers(-15, 16, 2)), axis=(0, 1))


def jittered_texture(seed: int) -> np.ndarray:
    """The same rough plate, moved a little, fresh noise: nothing to segment, but something to recognise."""
    rng = np.random.default_rng(seed)
    shift = tuple(int(value) for value in rng.integers(-20, 21, 2))
    plate = np.roll(texture(7, size=200), shift, axis=(0, 1))
    return np.clip(plate + rng.normal(0, 4, plate.shape), 0, 255).astype(np.uint8)


def test_screws_in_any_orientation_are_segmented_and_turned(tmp_path: Path) -> None:
    located = locate(open_dataset(write(tmp_path, any_screw)))
    spec = located.location.spec
    assert isinstance(spec, BlobLocation)
    assert spec.turn
    assert spec.head == "shape"
    assert 20 < spec.contrast < 90
    assert located.failed == ()
    assert len(located.dataset.files) == COUNT
    assert 2 < located.input.width / located.input.height < 3.5  # the aspect of the screw, not of the image
    assert "turned to its axis (the thicker end to the left)" in located.description
    assert "parts" in located.description


def test_round_parts_that_move_are_cropped_but_not_turned(tmp_path: Path) -> None:
    spec = locate(open_dataset(write(tmp_path, jittered_ring))).location.spec
    assert isinstance(spec, BlobLocation)
    assert not spec.turn


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda seed: texture(seed, size=128), "in less than 30% of the images one part lies free"),
        (ring, "the part always lies alike: it varies in position"),
        (lambda seed: screw(Lie(angle_deg=20 + seed % 3), seed=seed, width=160, height=160), "axis 1 degrees"),
        (
            lambda seed: screw(Lie(size=1.9), seed=seed, width=160, height=160),
            "in less than 30% of the images one part lies free",
        ),  # over the edge
    ],
    ids=["texture", "ring", "screw", "strip"],
)
def test_what_needs_no_location_gets_none(tmp_path: Path, make: Callable[[int], np.ndarray], words: str) -> None:
    seen: list[tuple[int, int]] = []
    located = locate(open_dataset(write(tmp_path, make)), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, COUNT) for done in range(1, COUNT + 1)]
    assert located.location.spec.method == "none"
    assert words in located.description
    assert len(located.dataset.files) == COUNT


@pytest.mark.datasets
@pytest.mark.parametrize("name", ["mvtec_ad/bottle", "kolektorsdd", "magnetic_tile"])
def test_the_real_sets_need_no_location(name: str) -> None:
    if not (DATASETS / name).is_dir():
        pytest.skip(missing_set(DATASETS / name))
    paths = sorted((DATASETS / name / "train" / "good").iterdir())
    dataset = Dataset(DATASETS / name, tuple(inspect_image(path) for path in paths[:: len(paths) // 24]))
    assert locate(dataset).location.spec.method == "none"


def test_images_without_a_part_are_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, any_screw)
    write(tmp_path, texture, count=2, prefix="empty-")
    dataset = open_dataset(tmp_path)
    located = locate(dataset)
    assert located.location.spec.method == "blob"
    assert [entry.file.path.name for entry in located.failed] == ["empty-000.png", "empty-001.png"]
    assert all(entry.reason for entry in located.failed)
    assert len(located.dataset.files) == COUNT
    assert "2 of 24 images left out" in located.description
    indices, failed = split_located(dataset.files, located.location)
    assert indices == list(range(COUNT))
    assert failed == located.failed
    sheet = location_sheet(located)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] > 1000
    red = (sheet == (240, 96, 84)).all(axis=2).sum()
    assert red > 1000  # the frames around those left out


def test_a_part_in_only_some_images_is_a_near_miss_with_pictures(tmp_path: Path) -> None:
    write(tmp_path, any_screw)
    write(tmp_path, texture, count=8, prefix="empty-")
    dataset = open_dataset(tmp_path)
    located = locate(dataset)
    assert located.location.spec.method == "none"
    assert len(located.dataset.files) == COUNT + 8
    near = located.near_miss
    assert near is not None
    assert "found in only 22 of 30 images, and there it varies in position" in near.words
    assert "--location blob, which leaves 8 images out" in near.words
    assert (location_sheet(located) == location_sheet(near.instead)).all()
    assert warnings_of(located, SmallTraining().learned)[0] == near.words
    forced = locate(dataset, LocateOptions("blob"))
    assert forced.location.spec == near.instead.location.spec
    assert [entry.file.path.name for entry in forced.failed] == [f"empty-00{number}.png" for number in range(8)]
    assert forced.near_miss is None


def test_things_that_have_nothing_in_common_are_a_near_miss(tmp_path: Path) -> None:
    def patch(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        image = np.full((160, 160), 128, np.uint8)
        blocks = np.where(rng.random((8, 8)) < 0.5, 48, 208).astype(np.uint8)
        x, y = rng.integers(10, 84, 2)
        image[y : y + 64, x : x + 64] = np.kron(blocks, np.ones((8, 8), np.uint8))
        return image

    located = locate(open_dataset(write(tmp_path, patch)))
    assert located.location.spec.method == "none"
    assert located.near_miss is not None
    assert "images, but cut out they are not more alike" in located.near_miss.words


def test_too_many_without_a_part_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, any_screw)
    write(tmp_path, lambda seed: texture(seed, size=64), count=60, prefix="empty-")
    with pytest.raises(
        DatasetError,
        match=r"location blob: the part was found in [12][0-9] of 82 .* at least 30% .*000.png: .*none always",
    ):
        locate(open_dataset(tmp_path), LocateOptions("blob"))
    located = locate(open_dataset(tmp_path))  # auto does not insist
    assert located.location.spec.method == "none"
    assert located.near_miss is None


def test_nothing_to_segment_at_all_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, lambda seed: np.full((64, 64), 100 + seed, np.uint8))
    with pytest.raises(DatasetError, match=r"found in 0 of 22 .*nothing differs.*and 17 more"):
        locate(open_dataset(tmp_path), LocateOptions("blob"))
    with pytest.raises(TrainingError, match="template is uniform"):
        locate(open_dataset(tmp_path), LocateOptions("template"))
    assert locate(open_dataset(tmp_path)).location.spec.method == "none"


def test_a_plate_that_moves_is_found_by_its_picture(tmp_path: Path) -> None:
    located = locate(open_dataset(write(tmp_path, jittered_texture)), LocateOptions("template"))
    assert isinstance(located.location.spec, TemplateLocation)
    assert "taught picture cut from" in located.description
    assert "of the width" in located.description
    seen = np.stack([
        prepare(read_image(file.path), located.input, located.location).pixels.astype(float)
        for file in located.dataset.files
    ])  # fmt: skip
    whole = np.stack([read_image(file.path).astype(float) for file in located.dataset.files])
    assert seen.std(axis=0).mean() < 0.5 * whole.std(axis=0).mean()  # the plate stands still


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LocateOptions("magic"), 'unknown location "magic"; known: auto, none, blob, template'),
        (LocateOptions("template", template_box=(0.5, 0.5, 0.6, 0.2)), "the box inside of it"),
        (LocateOptions("template", template_box=(0.5, 0.5, 0.01, 0.2)), "too small"),
        (LocateOptions("none", ignore=(((0.0, 0.0), (1.0, 2.0), (0.0, 1.0)),)), "each from 0 to 1"),
        (LocateOptions("none", ignore=(((0.0, 0.0), (1.0, 1.0)),)), "at least 3 points"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: LocateOptions, message: str) -> None:
    write_rings(tmp_path, 20)
    with pytest.raises(TrainingError, match=message):
        locate(open_dataset(tmp_path), options)
    assert set(METHODS) == {"auto", "none", "blob", "template"}


def test_an_ignored_region_shows_a_typical_part(tmp_path: Path) -> None:
    write_rings(tmp_path, 20)
    square = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5))
    located = locate(open_dataset(tmp_path), LocateOptions("auto", ignore=(square,)))
    assert located.location.spec.method == "none"
    assert "1 regions ignored" in located.description
    scratched = prepare(ring(3, scratch=True), located.input, located.location).pixels
    clean = prepare(ring(3), located.input, located.location).pixels
    side = located.input.width
    inside = np.s_[int(0.12 * side) : int(0.48 * side), int(0.12 * side) : int(0.48 * side)]
    assert (scratched[inside] == clean[inside]).all()
    assert np.abs(scratched[inside].mean(axis=2).mean() - prepare(ring(4), located.input).pixels[inside].mean()) < 3
