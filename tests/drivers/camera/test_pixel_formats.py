"""Every supported pixel format becomes Mono8 or RGB8."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from drivers.camera.pixel_formats import SUPPORTED, bits_per_value, normalise, normalised_format, row_bytes

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
    pixels = normalise(camera_format, np.zeros(8 * row_bytes(camera_format, 12), np.uint8), 8, 12)
    assert pixels.shape == ((8, 12) if normalised_format(camera_format) == "Mono8" else (8, 12, 3))


# ---- more than 8 bit --------------------------------------------------------------------------------------------


def packed(camera_format: str, values: list[list[int]], padding: int) -> NDArray[np.uint8]:
    """The rows of values in a format, as the PFNC has it: bit by bit, with numbers that have no end."""
    rows = b""
    for row in values:
        if camera_format.endswith("Packed"):
            low_bits = bits_per_value(camera_format) - 8
            for first, second in zip(row[::2], row[1::2], strict=True):
                middle = first % (1 << low_bits) | second % (1 << low_bits) << 4
                rows += bytes((first >> low_bits, middle, second >> low_bits))
        else:
            step = bits_per_value(camera_format) if camera_format.endswith("p") else 16
            whole = sum(value << step * place for place, value in enumerate(row))
            rows += whole.to_bytes(step * len(row) // 8, "little")
        rows += b"\xa5" * padding
    return np.frombuffer(rows, np.uint8)


@given(
    camera_format=st.sampled_from([name for name in SUPPORTED if name.startswith("Mono") and name != "Mono8"]),
    height=st.integers(1, 5),
    groups=st.integers(1, 4),
    padding=st.integers(0, 5),
    data=st.data(),
)
def test_the_highest_8_of_the_significant_bits_are_the_pixel(
    camera_format: str, height: int, groups: int, padding: int, data: st.DataObject
) -> None:
    bits = bits_per_value(camera_format)
    row = st.lists(st.integers(0, (1 << bits) - 1), min_size=4 * groups, max_size=4 * groups)
    values = data.draw(st.lists(row, min_size=height, max_size=height))
    raw = packed(camera_format, values, padding)
    significant = data.draw(st.none() | st.integers(8, bits))
    pixels = normalise(camera_format, raw, height, 4 * groups, significant)
    assert pixels.tolist() == [[min(255, value >> ((significant or bits) - 8)) for value in row] for row in values]


@pytest.mark.parametrize("pattern", ["RG", "GR", "GB", "BG"])
@pytest.mark.parametrize("depth", ["10", "10p", "10Packed", "12", "12p", "12Packed", "16"])
def test_a_bayer_pattern_is_narrowed_and_becomes_colour(pattern: str, depth: str) -> None:
    name = f"Bayer{pattern}{depth}"
    narrow = np.random.default_rng(3).integers(0, 256, (8, 8), np.uint8)
    values = (narrow.astype(int) << (bits_per_value(name) - 8)) + 1
    deep = normalise(name, packed(name, values.tolist(), 0), 8, 8)
    assert (deep == normalise(f"Bayer{pattern}8", narrow.ravel(), 8, 8)).all()


def test_bits_above_those_of_the_format_are_no_dark_pixel() -> None:
    """A camera that puts its 12 bit into the upper ones of the word: bright, and never by chance as it should be."""
    assert normalise("Mono12", np.array([0x00, 0x80], np.uint8), 1, 1).tolist() == [[255]]


@pytest.mark.parametrize(
    ("camera_format", "width", "step"), [("Mono10p", 6, 4), ("Mono12p", 7, 2), ("Mono10Packed", 3, 2)]
)
def test_a_row_that_ends_within_a_byte_is_refused(camera_format: str, width: int, step: int) -> None:
    with pytest.raises(ValueError, match=f"multiple of {step}"):
        normalise(camera_format, np.zeros(1000, np.uint8), 10, width)


def test_too_few_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="only 10 bytes"):
        normalise("RGB8", np.zeros(10, np.uint8), 1, 4)
    with pytest.raises(ValueError, match="only 10 bytes"):
        normalise("Mono12p", np.zeros(10, np.uint8), 1, 8)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(KeyError):
        normalise("Mono4p", np.zeros(12, np.uint8), 2, 4)
