"""Images on disk: PNG files that are either complete or not there."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.imagefiles.header import ImageUnreadable
from drivers.imagefiles.heights import encode_heights, read_heights
from drivers.imagefiles.png_text import text_in, with_text
from engines.inputs.depth import Heights, relief
from engines.inputs.depth_spec import MARK, DepthSpec
from station.results import Pixels

IMAGE_SUFFIX = ".png"
MAP_SUFFIX = ".map.png"
HEIGHTS_SUFFIX = ".heights.png"
"""Of a 3-D camera: 16 bit, as measured, with what a step means as text in it (`drivers.imagefiles.heights`)."""
TEMPORARY_SUFFIX = ".tmp"

# Half the time and a sixth less bytes than level 1 alone, on noisy camera images. The filter can be chosen since some
# OpenCV 4.x only; without it the files are the same pixels, written more slowly.
_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    _FAST_PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


class ImageError(Exception):
    """Pixels that cannot be encoded, or a file that cannot be decoded."""


@dataclass(frozen=True, slots=True)
class MapScale:
    """What the grey values 0 and 255 of a stored anomaly map stand for."""

    low: float
    high: float


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Writes a file that appears complete or not at all, also after a power cut: it is synced before it gets its name.

    Raises OSError (full disk, ...) and leaves nothing behind.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_image(path: Path, pixels: Pixels, heights: Heights | None = None) -> int:
    """Writes a grey or RGB image as PNG; returns its size in bytes. Raises OSError, ImageError.

    `heights`: those that it is the picture of. It says so in its text: who teaches or looks must know.
    """
    data = encode_png(pixels)
    if heights is not None:
        data = memoryview(with_text(data, MARK, heights.spec.as_text))
    write_atomic(path, data)
    return len(data)


def write_heights(path: Path, heights: Heights) -> int:
    """Writes the heights of a frame; returns the size of the file in bytes. Raises OSError, ImageError."""
    try:
        data = encode_heights(heights.values, heights.scale_mm, heights.offset_mm, heights.invalid)
    except (ValueError, cv2.error) as problem:
        raise ImageError(f"heights cannot be stored: {problem}") from problem
    write_atomic(path, data)
    return len(data)


def heights_beside(image: Path) -> Heights | None:
    """The heights that lie beside a stored picture of them; None: there are none, or they cannot be read any more."""
    file = image.with_name(image.name.removesuffix(IMAGE_SUFFIX) + HEIGHTS_SUFFIX)
    if not file.is_file():
        return None
    try:
        spec = DepthSpec.of_text(text_in(image.read_bytes(), MARK))
        found = read_heights(file)
    except (ImageUnreadable, ValueError, OSError):
        return None
    return Heights(found.values, found.scale_mm or 1.0, found.offset_mm or 0.0, found.invalid, spec)


def as_seen(png: bytes | memoryview, rgb: Pixels) -> Pixels:
    """What people see of a stored image: a picture of heights as relief, any other as it is.

    Args:
        png: the bytes of the file.
        rgb: (height, width, 3), decoded from it.
    """
    return relief(rgb, text_in(png, MARK))


def encode_map(anomaly_map: NDArray[np.float32]) -> tuple[memoryview, MapScale]:
    """An anomaly map as PNG of 8 bits, its own range stretched over 0..255. Raises ImageError when not finite."""
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    if not np.isfinite(high - low):
        raise ImageError(f"anomaly map from {low} to {high} cannot be stored")
    factor = 255.0 / (high - low) if high > low else 0.0
    grey = np.rint((anomaly_map - np.float32(low)) * np.float32(factor))
    return encode_png(np.clip(grey, 0, 255).astype(np.uint8)), MapScale(low, high)


def decode_map(content: bytes, scale: MapScale) -> NDArray[np.float32]:
    """A stored anomaly map, exact to half of a 255th of its range. Raises ImageError."""
    grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) if content else None
    if grey is None:
        raise ImageError("the file is not a readable image")
    return np.asarray(scale.low + grey * ((scale.high - scale.low) / 255.0), np.float32)


def read_below(folder: Path, path: str, most: int | None = None) -> bytes:
    """A plain file below a folder, as a row of the records names it; no link below the folder is followed, so nothing
    that somebody puts there leads out of it.

    Raises OSError: it is not there, it is no plain file, or it is larger than `most` bytes.
    """
    parts = PurePosixPath(path).parts
    if not parts or "\0" in path or path.startswith("/") or ".." in parts:
        raise FileNotFoundError(errno.ENOENT, "no file of the records", path)
    place = os.open(folder, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        file = os.open(parts[-1], os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
    finally:
        os.close(place)
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise FileNotFoundError(errno.ENOENT, "no plain file", path)
        content = opened.read() if most is None else opened.read(most + 1)
    if most is not None and len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes", path)
    return content


def encode_png(pixels: Pixels) -> memoryview:
    """PNG of grey or RGB pixels at the fastest compression. Raises ImageError.

    All of it in OpenCV, which releases the GIL: the line's threads go on meanwhile.
    """
    try:
        bgr = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        done, data = cv2.imencode(IMAGE_SUFFIX, bgr, _FAST_PNG)
    except cv2.error as problem:
        raise ImageError(f"pixels of shape {pixels.shape} cannot be encoded: {problem.err}") from problem
    if not done:
        raise ImageError(f"pixels of shape {pixels.shape} cannot be encoded")
    return data.data


def is_whole_png(path: Path) -> bool:
    """Whether a file begins and ends as a PNG does: images of an older station were not synced, and after a power cut
    some are empty or cut off.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_PNG_BEGIN)) != _PNG_BEGIN:
                return False
            file.seek(-len(_PNG_END), os.SEEK_END)
            return file.read() == _PNG_END
    except OSError:
        return False
