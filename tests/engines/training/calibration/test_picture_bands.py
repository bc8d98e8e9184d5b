"""What good pictures look like: how often its promise holds, whose pictures set it, the same numbers as on the line."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.bundle.picture_bands import EVERY_CAMERA, PictureBands, ValueBand, bands_in_words
from engines.location.location import WHOLE_IMAGE
from engines.training.calibration.picture_bands import (
    MOST_IMAGES,
    OUTSIDE_SHARE,
    Values,
    bands_of,
    picture_bands,
    values_of,
)
from station.line.inspection.frame_quality import frame_quality
from tests.bench.engines.pictures import ring, write_rings

Draw = Callable[[np.random.Generator, int], np.ndarray]


def normal(random: np.random.Generator, count: int) -> np.ndarray:
    return 120 + 12 * random.normal(size=count)


def skewed(random: np.random.Generator, count: int) -> np.ndarray:
    return 60 + 20 * np.exp(0.3 * random.normal(size=count))


def seen(greys: np.ndarray) -> list[Values]:
    return [{"grey": float(grey), "saturated": 0.0, "sharpness": 0.01} for grey in greys]


@pytest.mark.parametrize("draw", [normal, skewed])
@pytest.mark.parametrize("count", [30, 100])
def test_each_limit_holds_with_its_confidence(draw: Draw, count: int) -> None:
    """Of a value that varies more than the tolerance: 100 teachings, each held against 20,000 further pictures."""
    random = np.random.default_rng(count)
    kept = 0
    for _ in range(100):
        band = bands_of({EVERY_CAMERA: seen(draw(random, count))}).of("top").grey
        further = draw(random, 20_000)
        kept += band.high is None or float(np.mean(further > band.high)) <= OUTSIDE_SHARE / 4
        kept += band.low is None or float(np.mean(further < band.low)) <= OUTSIDE_SHARE / 4
    assert kept >= 0.83 * 200, "the confidence is 0.9"


def test_a_steady_light_leaves_room_of_a_stated_width() -> None:
    band = bands_of({EVERY_CAMERA: seen(np.full(40, 100.0))}).of("top")
    assert band.grey == ValueBand(low=95.0, high=105.0)
    assert band.saturated == ValueBand(high=0.02)
    assert band.sharpness == ValueBand(low=0.0075)
    assert band.size is None


def test_one_odd_picture_does_not_widen_the_band() -> None:
    random = np.random.default_rng(3)
    greys = 120 + 2 * random.normal(size=100)
    plain = bands_of({EVERY_CAMERA: seen(greys)}).of("top").grey
    odd = bands_of({EVERY_CAMERA: seen(np.append(greys, 250.0))}).of("top").grey
    assert odd.high is not None
    assert plain.high is not None
    assert odd.high < plain.high + 10


def test_the_numbers_are_those_of_the_line_to_the_last_digit() -> None:
    for pixels in (ring(1), ring(2, colour=False), cv2.resize(ring(3), (1300, 900))):
        line, taught = frame_quality(np.asarray(pixels, np.uint8)), values_of(np.asarray(pixels, np.uint8), WHOLE_IMAGE)
        assert taught["grey"] == line.mean_grey
        assert taught["saturated"] == line.saturated_share
        assert taught["sharpness"] == line.sharpness / line.mean_grey**2


def test_a_camera_has_its_own_band_where_its_pictures_are_known(tmp_path: Path) -> None:
    for number in range(24):
        for camera, grey in (("side", 60), ("top", 180)):
            picture = np.full((32, 32), grey + number % 3, np.uint8)
            assert cv2.imwrite(str(tmp_path / f"{number:05d}-{camera}.png"), picture)
    bands = picture_bands(sorted(tmp_path.iterdir()), WHOLE_IMAGE)
    assert sorted(bands.cameras) == [EVERY_CAMERA, "side", "top"]
    assert 180.0 not in bands.of("side").grey
    assert 60.0 not in bands.of("top").grey
    assert bands.of("front") == bands.cameras[EVERY_CAMERA]
    assert [line.partition(":")[0] for line in bands_in_words(bands)[:2]] == ["side", "top"]


def test_of_very_many_pictures_some_are_enough(tmp_path: Path) -> None:
    write_rings(tmp_path, 3)
    files = sorted(tmp_path.iterdir())
    seen: list[int] = []
    bands = picture_bands(files * 400, WHOLE_IMAGE, lambda done, _: seen.append(done))
    assert len(seen) == bands.of("").images == MOST_IMAGES


def test_what_few_pictures_promise_is_said() -> None:
    random = np.random.default_rng(1)
    few, many = (bands_of({EVERY_CAMERA: seen(normal(random, count))}) for count in (30, 3000))
    assert "without one" in bands_in_words(few)[-1]
    assert few.without_model > 0.05
    assert "without one" not in bands_in_words(many)[-1]
    assert "not learned" in bands_in_words(None)[0]


def test_a_band_is_a_band() -> None:
    with pytest.raises(ValueError, match="low must not be above high"):
        ValueBand(low=2.0, high=1.0)
    assert math.nan not in ValueBand(low=1.0)  # noqa: PLW0177
    assert math.nan in ValueBand()  # noqa: PLW0177
    band = bands_of({EVERY_CAMERA: seen(np.full(40, 100.0))})
    with pytest.raises(ValueError, match="all pictures together"):
        PictureBands(cameras={"top": band.of("")}, outside_share=0.01, confidence=0.9, without_model=0.1)
