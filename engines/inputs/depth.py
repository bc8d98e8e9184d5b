"""Heights of a 3-D camera as a picture of 8 bit, which goes through the engine as any other.

    values of 16 bit ─► mm ─► less the plane of the part ─► missing ones filled ─┬─► height   ─┐
                                                                                 ├─► slope x  ─┼─► picture
    intensity, where the camera sends it ────────────────────────────────────────┴─► slope y  ─┘

A picture has one channel or several, each by a fixed scale: nothing is stretched by what a frame shows, so the same
part gives the same picture. 128 is the plane (or `zero_mm`), 0 and 255 are `range_mm` below and above it; for slopes
the rise from one pixel to the next.

A value that the camera marks as invalid is *missing*: it counts neither in the plane nor in the score, and in the
picture stands what its neighbours say. How sure a filled place is, nobody knows: hence the limit on their share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.inputs.depth_spec import MOST_CHANNELS, DepthSpec
from engines.inputs.plane import Floats, Mask, filled, fit_plane, slopes, without_plane

_MIDDLE = 127.5
_EMPTY = 128
_LIGHT = np.array([-1.0, -1.0, 1.0]) / np.sqrt(3.0)
"""Where the light of a shaded picture comes from: the upper left, 35 degrees above the plane."""
_SHADE, _HEIGHT_SHARE = 0.75, 0.25
"""Of a shaded picture: how much of it is light, and how much says how high a place is."""


class NoHeights(Exception):
    """Not one pixel of a frame has a height."""


@dataclass(frozen=True, slots=True)
class Heights:
    """The heights of one frame as the camera measured them, and how its picture was made."""

    values: NDArray[np.uint16]
    """(height, width)."""
    scale_mm: float
    offset_mm: float
    """A height in mm is value * scale_mm + offset_mm (SFNC: Scan3dCoordinateScale, Scan3dCoordinateOffset)."""
    invalid: int | None
    """The value that stands for no height; None: every pixel has one."""
    spec: DepthSpec

    @property
    def missing(self) -> Mask | None:
        """(height, width), True where there is no height; None: nowhere."""
        if self.invalid is None:
            return None
        found: Mask = self.values == self.invalid
        return found if found.any() else None


def depth_picture(
    values: NDArray[np.uint16],
    scale_mm: float,
    offset_mm: float,
    invalid: int | None,
    spec: DepthSpec,
    *,
    intensity: NDArray[np.uint8] | None = None,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """The picture of a frame: uint8, (height, width) or (height, width, 3).

    Args:
        values: (height, width), as the camera sent them.
        invalid: the value that stands for no height; None: every pixel has one.
        intensity: (height, width), needed for the channel of that name.
        out: where the picture is to be written; None: into new memory.

    Raises:
        NoHeights: not one pixel has a height.
        ValueError: the intensity is missing or of another size.
    """
    valid = None if invalid is None else values != invalid
    if valid is not None and bool(valid.all()):
        valid = None
    if valid is not None and not valid.any():
        raise NoHeights(f"all {values.size} pixels are invalid (value {invalid})")
    heights = relative_heights(values, scale_mm, offset_mm, valid, spec)
    picture = np.empty(spec.picture_shape(*values.shape), np.uint8) if out is None else out
    wanted = set(spec.channels)
    made: dict[str, NDArray[np.uint8]] = {}
    if "height" in wanted:
        made["height"] = _grey(heights, spec.range_mm)
    for axis, name in enumerate(("slope_x", "slope_y")):
        if name in wanted:
            made[name] = _grey(slopes(heights, axis), spec.slope_range_mm)
    if "intensity" in wanted:
        if intensity is None or intensity.shape != values.shape:
            found = "none" if intensity is None else f"one of {intensity.shape}"
            raise ValueError(f"the picture needs an intensity of {values.shape}, the frame has {found}")
        made["intensity"] = intensity
    if picture.ndim == 2:
        np.copyto(picture, made[spec.channels[0]])
    else:
        planes = [made[name] for name in spec.channels]
        if len(planes) < MOST_CHANNELS:
            planes.append(np.full(values.shape, _EMPTY, np.uint8))
        cv2.merge(planes, dst=picture)
    return picture


def relative_heights(
    values: NDArray[np.uint16], scale_mm: float, offset_mm: float, valid: Mask | None, spec: DepthSpec
) -> Floats:
    """Heights in mm above the reference, (height, width) float32; missing ones are filled from their neighbours."""
    heights = values * np.float32(scale_mm)
    if spec.reference == "plane":
        # The plane takes the offset away with it: so small numbers stay exact beside a large one.
        heights = without_plane(heights, fit_plane(heights, valid))
    else:
        heights += np.float32(offset_mm - spec.zero_mm)
    return heights if valid is None else filled(heights, valid)


def _grey(heights: Floats, reach: float) -> NDArray[np.uint8]:
    """-reach to reach as 0 to 255, rounded; what lies beyond is cut off."""
    scaled = cv2.addWeighted(heights, _MIDDLE / reach, heights, 0.0, _MIDDLE, dtype=cv2.CV_8U)
    return np.asarray(scaled, np.uint8)


def missing_share(missing: Mask | None) -> float:
    """Of all pixels."""
    return 0.0 if missing is None else float(np.count_nonzero(missing) / missing.size)


def shaded(picture: NDArray[np.uint8], channels: Sequence[str]) -> NDArray[np.uint8]:
    """A picture of heights as people see relief: lit from the upper left, higher places brighter. (height, width, 3).

    Grey, so that a heat map keeps its colours on it. Of a picture without slopes they are those of its heights.
    """
    # Of two channels the third plane is empty, and has no name.
    planes = dict(zip(channels, [picture] if picture.ndim == 2 else cv2.split(picture), strict=False))
    height = planes.get("height")
    if height is None and not {"slope_x", "slope_y"} & set(planes):
        grey = np.asarray(next(iter(planes.values())), np.uint8)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    steep = []
    for axis, name in enumerate(("slope_x", "slope_y")):
        if name in planes:
            steep.append((np.asarray(planes[name], np.float32) - _MIDDLE) / _MIDDLE)
        elif height is not None and not {"slope_x", "slope_y"} & set(planes):
            steep.append(slopes(np.asarray(height, np.float32), axis) / 8.0)
        else:
            steep.append(np.zeros(picture.shape[:2], np.float32))
    lit = (_LIGHT[2] - _LIGHT[0] * steep[0] - _LIGHT[1] * steep[1]) / np.sqrt(1.0 + steep[0] ** 2 + steep[1] ** 2)
    grey = np.clip(lit, 0.0, 1.0) * 255.0 * (_SHADE if height is not None else 1.0)
    if height is not None:
        grey += np.asarray(height, np.float32) * _HEIGHT_SHARE
    return np.asarray(cv2.cvtColor(np.clip(np.rint(grey), 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB), np.uint8)


def relief(picture: NDArray[np.uint8], mark: str) -> NDArray[np.uint8]:
    """What people see of an image: a picture of heights as relief, any other as it is.

    Args:
        picture: (height, width, 3) RGB.
        mark: how it was made of heights, `DepthSpec.as_text`; empty, or no such text: it was not.
    """
    try:
        spec = DepthSpec.of_text(mark)
    except ValueError:
        return picture
    return shaded(np.ascontiguousarray(picture[..., 0]) if len(spec.channels) == 1 else picture, spec.channels)
