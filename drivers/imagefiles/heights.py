"""Heights in a file: a grey PNG of 16 bit, whose values are those of the camera, with what they mean as text in it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.imagefiles.header import ImageUnreadable, read_header
from drivers.imagefiles.png_text import text_in, with_text
from drivers.imagefiles.reading import MAX_AREA_PX, MAX_BYTES, MAX_SIDE_PX

KEYWORD = "Heights"


@dataclass(frozen=True, slots=True)
class HeightsFile:
    """A height in mm is value * scale_mm + offset_mm; None: the file does not say it."""

    values: NDArray[np.uint16]
    """(height, width)."""
    scale_mm: float | None = None
    offset_mm: float | None = None
    invalid: int | None = None
    """The value that stands for no height."""


def encode_heights(values: NDArray[np.uint16], scale_mm: float, offset_mm: float, invalid: int | None) -> bytes:
    """A PNG that `decode_heights` reads. Raises ValueError."""
    done, data = cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done or values.dtype != np.uint16 or values.ndim != 2:
        raise ValueError(f"heights of {values.dtype} {values.shape}: uint16 (height, width) can be stored")
    said = {"scale_mm": scale_mm, "offset_mm": offset_mm, "invalid": invalid}
    return with_text(data.tobytes(), KEYWORD, json.dumps(said))


def read_heights(path: Path) -> HeightsFile:
    """Reads a file of heights. Raises ImageUnreadable."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImageUnreadable(f"{path.stat().st_size} bytes, at most {MAX_BYTES} are allowed")
        return decode_heights(path.read_bytes())
    except OSError as error:
        raise ImageUnreadable(f"cannot be read: {error.strerror}") from error


def decode_heights(data: bytes) -> HeightsFile:
    """The heights in the bytes of a file, PNG or TIFF. Raises ImageUnreadable: it holds none."""
    header = read_header(data)
    if not (0 < header.width <= MAX_SIDE_PX and 0 < header.height <= MAX_SIDE_PX) or (
        header.width * header.height > MAX_AREA_PX
    ):
        raise ImageUnreadable(f"{header.width} x {header.height} px; allowed are {MAX_SIDE_PX} px a side")
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageUnreadable(f"cannot be decoded ({error.err})") from error
    if stored is None:
        raise ImageUnreadable("cannot be decoded: it is damaged")
    if stored.dtype != np.uint16 or stored.ndim != 2:
        kind = "grey" if stored.ndim == 2 else f"{stored.shape[2]} channels"
        raise ImageUnreadable(f"{stored.dtype.itemsize * 8} bit, {kind}; heights are grey images of 16 bit (PNG, TIFF)")
    return HeightsFile(np.asarray(stored, np.uint16), *_said(text_in(data, KEYWORD)))


def _said(text: str) -> tuple[float | None, float | None, int | None]:
    if not text:
        return None, None, None
    try:
        said = json.loads(text)
        scale, offset, invalid = float(said["scale_mm"]), float(said["offset_mm"]), said["invalid"]
    except (ValueError, TypeError, KeyError) as problem:
        raise ImageUnreadable(f"its text {KEYWORD!r} does not say what its values mean: {text!r:.80}") from problem
    if not (math.isfinite(scale) and scale > 0 and math.isfinite(offset)) or not (
        invalid is None or (isinstance(invalid, int) and 0 <= invalid <= 0xFFFF)
    ):
        raise ImageUnreadable(f"its text {KEYWORD!r} does not say what its values mean: {text!r:.80}")
    return scale, offset, invalid
