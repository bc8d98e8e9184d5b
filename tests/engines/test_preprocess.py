"""Fitting images to the model and maps back to images."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec
from engines.errors import ImageError
from engines.preprocess import ResizeStep, describe, fit, place, prepare, resize_steps

sides = st.integers(1, 400)
inputs = st.builds(InputSpec, width=st.integers(16, 256), height=st.integers(16, 256))


@given(width=sides, height=sides, spec=inputs, grey=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_size_gives_the_input_size(width: int, height: int, spec: InputSpec, grey: bool) -> None:
    shape = (height, width) if grey else (height, width, 3)
    fitted = fit(np.full(shape, 77, np.uint8), spec)
    assert fitted.pixels.shape == (spec.height, spec.width, 3)
    assert fitted.pixels.flags.c_contiguous
    assert (fitted.pixels == 77).all()  # the border is reflected, not filled


@given(width=sides, height=sides, spec=inputs)
def test_aspect_is_kept_and_one_side_is_filled(width: int, height: int, spec: InputSpec) -> None:
    placement = place(width, height, spec)
    scale = min(spec.width / width, spec.height / height)
    assert abs(placement.width - width * scale) <= 0.5 or placement.width == 1
    assert abs(placement.height - height * scale) <= 0.5 or placement.height == 1
    assert placement.width == spec.width or placement.height == spec.height
    assert 0 <= placement.x <= spec.width - placement.width
    assert 0 <= placement.y <= spec.height - placement.height


def test_an_image_of_the_input_size_is_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    fitted = fit(image, InputSpec(width=64, height=32))
    assert (fitted.pixels == image).all()


def test_grey_becomes_three_equal_channels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 64), np.uint8)
    fitted = fit(image, InputSpec(width=64, height=32))
    assert (fitted.pixels == image[:, :, np.newaxis]).all()


@given(
    width=st.integers(60, 400),
    height=st.integers(60, 400),
    across=st.floats(0.1, 0.9),
    down=st.floats(0.1, 0.9),
)
@settings(max_examples=100, deadline=None)
def test_a_spot_comes_back_where_it_was(width: int, height: int, across: float, down: float) -> None:
    """Fit, take the grey of 8 px cells as the map, cut, and look where it is hottest, relative to the image."""
    spec = InputSpec(width=256, height=192)
    image = np.zeros((height, width), np.uint8)
    radius = max(2, min(width, height) // 16)
    x, y = int(across * width), int(down * height)
    image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = 255
    fitted = fit(image, spec)
    cells = fitted.pixels[:, :, 0].reshape(24, 8, 32, 8).mean(axis=(1, 3)).astype(np.float32)
    cut = fitted.placement.cut(cells)
    weights = cut / cut.sum()
    rows, columns = cut.shape
    found_x = float((weights.sum(axis=0) * (np.arange(columns) + 0.5)).sum()) / columns * width
    found_y = float((weights.sum(axis=1) * (np.arange(rows) + 0.5)).sum()) / rows * height
    cell_px = 8 * max(width / 256, height / 192)  # of the image
    assert abs(found_x - (x + 0.5)) <= 0.6 * cell_px + 1
    assert abs(found_y - (y + 0.5)) <= 0.6 * cell_px + 1


def test_padding_never_reaches_the_map() -> None:
    placement = place(64, 128, InputSpec(width=128, height=128))
    anomaly_map = np.full((16, 16), 9.0, np.float32)
    anomaly_map[:, 4:12] = 1.0  # the image; left and right of it is padding
    cut = placement.cut(anomaly_map)
    assert cut.shape == (16, 8)
    assert (cut == 1.0).all()


def test_stretching_uses_the_whole_input_and_the_whole_map() -> None:
    spec = InputSpec(width=64, height=32, fit="stretch")
    image = np.zeros((200, 50), np.uint8)
    image[:, 25:] = 200  # the right half
    fitted = fit(image, spec)
    assert fitted.pixels.shape == (32, 64, 3)
    assert (fitted.pixels[:, :30] == 0).all()
    assert (fitted.pixels[:, 34:] == 200).all()
    anomaly_map = np.arange(32, dtype=np.float32).reshape(4, 8)
    assert (fitted.frame_map(anomaly_map) == anomaly_map).all()


@pytest.mark.parametrize("shape", [(70, 70), (97, 128), (333, 500), (64, 64), (1000, 1100), (31, 40)])
def test_scaling_keeps_the_brightness(shape: tuple[int, int]) -> None:
    """Fine texture is averaged: it neither vanishes nor beats with the pixels of the input."""
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    pixels = fit(image, InputSpec(width=64, height=64, fit="stretch")).pixels
    assert pixels.mean() == pytest.approx(image.mean(), abs=2.5)
    if min(shape) >= 5 * 64:
        assert pixels.std() < 0.45 * image.std()


@pytest.mark.parametrize("side", [96, 112, 120])
def test_the_last_step_averages(side: int) -> None:
    """The finest stripes become grey; interpolation alone picks some of them: they beat with the input's pixels."""
    stripes = np.zeros((side, side), np.uint8)
    stripes[:, ::2] = 255
    pixels = fit(stripes, InputSpec(width=64, height=64)).pixels[:, :, 0]
    averaged = cv2.resize(stripes, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - averaged.astype(int)).mean() < 16
    *_, last = resize_steps(side, side, 64, 64)
    assert last == ResizeStep(True, 64, 64)  # what another device does must not depend on how OpenCV halves


@pytest.mark.parametrize("shape", [(129, 256), (256, 257), (301, 515)])
def test_an_odd_row_or_column_is_doubled_before_it_is_halved(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    spec = InputSpec(width=64, height=64, fit="stretch")
    doubled = np.pad(image, ((0, shape[0] % 2), (0, shape[1] % 2)), "edge")
    assert (fit(image, spec).pixels == fit(doubled, spec).pixels).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint16),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_image_is_refused(image: NDArray[Any]) -> None:
    spec = InputSpec(width=64, height=64)
    with pytest.raises(ImageError, match=r"an engine takes uint8 \(height, width\) grey or"):
        fit(image, spec)
    with pytest.raises(ImageError, match="image of shape"):
        prepare(image, spec)


@pytest.mark.parametrize(
    ("sizes", "spec", "text"),
    [
        (
            [(448, 448)],
            InputSpec(width=320, height=320),
            "images 448x448 (width x height): scaled at their own aspect to fit 320x320",
        ),
        (
            [(120, 340), (600, 320)],
            InputSpec(width=320, height=320),
            "images 120x320..600x340 (width x height): scaled at their own aspect to fit 320x320, "
            "rest filled with the reflected border",
        ),
        (
            [(120, 340), (600, 320)],
            InputSpec(width=256, height=320, fit="stretch"),
            "images 120x320..600x340 (width x height): stretched to 256x320",
        ),
    ],
)
def test_description(sizes: list[tuple[int, int]], spec: InputSpec, text: str) -> None:
    assert describe(sizes, spec) == text


def test_description_of_located_parts() -> None:
    assert describe([(100, 200)], InputSpec(width=256, height=320), located=True) == (
        "parts 100x200 (width x height): scaled at their own aspect to fit 256x320, "
        "rest filled with what surrounds the part"
    )
