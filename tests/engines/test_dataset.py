"""Which images are taken and what is said about those that cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.training.dataset import choose_input, open_dataset, read_image
from engines.training.errors import DatasetError
from tests.engines.pictures import ring, write_rings


def test_mvtec_layout_takes_only_the_good(tmp_path: Path) -> None:
    write_rings(tmp_path / "train" / "good", 21)
    write_rings(tmp_path / "test" / "scratch", 3, scratch=True)
    dataset = open_dataset(tmp_path)
    assert dataset.folder == tmp_path / "train" / "good"
    assert len(dataset.files) == 21
    assert not dataset.files[0].grey


def test_plain_folder_ignores_what_is_no_image(tmp_path: Path) -> None:
    write_rings(tmp_path, 20, colour=False)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_text("x")
    dataset = open_dataset(tmp_path)
    assert len(dataset.files) == 20
    assert dataset.files[0].grey


def test_the_hash_depends_on_the_content(tmp_path: Path) -> None:
    write_rings(tmp_path, 20)
    before = open_dataset(tmp_path).sha256
    assert open_dataset(tmp_path).sha256 == before
    cv2.imwrite(str(tmp_path / "000.png"), ring(99))
    assert open_dataset(tmp_path).sha256 != before


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none.*No such file or directory; expected a folder of images"):
        open_dataset(tmp_path / "none")


def test_too_few(tmp_path: Path) -> None:
    write_rings(tmp_path, 19)
    with pytest.raises(DatasetError, match=r"has 19 images .* at least 20"):
        open_dataset(tmp_path)


def test_the_same_image_again_and_again(tmp_path: Path) -> None:
    write_rings(tmp_path, 1)
    for index in range(1, 30):
        shutil.copy(tmp_path / "000.png", tmp_path / f"{index:03}.png")
    with pytest.raises(DatasetError, match="only 1 of the 30 images"):
        open_dataset(tmp_path)


def test_all_bad_files_are_named_at_once(tmp_path: Path) -> None:
    write_rings(tmp_path, 20)
    (tmp_path / "a.png").write_bytes(b"not an image")
    (tmp_path / "b.png").touch()
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((8, 8), np.uint16))
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    message = str(caught.value)
    for part in ("3 of 23 images", "a.png: cannot be decoded", "b.png: cannot", "c.png: 16 bit", "allowed: 8 bit"):
        assert part in message


def test_transparency_is_dropped_and_colours_are_rgb(tmp_path: Path) -> None:
    bgra = np.zeros((4, 4, 4), np.uint8)
    bgra[:, :, 2] = 255
    cv2.imwrite(str(tmp_path / "red.png"), bgra)
    assert (read_image(tmp_path / "red.png") == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("sizes", "width", "height"),
    [
        ([(448, 448)], 320, 320),
        ([(250, 630)], 288, 704),
        ([(630, 250)], 704, 288),
        ([(2448, 2048)], 384, 320),
        ([(4000, 100)], 2848, 96),
        ([(50, 50), (900, 90), (100, 100)], 320, 320),
    ],
)
def test_input_follows_the_median_aspect(sizes: list[tuple[int, int]], width: int, height: int) -> None:
    spec = choose_input(sizes)
    assert (spec.width, spec.height) == (width, height)
