"""Masks beside labelled images: found, checked, and brought to the cells of the map as the image is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.bundle.manifest import InputSpec
from engines.errors import DatasetError
from engines.location.location import WHOLE_IMAGE
from engines.training.images.dataset import inspect_image, open_dataset
from engines.training.known_defects.masks import DefectCells, mask_of, read_masks
from tests.bench.engines.pictures import ring, write_rings

SPEC = InputSpec(width=64, height=64)
MAP = (4, 4)


def cells_of(folder: Path, mask: np.ndarray | None) -> DefectCells:
    image = folder / "bad.png"
    cv2.imwrite(str(image), ring(1, size=128))
    if mask is not None:
        cv2.imwrite(str(mask_of(image)), mask)
    return read_masks({5: inspect_image(image)}, SPEC, WHOLE_IMAGE, MAP)


def test_cells_under_the_mask_show_the_defect(tmp_path: Path) -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[32:64, 64:128] = 255
    found = cells_of(tmp_path, mask)
    expected = np.zeros(MAP, bool)
    expected[1, 2:] = True
    assert np.array_equal(found[5], expected)


def test_a_defect_smaller_than_a_cell_has_one(tmp_path: Path) -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[100:102, 10:12] = 1
    assert np.argwhere(cells_of(tmp_path, mask)[5]).tolist() == [[3, 0]]


@pytest.mark.parametrize("mask", [None, np.zeros((128, 128), np.uint8)])
def test_without_a_mask_or_with_an_empty_one_nothing_is_known(tmp_path: Path, mask: np.ndarray | None) -> None:
    assert cells_of(tmp_path, mask) == {}


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r'bad_mask.png" is 64x128 px, its image "bad.png" 128x128'):
        cells_of(tmp_path, np.zeros((128, 64), np.uint8))


def test_a_mask_is_no_image_to_learn_from(tmp_path: Path) -> None:
    write_rings(tmp_path, 20)
    cv2.imwrite(str(tmp_path / "003_mask.png"), np.zeros((8, 8), np.uint8))
    cv2.imwrite(str(tmp_path / "the_mask.png"), ring(50))  # of nothing: an image with that name
    names = [file.path.name for file in open_dataset(tmp_path).files]
    assert "003_mask.png" not in names
    assert len(names) == 21
