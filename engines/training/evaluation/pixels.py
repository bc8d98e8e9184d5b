"""Anomaly maps and masks brought to the same pixels: those of the image as it was taken, at most 256 to a side."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import DatasetError
from engines.location.pose import TurnedPlacement
from engines.preprocess import Placement
from engines.training.evaluation.layouts import Sample
from engines.training.images.dataset import ImageFile, read_image

MAX_SIDE_PX = 256


def evaluation_size(file: ImageFile) -> tuple[int, int]:
    """(width, height) at which the pixels of this image are compared, px."""
    scale = min(1.0, MAX_SIDE_PX / max(file.width, file.height))
    return max(1, round(file.width * scale)), max(1, round(file.height * scale))


def map_on_image(
    anomaly_map: NDArray[np.float32], placement: Placement | TurnedPlacement, size: tuple[int, int]
) -> NDArray[np.float32]:
    """A map over the model input as a map over the image, (width, height) = `size`, bilinear."""
    return np.asarray(cv2.resize(placement.cut(anomaly_map), size, interpolation=cv2.INTER_LINEAR), np.float32)


def read_mask(sample: Sample, file: ImageFile) -> NDArray[np.bool_] | None:
    """True on the defect, at `evaluation_size`; all False for a good image, None when it is not known where it is.

    A pixel that holds any part of the defect belongs to it, so that fine scratches do not vanish.

    Raises:
        DatasetError: the mask cannot be read or has another aspect than its image.
    """
    size = evaluation_size(file)
    if not sample.defect:
        return np.zeros(size[::-1], np.bool_)
    if sample.mask is None:
        return None
    mask = read_image(sample.mask)
    if mask.ndim == 3:
        mask = mask.max(axis=2)
    if abs(mask.shape[1] * file.height - mask.shape[0] * file.width) > max(file.width, file.height):
        raise DatasetError(
            f'mask "{sample.mask}" is {mask.shape[1]}x{mask.shape[0]}, its image "{sample.path.name}" is '
            f"{file.width}x{file.height}: their aspects must be the same"
        )
    if not mask.any():
        return None
    covered = cv2.resize((mask > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(covered > 0, np.bool_)
