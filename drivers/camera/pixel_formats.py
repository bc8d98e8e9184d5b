"""The pixel formats that the station takes from a camera (names of the PFNC) and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.camera.protocol import Pixels

_Convert = Callable[[NDArray[np.uint8]], Pixels]


def _with(code: int) -> _Convert:
    def convert(pixels: NDArray[np.uint8]) -> Pixels:
        try:
            return np.asarray(cv2.cvtColor(pixels, code), np.uint8)
        except cv2.error as error:  # no width, for instance
            raise ValueError(f"pixels of shape {pixels.shape} cannot be converted: {error.err}") from error

    return convert


def _as_it_is(pixels: NDArray[np.uint8]) -> Pixels:
    return pixels


# The PFNC names a Bayer pattern by the first two pixels of the first row; OpenCV's RGGB-style names mean the same.
_FORMATS: dict[str, tuple[int, str, _Convert]] = {
    "Mono8": (1, "Mono8", _as_it_is),
    "RGB8": (3, "RGB8", _as_it_is),
    "BGR8": (3, "RGB8", _with(cv2.COLOR_BGR2RGB)),
    "RGBa8": (4, "RGB8", _with(cv2.COLOR_RGBA2RGB)),
    "BGRa8": (4, "RGB8", _with(cv2.COLOR_BGRA2RGB)),
    "BayerRG8": (1, "RGB8", _with(cv2.COLOR_BayerRGGB2RGB)),
    "BayerGR8": (1, "RGB8", _with(cv2.COLOR_BayerGRBG2RGB)),
    "BayerGB8": (1, "RGB8", _with(cv2.COLOR_BayerGBRG2RGB)),
    "BayerBG8": (1, "RGB8", _with(cv2.COLOR_BayerBGGR2RGB)),
}

SUPPORTED = tuple(_FORMATS)


def normalised_format(camera_format: str) -> str:
    """`Mono8` or `RGB8`. Raises KeyError for a format that is not in SUPPORTED."""
    return _FORMATS[camera_format][1]


def bytes_per_pixel(camera_format: str) -> int:
    """Raises KeyError for a format that is not in SUPPORTED."""
    return _FORMATS[camera_format][0]


def normalise(camera_format: str, data: NDArray[np.uint8], height: int, width: int) -> Pixels:
    """The bytes of one frame as Mono8 (height, width) or RGB8 (height, width, 3); a view where nothing changes.

    Rows may be padded. Raises ValueError when the number of bytes does not fit and KeyError for a format that is not
    in SUPPORTED.
    """
    channels, _, convert = _FORMATS[camera_format]
    row = width * channels
    rows = data.reshape(height, -1)
    if rows.shape[1] < row:
        raise ValueError(f"{camera_format} frame of {width} x {height} px with only {data.size} bytes")
    pixels = rows[:, :row]
    return convert(pixels if channels == 1 else pixels.reshape(height, width, channels))
