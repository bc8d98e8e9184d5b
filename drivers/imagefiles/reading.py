"""Decoding an image file: the same pixels for everybody, or a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.imagefiles.header import Header, ImageUnreadable, read_header

MAX_SIDE_PX = 16384
MAX_AREA_PX = 1 << 27
"""400 MB in colour."""
MAX_BYTES = 1 << 30

Pixels = NDArray[np.uint8]
_UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],
    8: lambda stored: np.rot90(stored, 1),
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image as it is meant to be seen."""

    pixels: Pixels
    """(height, width) grey or (height, width, 3) RGB, contiguous."""
    pages: int
    """Of the file; the pixels are those of the first one."""
    turned: bool
    """EXIF (or TIFF) says that it is not stored upright; the pixels are upright."""


def read(path: Path) -> Decoded:
    """Read and decode a file. Raises ImageUnreadable."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ImageUnreadable(f"{size} bytes, at most {MAX_BYTES} are allowed")
        data = path.read_bytes()
    except OSError as error:
        raise ImageUnreadable(f"cannot be read: {error.strerror}") from error
    return decode(data)


def decode(data: bytes) -> Decoded:
    """The image in the bytes of a file: 8 bit, transparency dropped, upright.

    Grey is what is stored as grey, with transparency or not, or with a palette that is grey wherever it is used.

    Raises:
        ImageUnreadable: unknown, damaged, cut off, too large, or not 8 bit.
    """
    header = read_header(data)
    if not (0 < header.width <= MAX_SIDE_PX and 0 < header.height <= MAX_SIDE_PX) or (
        header.width * header.height > MAX_AREA_PX
    ):
        raise ImageUnreadable(
            f"{header.width} x {header.height} px; allowed are {MAX_SIDE_PX} px a side and {MAX_AREA_PX} in all"
        )
    try:
        stored = cv2.imdecode(np.frombuffer(_as_stored(data, header), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageUnreadable(f"cannot be decoded ({error.err})") from error
    if stored is None:
        raise ImageUnreadable("cannot be decoded: it is damaged")
    if stored.dtype != np.uint8:
        raise ImageUnreadable(f"{stored.dtype.itemsize * 8} bit per channel ({stored.dtype}); only 8 bit are taken")
    if stored.shape[:2] != (header.height, header.width):
        raise ImageUnreadable(
            f"cannot be decoded: its header says {header.width} x {header.height} px, "
            f"{stored.shape[1]} x {stored.shape[0]} are in it"
        )
    colours = _colours(np.asarray(stored, np.uint8), header)
    upright = _UPRIGHT[header.orientation](colours) if header.orientation in _UPRIGHT else colours
    return Decoded(np.ascontiguousarray(upright), header.pages, header.orientation != 1)


def _as_stored(data: bytes, header: Header) -> bytes:
    """A TIFF whose orientation no decoder can obey by itself: some do, and others do not."""
    if header.orientation == 1 or header.orientation_at is None:
        return data
    changed = bytearray(data)
    at = header.orientation_at
    changed[at : at + 2] = b"\1\0" if data.startswith(b"II") else b"\0\1"
    return bytes(changed)


def _colours(stored: Pixels, header: Header) -> Pixels:
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    if channels <= 2:
        return stored if stored.ndim == 2 else stored[:, :, 0]
    if channels > 4:
        raise ImageUnreadable(f"{channels} channels; 1, 3 and 4 are taken")
    bgr = stored[:, :, :3]
    if header.grey or (header.palette and bool((bgr == bgr[:, :, :1]).all())):
        return bgr[:, :, 0]
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(bgr), cv2.COLOR_BGR2RGB), np.uint8)
