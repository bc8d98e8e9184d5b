"""Lines of text inside a PNG (tEXt): what an image means goes where the image goes."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = len(_SIGNATURE) + 25
"""IHDR is the first chunk and always has 13 bytes."""


def with_text(png: bytes | memoryview, keyword: str, text: str) -> bytes:
    """The PNG with one more line of text, behind its header.

    `keyword`: 1 to 79 letters; both in Latin-1, as the PNG specification asks. Raises ValueError.
    """
    content = keyword.encode("latin-1") + b"\0" + text.encode("latin-1")
    if not 1 <= len(keyword) <= 79 or "\0" in keyword + text or bytes(png[: len(_SIGNATURE)]) != _SIGNATURE:
        raise ValueError(f"text {keyword!r:.80}: 1 to 79 letters before a text without zeros, in a PNG")
    chunk = b"tEXt" + content
    made = struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"".join((png[:_HEADER_END], made, png[_HEADER_END:]))


def text_in(png: bytes | memoryview, keyword: str) -> str:
    """The first line of text with this keyword; empty where there is none, or no PNG."""
    wanted = keyword.encode("latin-1") + b"\0"
    if bytes(png[: len(_SIGNATURE)]) != _SIGNATURE:
        return ""
    position = len(_SIGNATURE)
    while position + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        if kind in (b"IDAT", b"IEND"):
            return ""
        content = bytes(png[position + 8 : position + 8 + length])
        if kind == b"tEXt" and content.startswith(wanted):
            return content[len(wanted) :].decode("latin-1")
        position += 12 + length
    return ""
