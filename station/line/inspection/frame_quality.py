"""Whether a frame can be trusted: brightness, saturation and sharpness, in a third of a millisecond at 512 px."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.inputs.depth import missing_share
from engines.location.picture_values import picture_values
from station.results import FrameQuality, Pixels


def frame_quality(pixels: Pixels, missing: NDArray[np.bool_] | None = None) -> FrameQuality:
    """Brightness, saturation and sharpness of a frame, as `engines.location.picture_values` measures them.

    Args:
        pixels: uint8 (height, width) grey or (height, width, 3) RGB.
        missing: (height, width), True where a 3-D camera measured no height: these count in none of the three.
    """
    values = picture_values(pixels, missing)
    return FrameQuality(
        values.mean_grey, values.saturated_share, values.sharpness, pixels.shape, missing_share(missing)
    )
