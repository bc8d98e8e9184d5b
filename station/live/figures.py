"""What a picture is like: brightness, saturation, sharpness, how often each grey level comes. For who sets a camera up.

Made where the frame is whole: from the small JPEG of the live memory nobody could say whether single pixels saturate.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from station.live.feed import finite
from station.results import FrameQuality, Pixels

LEVELS = 64
"""Steps of the histogram, each of four grey levels."""
SAMPLE_PX = 512
"""Of a larger frame every 2nd, 4th, 8th ... pixel is counted, as for the quality of a frame."""


def figures_of(pixels: Pixels, quality: FrameQuality) -> dict[str, Any]:
    """As JSON. The histogram is in shares of a thousand, of the brightest channel: the first that saturates.

    Args:
        pixels: uint8 (height, width) grey or (height, width, 3) RGB.
        quality: of these pixels.
    """
    return {
        "mean_grey": finite(quality.mean_grey),
        "saturated_share": finite(quality.saturated_share),
        "sharpness": finite(quality.sharpness),
        "histogram": histogram(pixels),
    }


def histogram(pixels: Pixels) -> list[int]:
    """Per thousand of the pixels in each of `LEVELS` steps, rounded up: what is there shows."""
    height, width = pixels.shape[:2]
    step = 1
    while max(height, width) // step > SAMPLE_PX:
        step *= 2
    sample = pixels[::step, ::step]
    brightest = sample if sample.ndim == 2 else sample.max(axis=2)
    counts = cv2.calcHist([np.ascontiguousarray(brightest)], [0], None, [LEVELS], [0, 256]).ravel()
    return [int(share) for share in np.ceil(1000 * counts / counts.sum())]
