"""What a picture is like: brightness, saturation, sharpness, place of the part; one function for teaching and line.

The line measures every frame by it, in a third of a millisecond at 512 px; teaching measures the pictures it learns
from by it, so the same pixels give the same numbers to the last digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from engines.bundle.picture_bands import relative_sharpness

Pixels = NDArray[np.uint8]

SAMPLE_PX = 512
"""The longer side of what is looked at is at most this."""
SATURATED = 255


@dataclass(frozen=True, slots=True)
class PictureValues:
    """Of one picture."""

    mean_grey: float
    saturated_share: float
    sharpness: float
    """Variance of the Laplacian of the grey picture, scaled to at most `SAMPLE_PX`."""

    @property
    def relative_sharpness(self) -> float:
        """See `engines.bundle.picture_bands`."""
        return relative_sharpness(self.sharpness, self.mean_grey)


def place_of(x: float, y: float, width: float, height: float, frame_width: int) -> tuple[float, float, float]:
    """Centre x, y and size of a located part, all in px, as shares of the width of the frame."""
    return x / frame_width, y / frame_width, math.sqrt(width * height) / frame_width


def picture_values(pixels: Pixels, missing: NDArray[np.bool_] | None = None) -> PictureValues:
    """Brightness, saturation and sharpness of a picture.

    A picture larger than 512 px is looked at on a grid of every 2nd, 4th, 8th ... pixel. Saturation is that of single
    pixels on it; a colour pixel is saturated when any of its channels is. Mean grey and sharpness are those of the mean
    of the four pixels around each grid point, which quarters the noise that would count as sharpness. Sharpness is the
    variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000).

    Args:
        pixels: uint8 (height, width) grey or (height, width, 3) RGB.
        missing: (height, width), True for pixels that do not count: nothing was measured there; None: all count.
    """
    height, width = pixels.shape[:2]
    step = 1
    while max(height, width) // step > SAMPLE_PX:
        step *= 2
    size = (max(1, width // step), max(1, height // step))
    single = _resized(pixels, size, cv2.INTER_NEAREST)
    # Halving with INTER_LINEAR is the mean of 2 x 2 pixels; by 4, 8 ... it is that of the middle 2 x 2 of each block.
    grey = _grey(_resized(pixels, size, cv2.INTER_LINEAR))
    if missing is not None:
        there = _resized(np.asarray(~missing, np.uint8), size, cv2.INTER_NEAREST)
        if there.any():
            return _values_of(grey, single, there)
    return PictureValues(
        mean_grey=float(cv2.mean(grey)[0]),
        saturated_share=_saturated_share(single),
        sharpness=_variance(cv2.Laplacian(grey, cv2.CV_16S)),
    )


def _values_of(grey: Pixels, single: Pixels, there: Pixels) -> PictureValues:
    """The same, of the pixels whose `there` is not 0."""
    counted = cv2.countNonZero(there)
    brightest = single if single.ndim == 2 else np.asarray(single.max(axis=2), np.uint8)
    saturated = cv2.countNonZero(cv2.bitwise_and(cv2.inRange(brightest, (SATURATED,), (SATURATED,)), there * SATURATED))
    _, spread = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S), mask=there)
    return PictureValues(
        mean_grey=float(cv2.mean(grey, there)[0]),
        saturated_share=float(saturated / counted),
        sharpness=float(spread[0, 0]) ** 2,
    )


def _saturated_share(single: Pixels) -> float:
    if single.max() < SATURATED:  # as good as always, and a tenth of the time of counting
        return 0.0
    below = (SATURATED - 1,) * (1 if single.ndim == 2 else 3)
    unsaturated = cv2.countNonZero(cv2.inRange(single, (0,) * len(below), below))
    return float(1.0 - unsaturated / (single.shape[0] * single.shape[1]))


def _variance(values: MatLike) -> float:
    """Of integers, from their sum and the sum of their squares, both exact: a tenth of the time of `cv2.meanStdDev`."""
    total: float = cv2.sumElems(values)[0]
    squares: float = cv2.norm(values, cv2.NORM_L2SQR)
    return max(0.0, squares / values.size - (total / values.size) ** 2)


def _resized(pixels: Pixels, size: tuple[int, int], interpolation: int) -> Pixels:
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
