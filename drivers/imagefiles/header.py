"""What an image file says of itself before it is decoded: its size, its kind, how it is turned, whether it is whole.

A header of some bytes may promise terapixels, and decoders differ in what they make of half a file: OpenCV 4.10 gives
half a JPEG as a good picture. So the structure is followed to its end here: chunks with their checksums (PNG), segments
up to the end mark (JPEG), strips and tiles (TIFF), lengths (BMP, WebP, PGM, PPM).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Behind compressed data: no stuffed byte, no restart, no fill."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PNM = re.compile(rb"P([56])" + rb"(?:\s+|#[^\n]*\n)+(\d{1,9})" * 3 + rb"\s")
_WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION = 256, 257, 262, 274
_PLACES = ((273, 279), (324, 325))
"""Of TIFF: where strips or tiles begin, and their lengths."""
_TYPES = {1: "B", 3: "H", 4: "I"}
_MAX_PAGES = 1000


class ImageUnreadable(Exception):
    """This file is no image that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image before it is decoded."""

    width: int
    """As stored, px."""
    height: int
    grey: bool = False
    """Stored as grey, with or without transparency."""
    palette: bool = False
    orientation: int = 1
    """Of EXIF and TIFF: 1 as stored, 3 upside down, 6 and 8 turned by a quarter, the others mirrored."""
    pages: int = 1
    orientation_at: int | None = None
    """Where a TIFF has it: decoders differ in whether they obey it."""


def read_header(data: bytes) -> Header:
    """Raises ImageUnreadable: of no known format, damaged, or cut off."""
    for start, read in (
        *((_PNG, _png), (_JPEG, _jpeg), (b"BM", _bmp), (b"II*\0", _tiff), (b"MM\0*", _tiff)),
        *((b"RIFF", _webp), (b"P", _pnm)),
    ):
        if data.startswith(start):
            try:
                return read(data)
            except (struct.error, IndexError) as problem:
                raise ImageUnreadable("cannot be decoded: cut off in its header") from problem
    raise ImageUnreadable("cannot be decoded: not PNG, JPEG, BMP, TIFF, WebP, PGM or PPM")


def _png(data: bytes) -> Header:
    position, found, pages, orientation = 8, None, 1, 1
    while True:
        if position + 12 > len(data):
            raise ImageUnreadable("cannot be decoded: cut off")
        length, kind = struct.unpack_from(">I4s", data, position)
        content = memoryview(data)[position + 8 : position + 8 + length]
        if position + 12 + length > len(data):
            raise ImageUnreadable("cannot be decoded: cut off")
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(content, zlib.crc32(kind)) != checksum:
            raise ImageUnreadable("cannot be decoded: damaged, a checksum is wrong")
        if found is None:
            if kind != b"IHDR":
                raise ImageUnreadable("cannot be decoded: no PNG header")
            found = struct.unpack_from(">IIBB", content)
        elif kind == b"acTL":
            (pages,) = struct.unpack_from(">I", content)
        elif kind == b"eXIf":
            orientation = _exif(bytes(content))
        elif kind == b"IEND":
            width, height, _, colour = found
            return Header(width, height, colour in (0, 4), colour == 3, orientation, pages)
        position += 12 + length


def _jpeg(data: bytes) -> Header:
    position, size, orientation = 2, None, 1
    while True:
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        if data[position : position + 1] != b"\xff":
            raise ImageUnreadable("cannot be decoded: " + ("cut off" if position >= len(data) else "damaged"))
        marker = data[position + 1]
        if marker == 0xD9 and size is not None:
            height, width, channels = size
            return Header(width, height, channels == 1, orientation=orientation)
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _FRAMES:
            size = struct.unpack_from(">HHB", data, position + 5)
        elif marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            orientation = _exif(data[position + 10 : position + 2 + length])
        position += 2 + length
        if marker == 0xDA:
            following = _NEXT_MARKER.search(data, position)
            if following is None:
                raise ImageUnreadable("cannot be decoded: cut off")
            position = following.start()


def _bmp(data: bytes) -> Header:
    (start,) = struct.unpack_from("<I", data, 10)
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: from the top
    if compression in (0, 3) and start + (width * bits + 31) // 32 * 4 * height > len(data):
        raise ImageUnreadable("cannot be decoded: cut off")
    return Header(width, height, palette=bits <= 8)


def _webp(data: bytes) -> Header:
    (length,) = struct.unpack_from("<I", data, 4)
    if data[8:12] != b"WEBP":
        raise ImageUnreadable("cannot be decoded: a RIFF file, but no WebP")
    if length + 8 > len(data):
        raise ImageUnreadable("cannot be decoded: cut off")
    width = height = 0
    position, orientation, pages = 12, 1, 0
    while position + 8 <= length + 8:
        kind, size = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + size]
        if kind == b"VP8X":
            width, height = (1 + int.from_bytes(content[at : at + 3], "little") for at in (4, 7))
        elif kind == b"VP8 " and not width:
            width, height = (each & 0x3FFF for each in struct.unpack_from("<HH", content, 6))
        elif kind == b"VP8L" and not width:
            (packed,) = struct.unpack_from("<I", content, 1)
            width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        elif kind == b"EXIF":
            orientation = _exif(content.removeprefix(b"Exif\0\0"))
        elif kind == b"ANMF":
            pages += 1
        position += 8 + size + size % 2
    return Header(width, height, orientation=orientation, pages=max(1, pages))


def _pnm(data: bytes) -> Header:
    match = _PNM.match(data)
    if match is None:
        raise ImageUnreadable("cannot be decoded: of the PNM formats only binary PGM (P5) and PPM (P6) are taken")
    channels = {b"5": 1, b"6": 3}[match[1]]
    width, height, most = (int(number) for number in match.groups()[1:])
    if match.end() + width * height * channels * (1 + (most > 255)) > len(data):
        raise ImageUnreadable("cannot be decoded: cut off")
    return Header(width, height, channels == 1)


def _tiff(data: bytes) -> Header:
    order = "<" if data.startswith(b"II") else ">"
    (place,) = struct.unpack_from(order + "I", data, 4)
    first, pages, seen = None, 0, {0}
    while place not in seen and pages < _MAX_PAGES:
        seen.add(place)
        pages += 1
        (count,) = struct.unpack_from(order + "H", data, place)
        first = place if first is None else first
        (place,) = struct.unpack_from(order + "I", data, place + 2 + 12 * count)
    if first is None:
        raise ImageUnreadable("cannot be decoded: a TIFF without a page")
    tags = {tag: (at, values) for tag, at, values in _entries(data, order, first)}

    def one(tag: int, otherwise: int) -> int:
        return tags[tag][1][0] if tag in tags and tags[tag][1] else otherwise

    for begin, length in _PLACES:
        if begin in tags and any(
            at + size > len(data) for at, size in zip(tags[begin][1], tags.get(length, (0, ()))[1], strict=False)
        ):
            raise ImageUnreadable("cannot be decoded: cut off")
    turned = one(_ORIENTATION, 1)
    return Header(
        one(_WIDTH, 0), one(_HEIGHT, 0), grey=one(_PHOTOMETRIC, 2) in (0, 1), palette=one(_PHOTOMETRIC, 2) == 3,
        orientation=turned if 1 <= turned <= 8 else 1, pages=pages,
        orientation_at=tags[_ORIENTATION][0] if _ORIENTATION in tags else None,
    )  # fmt: skip


def _entries(data: bytes, order: str, place: int) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(tag, where its value stands, its whole numbers) of the entries of one directory."""
    (count,) = struct.unpack_from(order + "H", data, place)
    for number in range(count):
        at = place + 2 + 12 * number
        tag, kind, values = struct.unpack_from(order + "HHI", data, at)
        code = _TYPES.get(kind)
        if code is None or values > len(data):
            continue
        size = values * struct.calcsize(code)
        where = at + 8 if size <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
        yield tag, where, struct.unpack_from(f"{order}{values}{code}", data, where)


def _exif(block: bytes) -> int:
    """The orientation in an EXIF block; 1 where there is none, or nonsense."""
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    order = "<" if block.startswith(b"II") else ">"
    try:
        (place,) = struct.unpack_from(order + "I", block, 4)
        turned = [values[0] for tag, _, values in _entries(block, order, place) if tag == _ORIENTATION and values]
    except struct.error:
        return 1
    return turned[0] if turned and 1 <= turned[0] <= 8 else 1
