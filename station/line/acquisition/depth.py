"""Heights of a 3-D camera on their way into the ring: their picture is made here, in the camera's process.

So the line does not wait for it: while one part is scored, the picture of the next is made.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import numpy as np

from drivers.camera.protocol import CameraInfo, GrabbedFrame
from drivers.camera.settings import DepthSettings
from engines.inputs.depth import NoHeights, depth_picture
from engines.inputs.depth_spec import Channel, DepthSpec, Reference
from station.codes import ReasonCode
from station.line.acquisition.ring import Pixels, picture_and_values, slot_shape


@lru_cache(maxsize=8)
def depth_spec(depth: DepthSettings) -> DepthSpec:
    """How the heights of a camera with these settings become a picture. Raises ValueError."""
    return DepthSpec(
        range_mm=depth.range_mm,
        slope_range_mm=depth.slope_range_mm,
        channels=cast("tuple[Channel, ...]", depth.channels),
        reference=cast("Reference", depth.reference),
        zero_mm=depth.zero_mm,
    )


class DepthFrames:
    """Makes of each frame of a 3-D camera what goes into a slot of the ring. Used by the camera process alone."""

    def __init__(self, info: CameraInfo, depth: DepthSettings) -> None:
        self._info = info
        self._spec = depth_spec(depth)
        self._slot = np.empty(slot_shape(info), np.uint8)
        self._picture, self._values = picture_and_values(self._slot, info)

    def slot_of(self, grabbed: GrabbedFrame) -> Pixels | tuple[ReasonCode, str]:
        """The content of a slot, valid until the next call; or why the frame cannot be inspected."""
        heights = grabbed.heights
        if heights is None:
            return ReasonCode.WRONG_SIZE, "the frame has no heights"
        if heights.values.shape != self._values.shape:
            found, expected = heights.values.shape, self._values.shape
            return ReasonCode.WRONG_SIZE, f"heights of shape {found}, expected {expected}"
        try:
            np.copyto(self._values, heights.values)
            depth_picture(
                self._values,
                heights.scale_mm,
                heights.offset_mm,
                heights.invalid,
                self._spec,
                intensity=heights.intensity,
                out=self._picture,
            )
        except NoHeights as problem:
            return ReasonCode.NO_HEIGHT, str(problem)
        except ValueError as problem:
            return ReasonCode.WRONG_SIZE, str(problem)
        return self._slot
