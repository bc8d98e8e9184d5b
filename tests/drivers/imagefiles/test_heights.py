"""Heights in files: exact, with what they mean, and nothing else taken for them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.camera.images import read_height_map
from drivers.camera.protocol import CameraUnreadable
from drivers.camera.settings import DepthSettings
from drivers.imagefiles.header import ImageUnreadable
from drivers.imagefiles.heights import KEYWORD, decode_heights, encode_heights, read_heights
from drivers.imagefiles.png_text import text_in, with_text

VALUES = np.random.default_rng(4).integers(0, 65536, (20, 31), np.uint16)
DEPTH = DepthSettings(range_mm=1.0, slope_range_mm=0.1)


def bare(values: np.ndarray = VALUES) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


@pytest.mark.parametrize("invalid", [None, 0, 65535])
def test_heights_come_back_exactly_with_what_they_mean(tmp_path: Path, invalid: int | None) -> None:
    file = tmp_path / "part.png"
    file.write_bytes(encode_heights(VALUES, 0.0125, -3.5, invalid))
    found = read_heights(file)
    np.testing.assert_array_equal(found.values, VALUES)
    assert (found.scale_mm, found.offset_mm, found.invalid) == (0.0125, -3.5, invalid)
    # Any other program reads the same values.
    np.testing.assert_array_equal(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), VALUES)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bare(VALUES.astype(np.uint8)), "8 bit, grey; heights are grey images of 16 bit"),
        (bare(np.dstack([VALUES] * 3)), "16 bit, 3 channels"),
        (bare()[:-30], "cut off"),
        (with_text(bare(), KEYWORD, "{}"), "does not say what its values mean"),
        (with_text(bare(), KEYWORD, json.dumps({"scale_mm": 0, "offset_mm": 0, "invalid": 0})), "does not say"),
        (with_text(bare(), KEYWORD, json.dumps({"scale_mm": 1, "offset_mm": 0, "invalid": -1})), "does not say"),
    ],
)
def test_what_is_no_height_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImageUnreadable, match=said):
        decode_heights(data)


def test_a_file_that_does_not_say_its_scale_takes_that_of_the_camera(tmp_path: Path) -> None:
    file = tmp_path / "part.png"
    file.write_bytes(bare())
    with pytest.raises(CameraUnreadable, match="set `scale_mm`"):
        read_height_map(file, DEPTH)
    found = read_height_map(
        file, DepthSettings(range_mm=1, slope_range_mm=1, scale_mm=0.5, offset_mm=2, invalid_value=7)
    )
    assert (found.scale_mm, found.offset_mm, found.invalid) == (0.5, 2.0, 7)


def test_a_file_that_says_another_scale_than_the_configuration_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "part.png"
    file.write_bytes(encode_heights(VALUES, 0.01, 0.0, 0))
    assert read_height_map(file, DepthSettings(range_mm=1, slope_range_mm=1, scale_mm=0.01)).scale_mm == 0.01
    with pytest.raises(CameraUnreadable, match=r"scale_mm 0\.01, the section `depth` of the camera says 0\.02"):
        read_height_map(file, DepthSettings(range_mm=1, slope_range_mm=1, scale_mm=0.02))


def test_text_in_a_png_is_found_again_and_does_no_harm() -> None:
    marked = with_text(with_text(bare(), "one", "a = 1"), "other", "b")
    assert (text_in(marked, "one"), text_in(marked, "other"), text_in(marked, "third")) == ("a = 1", "b", "")
    assert text_in(b"no PNG", "one") == ""
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(marked, np.uint8), cv2.IMREAD_UNCHANGED), VALUES)
    for keyword, text in (("", "a"), ("k" * 80, "a"), ("k", "a\0b")):
        with pytest.raises(ValueError, match="79 letters"):
            with_text(bare(), keyword, text)
