"""Image files as a camera would deliver them: Mono8 or RGB8."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from drivers.camera.protocol import CameraUnreadable, Pixels

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def image_files(folder: Path) -> list[Path]:
    """The images of a folder (not of those below it) in the order of their names.

    Raises CameraUnreadable when the folder cannot be read or holds none.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise CameraUnreadable(f'image folder "{folder}" cannot be read: {error.strerror}') from error
    if not files:
        raise CameraUnreadable(f'image folder "{folder}" holds no image; allowed are {", ".join(sorted(SUFFIXES))}')
    return files


def read_image(path: Path) -> Pixels:
    """One image: (height, width) grey or (height, width, 3) RGB, uint8; an alpha channel is dropped.

    Raises CameraUnreadable when the file cannot be read or decoded or has more than 8 bit per channel.
    """
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except (OSError, cv2.error) as error:
        raise CameraUnreadable(f'image "{path}" cannot be read: {error}') from error
    if image is None:
        raise CameraUnreadable(f'image "{path}" cannot be decoded: it is damaged or not an image; remove or replace it')
    if image.dtype != np.uint8:
        raise CameraUnreadable(f'image "{path}" has pixels of type {image.dtype}; only 8 bit per channel is supported')
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        return np.ascontiguousarray(image.reshape(image.shape[:2]))
    if channels not in (3, 4):
        raise CameraUnreadable(f'image "{path}" has {channels} channels; supported are 1, 3 and 4')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGRA2RGB).astype(np.uint8, copy=False)


def write_png(path: Path, pixels: Pixels) -> None:
    """Writes Mono8 or RGB8 pixels. Raises OSError."""
    encoded, data = cv2.imencode(".png", pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise OSError(f'PNG "{path}" cannot be encoded: {pixels.dtype} {pixels.shape}')
    path.write_bytes(data.tobytes())
