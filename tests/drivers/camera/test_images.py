"""Image files are read as Mono8 or RGB8, or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.camera.images import image_files, read_image, write_png
from drivers.camera.protocol import CameraUnreadable

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["Mono8", "RGB8"])
def test_a_written_image_reads_back(tmp_path: Path, pixels: np.ndarray) -> None:
    write_png(tmp_path / "a.png", pixels)
    read = read_image(tmp_path / "a.png")
    assert read.dtype == np.uint8
    assert (read == pixels).all()


def test_alpha_is_dropped(tmp_path: Path) -> None:
    bgra = np.dstack([COLOUR[..., ::-1], np.full((3, 4), 7, np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), bgra)
    assert (read_image(tmp_path / "a.png") == COLOUR).all()


def test_a_depth_of_16_bit_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), GREY.astype(np.uint16) * 256)
    with pytest.raises(CameraUnreadable, match=r'deep\.png" 16 bit per channel \(uint16\); only 8 bit'):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken"])
def test_what_cannot_be_decoded_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(CameraUnreadable, match=r'bad\.png" cannot be decoded'):
        read_image(tmp_path / "bad.png")


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraUnreadable, match="cannot be read"):
        read_image(tmp_path / "none.png")


def test_images_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "note.txt", "c.bmp"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in image_files(tmp_path)] == ["a.JPG", "b.png", "c.bmp"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraUnreadable, match="holds no image"):
        image_files(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraUnreadable, match="cannot be read"):
        image_files(tmp_path / "none")
