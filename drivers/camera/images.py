"""Image files as a camera would deliver them: Mono8 or RGB8."""

from __future__ import annotations

import math
from pathlib import Path

import cv2

from drivers.camera.protocol import CameraUnreadable, HeightMap, Pixels
from drivers.camera.settings import DepthSettings
from drivers.imagefiles.header import ImageUnreadable
from drivers.imagefiles.heights import read_heights
from drivers.imagefiles.listing import SUFFIXES, list_images
from drivers.imagefiles.reading import read


def image_files(folder: Path) -> list[Path]:
    """The images of a folder (not of those below it) in the order of their names.

    Raises CameraUnreadable when the folder cannot be read or holds none.
    """
    try:
        found = list_images(folder)
    except OSError as error:
        raise CameraUnreadable(f'image folder "{folder}" cannot be read: {error.strerror}') from error
    if not found.files:
        said = "".join(f"; {note}" for note in found.notes)
        raise CameraUnreadable(
            f'image folder "{folder}" holds no image; allowed are {", ".join(sorted(SUFFIXES))}{said}'
        )
    return list(found.files)


def read_image(path: Path) -> Pixels:
    """One image: (height, width) grey or (height, width, 3) RGB, uint8; an alpha channel is dropped.

    Raises CameraUnreadable when the file cannot be read or decoded or has more than 8 bit per channel.
    """
    try:
        return read(path).pixels
    except ImageUnreadable as problem:
        raise CameraUnreadable(f'image "{path}" {problem}; remove or replace it') from problem


def read_height_map(path: Path, settings: DepthSettings) -> HeightMap:
    """Heights in a file of 16 bit: what its values mean is said in it or in the settings, and not twice differently.

    Raises CameraUnreadable.
    """
    try:
        found = read_heights(path)
    except ImageUnreadable as problem:
        raise CameraUnreadable(f'heights "{path}" {problem}; remove or replace it') from problem
    scale, offset = found.scale_mm, found.offset_mm
    for name, said, configured in (
        ("scale_mm", scale, settings.scale_mm),
        ("offset_mm", offset, settings.offset_mm),
    ):
        if said is not None and configured is not None and not math.isclose(said, configured, rel_tol=1e-6):
            raise CameraUnreadable(
                f'heights "{path}" have {name} {said:g}, the section `depth` of the camera says {configured:g}; leave '
                f"{name} out there, or take files that go with it"
            )
    scale = settings.scale_mm if scale is None else scale
    if scale is None:
        raise CameraUnreadable(
            f'heights "{path}" do not say how many mm a step is: set `scale_mm` in the section `depth` of the camera'
        )
    offset = (settings.offset_mm or 0.0) if offset is None else offset
    invalid = settings.invalid_value if found.scale_mm is None else found.invalid
    return HeightMap(found.values, scale, offset, invalid)


def write_png(path: Path, pixels: Pixels) -> None:
    """Writes Mono8 or RGB8 pixels. Raises OSError."""
    encoded, data = cv2.imencode(".png", pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise OSError(f'PNG "{path}" cannot be encoded: {pixels.dtype} {pixels.shape}')
    path.write_bytes(data.tobytes())
