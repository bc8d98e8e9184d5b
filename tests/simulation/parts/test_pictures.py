"""Folders of pictures: what is refused, and how pictures of many sizes come onto one sensor."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.simulation.parts.pictures import MAX_SIDE_PX, Canvas, ImageFolderError, open_folder, read_image


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def make_folder(root: Path, *, good: int = 20, shape: tuple[int, ...] = (80, 120)) -> Path:
    for index in range(good):
        write(root / "train" / "good" / f"{index:03d}.png", np.full(shape, 90 + index, np.uint8))
    write(root / "test" / "good" / "a.png", np.full(shape, 100, np.uint8))
    write(root / "test" / "crack" / "b.png", np.full(shape, 10, np.uint8))
    return root


def test_folder_is_read_with_its_truth(tmp_path: Path) -> None:
    parts = open_folder(make_folder(tmp_path))
    assert [(image.path.name, image.truth) for image in parts.test] == [("b.png", "crack"), ("a.png", "good")]
    assert len(parts.training) == 20
    assert parts.canvas == Canvas(120, 80, 1)
    assert "all 22 images have this size" in parts.fitted


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageFolderError, match="no such folder"):
        open_folder(tmp_path / "nowhere")


def test_too_few_good_images(tmp_path: Path) -> None:
    with pytest.raises(ImageFolderError, match="19 good images; an engine needs at least 20"):
        open_folder(make_folder(tmp_path, good=19))


def test_no_test_images(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    for file in (folder / "test").rglob("*.png"):
        file.unlink()
    with pytest.raises(ImageFolderError, match="no images to inspect"):
        open_folder(folder)


@pytest.mark.parametrize("content", [b"", b"not an image at all"])
def test_file_that_cannot_be_decoded_is_named(tmp_path: Path, content: bytes) -> None:
    folder = make_folder(tmp_path)
    (folder / "test" / "crack" / "b.png").write_bytes(content)
    with pytest.raises(ImageFolderError, match=r"crack/b\.png: cannot be decoded"):
        open_folder(folder)


def test_sixteen_bit_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "deep.png", np.full((10, 10), 4000, np.uint16))
    with pytest.raises(ImageFolderError, match=r"16 bit per channel \(uint16\)"):
        read_image(tmp_path / "deep.png")


def test_alpha_is_dropped(tmp_path: Path) -> None:
    write(tmp_path / "alpha.png", np.zeros((10, 10, 4), np.uint8))
    assert read_image(tmp_path / "alpha.png").shape == (10, 10, 3)


def test_colour_is_rgb(tmp_path: Path) -> None:
    write(tmp_path / "blue.png", np.full((4, 4, 3), (255, 0, 0), np.uint8))
    assert read_image(tmp_path / "blue.png")[0, 0].tolist() == [0, 0, 255]


def test_one_coloured_image_makes_the_sensor_rgb_and_it_says_so(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    write(folder / "test" / "good" / "c.png", np.full((80, 120, 3), 9, np.uint8))
    parts = open_folder(folder)
    assert parts.canvas.channels == 3
    assert "22 grey images are shown as RGB" in parts.fitted
    assert parts.pixels(parts.test[0]).shape == (80, 120, 3)


def test_sensor_is_bounded(tmp_path: Path) -> None:
    canvas = open_folder(make_folder(tmp_path, shape=(500, 2500))).canvas
    assert canvas.width_px == MAX_SIDE_PX
    assert canvas.height_px == pytest.approx(MAX_SIDE_PX / 5, abs=4)


def test_scattered_sizes_give_their_median_and_are_described(tmp_path: Path) -> None:
    for index, width in enumerate(range(100, 180, 4)):
        write(tmp_path / "train" / "good" / f"{index}.png", np.zeros((200, width), np.uint8))
    write(tmp_path / "test" / "good" / "a.png", np.zeros((200, 140), np.uint8))
    parts = open_folder(tmp_path)
    assert (parts.canvas.width_px, parts.canvas.height_px) == (140, 200)
    assert "19 of 21 images have another size" in parts.fitted
    assert "scaled by" in parts.fitted


@given(
    width=st.integers(20, 400),
    height=st.integers(20, 400),
    canvas=st.builds(Canvas, st.integers(64, 300), st.integers(64, 300), st.sampled_from([1, 3])),
)
def test_fitted_picture_fills_the_sensor_and_keeps_its_aspect(width: int, height: int, canvas: Canvas) -> None:
    ramp = np.linspace(0, 255, width, dtype=np.uint8)[None, :].repeat(height, axis=0)
    fitted = canvas.fit(ramp)
    assert fitted.shape == canvas.shape
    share = canvas.share_filled(width, height)
    assert -0.02 <= share < 1
    scale = canvas.scale(width, height)
    inner_width = round(width * scale)
    if scale < 1 and canvas.width_px - inner_width > 4:  # mirrored at left and right: symmetric about its own border
        row = (fitted if fitted.ndim == 2 else fitted[..., 0])[canvas.height_px // 2].astype(int)
        left = (canvas.width_px - inner_width) // 2
        assert abs(row[left - 1] - row[left + 1]) <= 1
