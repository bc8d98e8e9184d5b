"""The bands of what good pictures look like, from the pictures that an engine learned.

Each limit is drawn as those of the scores are: an order statistic where there are enough pictures, a model of the tail
where there are not (`tail`), with the same confidence, and for as few independent pictures as there are. A band is no
narrower than a stated tolerance: pictures of one morning say nothing of how the lamp is in the evening.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle.picture_bands import EVERY_CAMERA, PictureBand, PictureBands, ValueBand
from engines.errors import PartNotLocated
from engines.location.location import Location
from engines.location.picture_values import picture_values, place_of
from engines.training.calibration.sample import CONFIDENCE
from engines.training.calibration.tail import effective_count, outlier_count, upper_limit
from engines.training.images.dataset import MIN_IMAGES, read_image

OUTSIDE_SHARE = 0.02
"""Of good pictures, outside of any band: a fifth of the usual review budget. Half of it would widen the band of 100
normal pictures from 4.1 to 5.3 standard deviations."""
MOST_IMAGES = 1000
"""Evenly spaced: each is decoded once more, and more of them move no limit by much."""
_CAMERA = re.compile(r"^\d[\d_-]*-(?P<camera>[^\d_-].*)$")
"""Of a file that the station wrote: numbers, and the camera."""


@dataclass(frozen=True)
class _Kind:
    """One value, the sides that are limited, and the least distance from the median to a limit."""

    low: bool
    high: bool
    relative: float = 0.0
    absolute: float = 0.0
    largest: float = 1.0
    """That the value can have."""


_KINDS = {
    "grey": _Kind(low=True, high=True, relative=0.05, largest=255.0),
    "saturated": _Kind(low=False, high=True, absolute=0.02),
    "sharpness": _Kind(low=True, high=False, relative=0.25, largest=math.inf),
    "place_x": _Kind(low=True, high=True, absolute=0.03),
    "place_y": _Kind(low=True, high=True, absolute=0.03, largest=math.inf),
    "size": _Kind(low=True, high=True, relative=0.05, largest=math.inf),
}
Values = Mapping[str, float]


def picture_bands(
    files: Sequence[Path], location: Location, on_progress: Callable[[int, int], None] = lambda _done, _total: None
) -> PictureBands:
    """The bands of the pictures `files`, in the order of capture: those that were learned, and no others.

    Raises DatasetError: one cannot be read any more.
    """
    files = [files[index] for index in np.linspace(0, len(files) - 1, min(len(files), MOST_IMAGES)).round().astype(int)]
    seen: dict[str, list[Values]] = defaultdict(list)
    for done, file in enumerate(files, start=1):
        values = values_of(read_image(file), location)
        seen[EVERY_CAMERA].append(values)
        if found := _CAMERA.match(file.stem):
            seen[found["camera"]].append(values)
        on_progress(done, len(files))
    return bands_of(seen)


def bands_of(seen: Mapping[str, Sequence[Values]]) -> PictureBands:
    """From the values of the pictures of each camera and of all together; cameras with too few have no own band."""
    enough = {camera: values for camera, values in seen.items() if len(values) >= MIN_IMAGES or camera == EVERY_CAMERA}
    if len(enough) <= 2:  # one camera is every camera
        enough = {EVERY_CAMERA: enough[EVERY_CAMERA]}
    cameras = {camera: _band(values) for camera, values in enough.items()}
    independent = min(band.independent for band in cameras.values())
    return PictureBands(
        cameras=cameras,
        outside_share=OUTSIDE_SHARE,
        confidence=CONFIDENCE,
        without_model=1 - (1 - CONFIDENCE) ** (1 / independent),
    )


def values_of(pixels: NDArray[np.uint8], location: Location) -> Values:
    """What the line measures of a picture; without a place where the part is not located."""
    seen = picture_values(pixels)
    values = {"grey": seen.mean_grey, "saturated": seen.saturated_share, "sharpness": seen.relative_sharpness}
    try:
        pose = location.locate(pixels)
    except PartNotLocated:  # by hand, as the line says so of such a part
        pose = None
    if pose is not None:
        place = place_of(pose.x, pose.y, pose.width, pose.height, pixels.shape[1])
        values.update(zip(("place_x", "place_y", "size"), place, strict=True))
    return values


def _band(values: Sequence[Values]) -> PictureBand:
    bands, independent = {}, float(len(values))
    columns = {name: np.array([one[name] for one in values if name in one]) for name in _KINDS}
    columns = {name: column for name, column in columns.items() if len(column) >= MIN_IMAGES}
    share = OUTSIDE_SHARE / sum(_KINDS[name].low + _KINDS[name].high for name in columns)
    for name, column in columns.items():
        kind = _KINDS[name]
        median = float(np.median(column))
        tolerance = max(kind.absolute, kind.relative * abs(median))
        high, of_high = _limit(column, share) if kind.high else (None, independent)
        low, of_low = _limit(-column, share) if kind.low else (None, independent)
        bands[name] = ValueBand(
            low=None if low is None else _possible(min(-low, median - tolerance), kind),
            high=None if high is None else _possible(max(high, median + tolerance), kind),
        )
        independent = min(independent, of_high, of_low)
    return PictureBand(images=len(values), independent=independent, **bands)


def _possible(limit: float, kind: _Kind) -> float | None:
    """None: no value lies beyond this limit."""
    return limit if 0 < limit < kind.largest else None


def _limit(values: NDArray[np.float64], share: float) -> tuple[float, float]:
    """An upper limit that at most this share of good pictures exceeds; and of how many independent values."""
    outliers = outlier_count(values, CONFIDENCE)
    kept = np.sort(values)[: len(values) - outliers]
    independent = max(1.0, effective_count(values) * len(kept) / len(values))
    try:
        return upper_limit(kept, share, CONFIDENCE, independent), independent
    except ValueError:  # the tail is of one value, as where nothing is saturated: the tolerance is all there is
        return float(kept[-1]), float(len(values))
