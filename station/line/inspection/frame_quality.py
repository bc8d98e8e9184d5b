"""Whether a frame can be trusted: brightness, saturation and sharpness, in a third of a millisecond at 512 px."""

from __future__ import annotations

from engines.location.picture_values import picture_values
from station.results import FrameQuality, Pixels


def frame_quality(pixels: Pixels) -> FrameQuality:
    """Brightness, saturation and sharpness of a frame, as `engines.location.picture_values` measures them.

    Args:
        pixels: uint8 (height, width) grey or (height, width, 3) RGB.
    """
    values = picture_values(pixels)
    return FrameQuality(values.mean_grey, values.saturated_share, values.sharpness, pixels.shape)
