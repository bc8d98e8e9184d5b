"""How loose parts lie, and the settings of a `BlobLocation` that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from engines.bundle.location_spec import BlobLocation
from engines.location.blob import Blob, Contrast
from engines.training.images.dataset import ImageFile

VARYING_POSITION = 0.03
"""Standard deviation of the centre, share of the image's longer side: half a cell of a typical map."""
VARYING_AXIS_DEG = 6.0
VARYING_SIZE = 0.06
"""Standard deviation of the log of the size."""
MIN_ELONGATION = 1.25
"""What is rounder has no axis to speak of."""
TURN_AXIS_DEG = 3.0
"""Parts that vary less are cropped but not turned."""

MIN_CONTRAST = 8.0
CONTRAST_IN_NOISE = 6.0
CONTRAST_IN_OTSU = 0.5
"""Otsu's threshold lies between the background and the mean of the part; fainter places of the part count, too."""
AREA_TOLERANCE = 2.0
"""A part may be this much smaller or larger than the taught ones."""
RELIABLE = {"shape": 0.05, "brightness": 0.1}
"""Least median of |skewness| and |correlation| that distinguishes the ends of a part."""

HEADS = {
    "shape": "the thicker end to the left",
    "brightness": "the brighter end to the left",
    "none": "either end may be left",
}


@dataclass(frozen=True)
class Spread:
    """How differently parts lie."""

    position: float
    """Standard deviation of the centre along the worse axis, share of the image's longer side."""
    axis_deg: float
    """Circular standard deviation of the axis, at most 52 degrees, which is any direction."""
    size: float
    """Standard deviation of the log of the size."""
    elongation: float
    """Median."""

    @property
    def has_axis(self) -> bool:
        """False for round parts, whose axis is noise."""
        return self.elongation >= MIN_ELONGATION

    @property
    def varies(self) -> bool:
        """Too much for a model that learns what belongs where in the image."""
        turned = self.has_axis and self.axis_deg > VARYING_AXIS_DEG
        return turned or self.position > VARYING_POSITION or self.size > VARYING_SIZE

    def __str__(self) -> str:
        axis = f", axis {self.axis_deg:.0f} degrees" if self.has_axis else ""
        return f"position {self.position:.1%} of the image{axis}, size {self.size:.1%}"


def spread_of(blobs: Sequence[Blob], files: Sequence[ImageFile]) -> Spread:
    """How the parts `blobs` lie in the images `files`."""
    longer = np.array([max(file.width, file.height) for file in files])
    centres = np.array([(blob.x, blob.y) for blob in blobs]) / longer[:, np.newaxis]
    # An axis has no direction: 0 and 180 degrees are the same, so twice the angle is averaged (Mardia and Jupp 2000).
    doubled = np.radians([2 * blob.axis_deg for blob in blobs])
    resultant = max(float(np.abs(np.exp(1j * doubled).mean())), math.exp(-0.5 * math.radians(104) ** 2))
    return Spread(
        position=float(centres.std(axis=0).max()),
        axis_deg=math.degrees(math.sqrt(max(0.0, -2 * math.log(min(1.0, resultant)))) / 2),
        size=float(np.log([blob.area_share for blob in blobs]).std() / 2),
        elongation=float(np.median([blob.elongation for blob in blobs])),
    )


def choose_contrast(contrasts: Iterable[Contrast]) -> float:
    """Grey levels from the background that are well above its noise and below most of the part."""
    noises, otsus = [], []
    for contrast in contrasts:
        levels = np.asarray(np.clip(contrast.distance, 0, 255), np.uint8)
        otsu, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        noises.append(contrast.noise)
        otsus.append(otsu)
    found = max(MIN_CONTRAST, CONTRAST_IN_NOISE * float(np.median(noises)), CONTRAST_IN_OTSU * float(np.median(otsus)))
    return round(min(255.0, found), 1)


def choose_blob(blobs: Sequence[Blob], spread: Spread, contrast: float) -> BlobLocation:
    """The settings that fit these parts."""
    areas = [blob.area_share for blob in blobs]
    turn = spread.has_axis and spread.axis_deg > TURN_AXIS_DEG
    return BlobLocation(
        contrast=contrast,
        min_area_share=round(float(np.quantile(areas, 0.05)) / AREA_TOLERANCE, 6),
        max_area_share=round(min(0.99, float(np.quantile(areas, 0.95)) * AREA_TOLERANCE), 6),
        turn=turn,
        head=_choose_head(blobs) if turn else "none",
    )


def describe_blob(spec: BlobLocation, spread: Spread) -> str:
    """In words."""
    turned = f"turned to its axis ({HEADS[spec.head]})" if spec.turn else "not turned"
    return f"part segmented from the background, {turned} and cropped; it varies in {spread}"


def _choose_head(blobs: Sequence[Blob]) -> Literal["shape", "brightness", "none"]:
    """What distinguishes the ends in nearly every image: a value that is large against its own spread."""
    if _is_reliable([blob.skewness for blob in blobs], RELIABLE["shape"]):
        return "shape"
    if _is_reliable([blob.brightness for blob in blobs], RELIABLE["brightness"]):
        return "brightness"
    return "none"


def _is_reliable(values: Sequence[float], least: float) -> bool:
    low, median = np.quantile(np.abs(values), (0.05, 0.5))
    return bool(median >= least and low >= median / 3)
