"""Small pictures of every part whose verdict changes, kept beside the candidate as long as it is there.

VERSION/refresh/changed/NNNN.jpg    in the order of the comparison
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from drivers.camera.images import read_image
from drivers.camera.protocol import CameraUnreadable
from station.jobs.comparison import Changed
from station.records.images import write_atomic

FOLDER = "changed"
MOST = 1000
SIDE_PX = 200
QUALITY = 80


def keep(report: Path, changed: Sequence[Changed], images: Mapping[tuple[str, str], Path]) -> None:
    """Writes them. `images`: by key and camera of the part. One that cannot be read is left out. Raises OSError."""
    folder = report / FOLDER
    folder.mkdir(exist_ok=True)
    for number, one in enumerate(changed[:MOST]):
        file = images.get((one.key, one.camera))
        data = None if file is None else _small(file)
        if data is not None:
            write_atomic(folder / f"{number:04d}.jpg", data)


def _small(file: Path) -> bytes | None:
    try:
        pixels = read_image(file)
    except CameraUnreadable:
        return None
    scale = min(1.0, SIDE_PX / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    shrunk = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    coloured = shrunk if shrunk.ndim == 2 else shrunk[:, :, ::-1]
    is_made, data = cv2.imencode(".jpg", coloured, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(data) if is_made else None
