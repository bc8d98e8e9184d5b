"""The nearest good parts: found by what the place of the defect looks like, however the part lies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engines.bundle.location_spec import BlobLocation
from engines.bundle.reading import read_manifest, read_pictures
from engines.bundle.reference import read_reference
from engines.location.location import Location
from engines.preprocess import prepare
from station.reports.nearest_good import (
    Compared,
    compare,
    normalised,
    place_of,
    place_weights,
    small_grey,
    weighted_distances,
)
from tests.bench.engines.good_pictures import keep_reference
from tests.bench.engines.loose_parts import Lie, screw
from tests.bench.engines.small_engine import write_located_engine, write_small_engine

Picture = NDArray[np.uint8]
CORNER = np.array([(0.7, 0.7), (0.8, 0.7), (0.8, 0.8), (0.7, 0.8)])
SCREW = BlobLocation(contrast=40, min_area_share=0.01, max_area_share=0.2, turn=True, head="shape")


def surface(seed: int, *, stripe_deg: float = 0.0) -> Picture:
    """A rough surface with stripes, whose direction in the lower right corner may be another one."""
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.arange(128), np.arange(128))
    rough = cv2.GaussianBlur(rng.normal(0, 1, (128, 128)).astype(np.float32), (0, 0), 2.0)
    turn = np.radians(stripe_deg)
    striped = 40 * np.sin((across * np.cos(turn) + down * np.sin(turn)) / 3)
    corner = (across > 84) & (down > 84)
    grey = np.clip(120 + 25 * rough / rough.std() + np.where(corner, striped, 0), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def compared(engine: Path, image: Picture, outlines: Sequence[NDArray[np.float64]]) -> Compared:
    manifest = read_manifest(engine)
    pictures = read_reference(engine, manifest)
    greys = np.stack([normalised(small_grey(one.pixels)) for one in pictures])
    location = Location(manifest.location, ignore=manifest.ignore, pictures=read_pictures(engine.resolve(), manifest))
    return compare(pictures, greys, prepare(image, manifest.input, location), manifest, outlines)


@pytest.fixture
def striped(tmp_path: Path) -> Path:
    """Good parts whose corner is striped in steps of 15 degrees."""
    engine = write_small_engine(tmp_path / "e", width=128, height=128)
    return keep_reference(engine, [surface(number, stripe_deg=15.0 * number) for number in range(12)])


@pytest.mark.parametrize("number", [0, 4, 9])
def test_the_picture_itself_is_the_nearest(striped: Path, number: int) -> None:
    found = compared(striped, surface(number, stripe_deg=15.0 * number), [CORNER])
    assert found.good[0].image == number
    assert found.good[0].distance < 0.2 < found.good[1].distance
    assert (len(found.good), found.of) == (3, 12)


def test_the_place_of_the_defect_decides(striped: Path) -> None:
    """Everywhere else it looks like part 3: the corner is that of part 8."""
    image = surface(3, stripe_deg=45.0)
    image[84:, 84:] = surface(8, stripe_deg=120.0)[84:, 84:]
    assert compared(striped, image, [CORNER]).good[0].image == 8
    assert compared(striped, image, []).good[0].image == 3


def test_other_light_changes_nothing(striped: Path) -> None:
    image = surface(5, stripe_deg=75.0)
    dimmed = np.asarray(image * 0.6 + 20, np.uint8)
    found = compared(striped, dimmed, [CORNER])
    assert found.good[0].image == 5
    assert found.good[0].distance < 0.2


def test_only_what_differs_is_coloured(striped: Path) -> None:
    image = surface(5, stripe_deg=75.0)
    cv2.circle(image, (96, 96), 5, (255, 255, 255), -1)
    difference = compared(striped, image, [CORNER]).difference
    assert difference is not None
    is_coloured = np.ptp(difference.astype(int), axis=2) > 20
    height, width = is_coloured.shape
    assert is_coloured[height // 2, width // 2]
    assert is_coloured.mean() < 0.25


@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 180.0, -37.0])
def test_a_turned_part_is_compared_upright(tmp_path: Path, angle_deg: float) -> None:
    """A mark at the head of one, at the tip of the other: by place of the picture they would be mistaken."""
    plain = Lie(angle_deg=20.0)
    engine = write_located_engine(tmp_path / "e", screw(plain), SCREW)
    keep_reference(engine, [screw(Lie(angle_deg=70.0 * seed), seed=seed, spot=seed == 1) for seed in range(3)])
    spotted, clean = (
        compared(engine, screw(Lie(angle_deg=angle_deg), seed=9, spot=spot), []) for spot in (True, False)
    )
    assert spotted.good[0].image == 1
    assert clean.good[0].image != 1
    assert spotted.place is not None
    assert spotted.place.shape[1] > spotted.place.shape[0], "shown upright, as the engine sees it"


def test_the_cut_out_stays_within_the_picture() -> None:
    corner = [np.array([(0.0, 0.0), (3.0, 2.0)])]
    assert place_of(corner, 100, 200) == (slice(0, 30), slice(0, 30))
    assert place_of([np.array([(199.0, 99.0)])], 100, 200) == (slice(70, 100), slice(170, 200))
    assert place_of([], 100, 200) == (slice(0, 100), slice(0, 200))
    assert place_of([np.array([(0.0, 0.0), (199.0, 99.0)])], 100, 200) == (slice(0, 100), slice(0, 200))


def test_two_hundred_pictures_are_compared_in_moments() -> None:
    """3 ms on an idle core of the reference machine (decision 0043); the bound here allows for a busy one."""
    rng = np.random.default_rng(0)
    greys = rng.normal(size=(200, 64, 64)).astype(np.float32)
    weights = place_weights([np.array([(20.0, 20.0), (40.0, 40.0)])], np.zeros((256, 256, 3), np.uint8), (64, 64))

    def once() -> float:
        start = time.process_time()
        weighted_distances(greys, greys[7], weights)
        return time.process_time() - start

    assert min(once() for _ in range(20)) < 0.1
    assert int(weighted_distances(greys, greys[7], weights).argmin()) == 7
