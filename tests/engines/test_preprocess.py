"""Fitting images to the model and maps back to images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.manifest import InputSpec
from engines.preprocess import describe, fit, place

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


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ([(448, 448)], "images 448x448 (width x height): scaled to fit 320x320 at their own aspect"),
        (
            [(120, 340), (600, 320)],
            "images 120x320..600x340 (width x height): scaled to fit 320x320 at their own aspect, "
            "rest filled with the reflected border",
        ),
    ],
)
def test_description(sizes: list[tuple[int, int]], text: str) -> None:
    assert describe(sizes, InputSpec(width=320, height=320)) == text
