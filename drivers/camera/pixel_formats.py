"""The pixel formats that the station takes from a camera (names of the PFNC) and what becomes of them.

Everything behind the driver sees 8 bit: Mono8 or RGB8. What has more is narrowed by one rule, the same for every frame:

    pixel = min(255, value >> (significant bits - 8))

The significant bits are all of the format unless the configuration names fewer; then the highest 8 of those count, and
what is brighter becomes 255. Nothing is scaled by what a frame shows: the same light gives the same pixel, part after
part. Nothing is rounded: so cameras make their own Mono8, and full scale stays 255. A Bayer pattern is narrowed first
and becomes RGB8 then.

How values of more than 8 bit lie in memory (all little-endian):

    Mono10, Mono12, ...        two bytes each, the upper bits are 0
    Mono10p, Mono12p           one behind the other, from the lowest bit: 4 in 5 bytes, 2 in 3 bytes
    Mono10Packed, Mono12Packed 2 in 3 bytes: the high 8 bits of each in the outer ones, their low bits share the middle
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from drivers.camera.protocol import Pixels
from drivers.camera.settings import DEPTH_FORMAT, PIXEL_FORMATS

_Layout = Literal["bytes", "words", "stream", "pairs"]

# The PFNC names a Bayer pattern by the first two pixels of the first row; OpenCV's RGGB-style names mean the same.
_BAYER = {
    "BayerRG": cv2.COLOR_BayerRGGB2RGB,
    "BayerGR": cv2.COLOR_BayerGRBG2RGB,
    "BayerGB": cv2.COLOR_BayerGBRG2RGB,
    "BayerBG": cv2.COLOR_BayerBGGR2RGB,
}
_COLOUR = {"BGR": cv2.COLOR_BGR2RGB, "RGBa": cv2.COLOR_RGBA2RGB, "BGRa": cv2.COLOR_BGRA2RGB}
_CHANNELS = {"RGB": 3, "BGR": 3, "RGBa": 4, "BGRa": 4}
_LAYOUTS: dict[str, _Layout] = {"p": "stream", "Packed": "pairs"}
_GROUPS: dict[tuple[_Layout, int], tuple[int, int]] = {
    ("stream", 10): (4, 5),
    ("stream", 12): (2, 3),
    ("pairs", 10): (2, 3),
    ("pairs", 12): (2, 3),
}
"""Pixels and bytes of the smallest group that ends with a byte."""
_PAIRS_LOW_BIT = {0: 0, 1: 4}
"""Where in the middle byte the low bits of the first and the second pixel of a pair begin."""


@dataclass(frozen=True, slots=True)
class _Format:
    bits: int
    """Of one channel of one pixel."""
    channels: int
    layout: _Layout
    code: int | None
    """How OpenCV makes RGB of it; None: it is as it should be."""
    is_colour: bool


def _format(name: str) -> _Format:
    found = re.fullmatch(r"(?P<kind>[A-Za-z]+?)(?P<bits>\d+)(?P<packing>p|Packed|)", name)
    assert found is not None, name
    kind, bits = found["kind"], int(found["bits"])
    return _Format(
        bits=bits,
        channels=_CHANNELS.get(kind, 1),
        layout=_LAYOUTS.get(found["packing"], "bytes" if bits == 8 else "words"),
        code=_BAYER.get(kind, _COLOUR.get(kind)),
        is_colour=kind != "Mono",
    )


SUPPORTED = PIXEL_FORMATS
_FORMATS = {name: _format(name) for name in SUPPORTED}


def normalised_format(camera_format: str) -> str:
    """`Mono8` or `RGB8`. Raises KeyError for a format that is not in SUPPORTED."""
    return "RGB8" if _FORMATS[camera_format].is_colour else "Mono8"


def bits_per_value(camera_format: str) -> int:
    """Of one channel of one pixel. Raises KeyError for a format that is not in SUPPORTED."""
    return _FORMATS[camera_format].bits


def has_words(camera_format: str) -> bool:
    """Whether a value is a word of two bytes, so that their order matters; heights are, too. Raises KeyError."""
    return camera_format == DEPTH_FORMAT or _FORMATS[camera_format].layout == "words"


def row_bytes(camera_format: str, width: int) -> int:
    """Bytes of one row of `width` px without what may follow it.

    Raises KeyError for a format that is not in SUPPORTED, and ValueError where the row ends within a byte: cameras
    differ in whether the next one begins in that byte or behind it, and a wrong guess shears the image.
    """
    if camera_format == DEPTH_FORMAT:
        return width * 2
    form = _FORMATS[camera_format]
    if form.layout == "bytes":
        return width * form.channels
    if form.layout == "words":
        return width * 2
    pixels, size = _GROUPS[form.layout, form.bits]
    if width % pixels:
        raise ValueError(
            f"{camera_format} with rows of {width} px: a row would end within a byte; the width must be a multiple of "
            f"{pixels}"
        )
    return width // pixels * size


def normalise(
    camera_format: str, data: NDArray[np.uint8], height: int, width: int, significant_bits: int | None = None
) -> Pixels:
    """The bytes of one frame as Mono8 (height, width) or RGB8 (height, width, 3); a view where nothing changes.

    `significant_bits`: how many bits of a value count, from the lowest: 8 to those of the format; None: all.
    Rows may be padded. Raises ValueError when the number of bytes does not fit and KeyError for a format that is not
    in SUPPORTED.
    """
    form = _FORMATS[camera_format]
    row = row_bytes(camera_format, width)
    rows = data.reshape(height, -1)
    if rows.shape[1] < row:
        raise ValueError(f"{camera_format} frame of {width} x {height} px with only {data.size} bytes")
    pixels = rows[:, :row]
    if form.layout != "bytes":
        pixels = _narrowed(form, pixels, width, significant_bits or form.bits)
    elif form.channels > 1:
        pixels = pixels.reshape(height, width, form.channels)
    if form.code is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, form.code), np.uint8)
    except cv2.error as error:  # no width, for instance
        raise ValueError(f"pixels of shape {pixels.shape} cannot be converted: {error.err}") from error


def _narrowed(form: _Format, rows: NDArray[np.uint8], width: int, significant_bits: int) -> NDArray[np.uint8]:
    """8 bit of values that have more: (height, width) of rows (height, bytes). One pass for each pixel of a group."""
    narrow = np.empty((rows.shape[0], width), np.uint8)
    pixels, size = _GROUPS.get((form.layout, form.bits), (1, 2))
    below = significant_bits - 8
    all_count = significant_bits == form.bits
    for number in range(pixels):
        target = narrow[:, number::pixels]
        if form.layout == "pairs":
            high = rows[:, 2 * number :: size]
            if all_count:
                np.copyto(target, high)
                continue
            low = (rows[:, 1::size] >> _PAIRS_LOW_BIT[number]) & ((1 << (form.bits - 8)) - 1)
            values = ((high.astype(np.uint16) << (form.bits - 8)) | low) >> below
        else:
            first_byte, first_bit = divmod(number * form.bits, 8)
            words = as_strided(
                rows[:, first_byte : first_byte + 2].view("<u2"),
                (rows.shape[0], rows.shape[1] // size),
                (rows.strides[0], size),
            )
            if form.layout == "stream" and all_count:
                # What lies above in the word is of the next value, and is cut off by the 8 bit of the target.
                np.right_shift(words, first_bit + below, out=target, casting="unsafe")
                continue
            values = words >> (first_bit + below)
            if form.layout == "stream":
                values &= (1 << (form.bits - below)) - 1
        np.minimum(values, 255, out=target, casting="unsafe")
    return narrow
