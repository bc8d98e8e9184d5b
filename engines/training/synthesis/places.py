"""Where on a part a defect may lie: inside of what was located, outside of ignored zones."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.location_spec import Polygon
from engines.location.blob import find_blob
from engines.location.contrast import measure_contrast
from engines.location.location import Location
from engines.location.pose import Pose
from engines.training.synthesis.defects import Image, Stamp, paint

TRIES = 40
"""Places that are drawn before a defect is given up: it is too large for what is free of the part."""
REALISED = 0.8
"""Share of the contrast that must be left where a defect is painted: a dark spot on black is none."""
FULL = 0.5
"""Of a stamp: what counts as the defect itself."""


def free_of(image: Image, location: Location) -> NDArray[np.bool_]:
    """(height, width), True where a defect may lie. Raises PartNotLocated."""
    height, width = image.shape[:2]
    pose = location.locate(image)
    free = np.full((height, width), 0 if pose else 1, np.uint8)
    if pose is not None:
        cv2.fillPoly(free, [np.rint(_outline(image, location, pose)).astype(np.int32)], 1)
    for polygon in location.ignore:
        cv2.fillPoly(free, [np.rint(_in_image(polygon, pose, width, height) - 0.5).astype(np.int32)], 0)
    return free.astype(bool)


def short_side(image: Image, location: Location) -> float:
    """Of the part, px of the picture. Raises PartNotLocated."""
    pose = location.locate(image)
    return float(min(image.shape[:2])) if pose is None else min(pose.width, pose.height)


def paint_somewhere(
    image: Image, free: NDArray[np.bool_], stamp: Stamp, contrast: float, rng: np.random.Generator
) -> tuple[Image, Image] | None:
    """See `paint`, at a random place that is free and takes the contrast; None: there is none.

    Args:
        free: (height, width), see `free_of`.
    """
    height, width = free.shape
    half_height, half_width = stamp.shape[0] // 2, stamp.shape[1] // 2
    rows, columns = np.nonzero(stamp > 0)
    full = stamp[rows, columns] >= FULL * stamp.max()
    inside = free[half_height : height - half_height, half_width : width - half_width]
    in_row = np.count_nonzero(inside, axis=1)  # a list of all free places would take 160 MB of 20 MP
    ends = np.cumsum(in_row)
    if not in_row.any():
        return None
    for place in rng.integers(0, ends[-1], TRIES):
        row = int(np.searchsorted(ends, place, side="right"))
        column = int(np.flatnonzero(inside[row])[place - ends[row] + in_row[row]])
        y, x = row + half_height, column + half_width
        at = rows + y - half_height, columns + x - half_width
        if not free[at].all():
            continue
        before = image[at].astype(np.float32)[full]
        room = np.minimum(abs(contrast), 255 - before if contrast > 0 else before).mean()
        if room >= REALISED * abs(contrast):
            return paint(image, stamp, (x, y), contrast)
    return None


def _outline(image: Image, location: Location, pose: Pose) -> NDArray[np.float64]:
    """(n, 2), of the part where location knows it, else of the box around it."""
    spec = location.spec
    if spec.method != "blob":
        return pose.corners()
    contrast = measure_contrast(image, spec.cue, spec.side, spec.ground)
    return find_blob(contrast, spec.contrast, with_brightness=False).outline


def _in_image(polygon: Polygon, pose: Pose | None, width: int, height: int) -> NDArray[np.float64]:
    """Shares of the located part as px of the picture."""
    points = np.array(polygon)
    if pose is None:
        return np.asarray(points * (width, height), np.float64)
    first, second, _, last = pose.corners()
    return np.asarray(first + points[:, :1] * (second - first) + points[:, 1:] * (last - first), np.float64)
