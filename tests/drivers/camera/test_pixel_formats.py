"""Every supported pixel format becomes Mono8 or RGB8."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera.pixel_formats import SUPPORTED, normalise, normalised_format

RED, GREEN, BLUE = 200, 100, 40


@given(height=st.integers(1, 6), width=st.integers(1, 6), padding=st.integers(0, 3), seed=st.integers(0, 99))
def test_rows_may_be_padded(height: int, width: int, padding: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    padded = np.pad(pixels, ((0, 0), (0, padding)))
    assert (normalise("Mono8", padded.ravel(), height, width) == pixels).all()


@pytest.mark.parametrize(
    ("camera_format", "pixel"),
    [
        ("RGB8", [RED, GREEN, BLUE]),
        ("BGR8", [BLUE, GREEN, RED]),
        ("RGBa8", [RED, GREEN, BLUE, 255]),
        ("BGRa8", [BLUE, GREEN, RED, 255]),
    ],
)
def test_colours_come_out_as_rgb(camera_format: str, pixel: list[int]) -> None:
    data = np.tile(np.array(pixel, np.uint8), 2 * 3)
    assert (normalise(camera_format, data, 2, 3) == [RED, GREEN, BLUE]).all()


@pytest.mark.parametrize("pattern", ["RG", "GR", "GB", "BG"])
def test_a_flat_colour_survives_its_bayer_pattern(pattern: str) -> None:
    # The PFNC name is the first two pixels of the first row; the second row holds the other green and the colour left.
    grey = {"R": RED, "G": GREEN, "B": BLUE}
    second = {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[pattern]
    tile = np.array([[grey[name] for name in pattern], [grey[name] for name in second]], np.uint8)
    rgb = normalise(f"Bayer{pattern}8", np.tile(tile, (4, 4)).ravel(), 8, 8)
    assert (rgb == [RED, GREEN, BLUE]).all()


@pytest.mark.parametrize("camera_format", SUPPORTED)
def test_the_shape_is_that_of_the_announced_format(camera_format: str) -> None:
    channels = 4 if "a8" in camera_format else 1 if camera_format.startswith(("Mono", "Bayer")) else 3
    pixels = normalise(camera_format, np.zeros(8 * 6 * channels, np.uint8), 8, 6)
    assert pixels.shape == ((8, 6) if normalised_format(camera_format) == "Mono8" else (8, 6, 3))


def test_too_few_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="only 10 bytes"):
        normalise("RGB8", np.zeros(10, np.uint8), 1, 4)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(KeyError):
        normalise("Mono12p", np.zeros(12, np.uint8), 2, 4)
