"""Frame quality on pictures whose values are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from station.line.inspection.frame_quality import frame_quality
from tests.bench.sample_parts import textured

SIZES = [(448, 448), (100, 3000), (2048, 2448), (1, 1), (513, 512)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_flat_picture(size: tuple[int, int], channels: tuple[int, ...]) -> None:
    quality = frame_quality(np.full(size + channels, 93, np.uint8))
    assert quality.mean_grey == pytest.approx(93.0)
    assert (quality.saturated_share, quality.sharpness) == (0.0, 0.0)
    assert quality.shape == size + channels


def test_small_picture_is_taken_pixel_by_pixel() -> None:
    pixels = textured(1, (200, 300))
    quality = frame_quality(pixels)
    assert quality.mean_grey == pytest.approx(pixels.mean())
    assert quality.saturated_share == pytest.approx((pixels == 255).mean())
    assert quality.sharpness == pytest.approx(cv2.Laplacian(pixels, cv2.CV_64F).var())


@pytest.mark.parametrize("size", [(448, 448), (512, 300), (37, 41)])
@pytest.mark.parametrize("brightest", [254, 255])
def test_the_short_ways_give_what_counting_every_pixel_gives(size: tuple[int, int], brightest: int) -> None:
    pixels = np.random.default_rng(5).integers(0, brightest, (*size, 3), np.uint8, endpoint=True)
    quality = frame_quality(pixels)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_16S))
    assert quality.sharpness == pytest.approx(deviation[0, 0] ** 2, rel=1e-12)
    assert quality.saturated_share == pytest.approx((pixels == 255).any(axis=2).mean(), abs=1e-15)


def test_colour_pixel_is_saturated_when_one_channel_is() -> None:
    pixels = np.full((100, 100, 3), 50, np.uint8)
    pixels[:10, :, 0] = 255
    pixels[10:20, :, 2] = 255
    assert frame_quality(pixels).saturated_share == pytest.approx(0.2)


@pytest.mark.parametrize("size", SIZES)
def test_all_saturated(size: tuple[int, int]) -> None:
    assert frame_quality(np.full(size, 255, np.uint8)).saturated_share == 1.0


def test_single_saturated_pixels_of_a_large_picture_are_not_averaged_away() -> None:
    pixels = np.full((2048, 2448), 100, np.uint8)
    pixels[np.random.default_rng(2).random(pixels.shape) < 0.1] = 255
    assert frame_quality(pixels).saturated_share == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("size", [(448, 448), (2000, 2400)])
def test_sharpness_falls_with_defocus(size: tuple[int, int]) -> None:
    cells = textured(3, (size[0] // 40, size[1] // 40))
    scene = np.asarray(cv2.resize(cells, size[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    blurred = [np.asarray(cv2.GaussianBlur(scene, (0, 0), sigma), np.uint8) for sigma in (1.0, 4.0, 12.0)]
    values = [frame_quality(picture).sharpness for picture in (scene, *blurred)]
    assert values == sorted(values, reverse=True)
    assert values[3] < 0.1 * values[0]


def test_noise_counts_less_in_a_large_picture() -> None:
    """Sensor noise is not sharpness: averaging four pixels leaves a quarter of its variance."""
    noise = np.clip(np.random.default_rng(4).normal(100, 5, (2048, 2048)), 0, 255).astype(np.uint8)
    crop = np.ascontiguousarray(noise[:512, :512])
    assert frame_quality(noise).sharpness == pytest.approx(frame_quality(crop).sharpness / 4, rel=0.1)
