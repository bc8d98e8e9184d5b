"""Where a labelled image shows its defect: in `NAME_mask.png` beside `NAME.png` (or `.jpg` and so on).

The mask has the size of its image and is above zero on the defect, as data sets for inspection have it. It is brought
to the model's input as the image is, so a part that has to be found first keeps its defect where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec
from engines.errors import DatasetError
from engines.location.location import Location
from engines.location.pose import turned_placement
from engines.preprocess import fit
from engines.training.images.dataset import MASK_ENDING, ImageFile, read_image

MIN_COVERED = 0.05
"""Of a cell: with less of a defect it looks like a good one. The fullest cell of a small defect always counts."""

DefectCells = Mapping[int, NDArray[np.bool_]]
"""Position of an image -> (map_height, map_width), True where it shows its defect; without a mask it is not here."""


def read_masks(
    files: Mapping[int, ImageFile], spec: InputSpec, location: Location, map_size: tuple[int, int]
) -> DefectCells:
    """The cells of all images of `files` (by position) that have a mask with a defect in it.

    Raises:
        DatasetError: a mask cannot be read or has another size than its image.
    """
    found = {}
    for position, file in files.items():
        mask = mask_of(file.path)
        if mask.is_file():
            cells = _cells(_read(mask, file), file, spec, location, map_size)
            if cells.any():
                found[position] = cells
    return found


def mask_of(image: Path) -> Path:
    """Where the mask of an image lies, if it has one."""
    return image.with_name(f"{image.stem}{MASK_ENDING}.png")


def _read(mask: Path, image: ImageFile) -> NDArray[np.uint8]:
    pixels = read_image(mask)
    if pixels.shape[:2] != (image.height, image.width):
        raise DatasetError(
            f'mask "{mask}" is {pixels.shape[1]}x{pixels.shape[0]} px, its image "{image.path.name}" '
            f"{image.width}x{image.height}: they must be the same; draw it again or remove it"
        )
    covered = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    return np.asarray(255 * (covered > 0), np.uint8)


def _cells(
    mask: NDArray[np.uint8], file: ImageFile, spec: InputSpec, location: Location, map_size: tuple[int, int]
) -> NDArray[np.bool_]:
    image = read_image(file.path)
    pose = location.locate(image)
    pixels = fit(mask, spec).pixels[..., 0] if pose is None else turned_placement(image, pose, spec).warp(mask)
    share = cv2.resize(pixels.astype(np.float32) / 255, map_size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray((share >= min(MIN_COVERED, float(share.max()))) & (share > 0))
