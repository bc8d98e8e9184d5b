"""Which cut suits a product: drawn parts under bad light, found in pictures that were not taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.bundle.location_spec import BlobLocation
from engines.errors import PartNotLocated
from engines.location.contrast import shrunk
from engines.location.location import Location
from engines.location.pose import Pose
from engines.training.images.dataset import open_dataset
from engines.training.location.cuts import CROP_PX, best_level, try_cuts, unexplained_share, whole_images
from engines.training.location.locate import locate
from tests.bench.engines.drawn_scenes import PRODUCTS, Scene, is_right, picture, turned_by, usual_turn
from tests.bench.engines.loose_parts import texture

TAUGHT, TESTED = 24, 20
BY_NAME = {product.name: product for product in PRODUCTS}


def found(location: Location, scene: Scene) -> Pose | str:
    try:
        pose = location.locate(scene.image)
    except PartNotLocated as error:
        return str(error)
    assert pose is not None
    return pose


@pytest.mark.parametrize(
    "name",
    ["bar, deep soft shadow", "bright bar, dark shadow", "bar, uneven ground", "bar, glare", "notched plate, shadow"],
)
def test_parts_are_found_under_bad_light_and_what_is_no_part_is_said(tmp_path: Path, name: str) -> None:
    product = BY_NAME[name]
    for seed in range(TAUGHT):
        assert cv2.imwrite(str(tmp_path / f"{seed:02}.png"), picture(product, seed).image)
    located = locate(open_dataset(tmp_path))
    assert isinstance(located.location.spec, BlobLocation), located.description
    scenes = [picture(product, 1000 + seed) for seed in range(TESTED)]
    poses = [found(located.location, scene) for scene in scenes]
    assert not [pose for pose in poses if isinstance(pose, str)]
    usual_deg = usual_turn([turned_by(s, p) for s, p in zip(scenes, poses, strict=True) if isinstance(p, Pose)])
    for scene, pose in zip(scenes, poses, strict=True):
        assert isinstance(pose, Pose)
        assert is_right(scene, product, pose, usual_deg)
    for what in ("half", "two", "none"):
        assert all(isinstance(found(located.location, picture(product, seed, what=what)), str) for seed in range(6))


def test_textures_have_no_parts() -> None:
    assert try_cuts([shrunk(texture(seed)) for seed in range(20)], 0.9) == []


def test_too_small_images_have_no_parts() -> None:
    assert try_cuts([np.zeros((8, 8), np.uint8)] * 20, 0.3) == []


def test_what_crops_have_in_common_is_explained() -> None:
    rng = np.random.default_rng(0)
    part = rng.normal(0, 30, (20, 40)).astype(np.float32)
    alike = np.stack([part + rng.normal(0, 3, part.shape).astype(np.float32) + 10 * light for light in range(30)])
    turned = np.stack([np.rot90(part[:, :20], turn) for turn in rng.integers(0, 4, 40)])
    assert unexplained_share(alike) == pytest.approx(0.01, abs=0.005)
    assert unexplained_share(turned) > 0.6
    assert unexplained_share(rng.normal(0, 1, (30, 20, 20)).astype(np.float32)) == pytest.approx(1.03, abs=0.03)
    assert unexplained_share(np.full((5, 4, 4), 7, np.float32)) == 0


def test_whole_images_are_compared_at_the_size_of_crops() -> None:
    colour = np.zeros((60, 120, 3), np.uint8)
    assert whole_images([colour, colour[:50]]).shape == (2, round(CROP_PX * 55 / 120), CROP_PX)


def test_a_level_beside_those_that_fail_is_not_taken() -> None:
    pictures = [shrunk(picture(BY_NAME["plain bar"], seed).image) for seed in range(8)]
    found = try_cuts(pictures, 0.9)[0]
    best, good = replace(found, unexplained=0.05), replace(found, unexplained=0.06)
    assert best_level([[good], [good], [good], [best], []]) == [good]
    assert best_level([[good], [best], [good]]) == [best]
    few = replace(found, unexplained=0.0, poses=("not found", *found.poses[1:]))
    assert best_level([[few], [good], []]) == [good]
    assert best_level([[], []]) == []
