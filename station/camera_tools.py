"""`station camera list` and `station camera grab`: looking through a camera without the station."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from drivers.camera.images import write_png
from drivers.camera.open import open_camera
from drivers.camera.protocol import Camera, CameraError, CameraLost, GrabbedFrame
from drivers.camera.settings import CameraSettings

_GRAB_MS = 50


def producer_file(name: str) -> Path:
    """The GenTL producer that `name` stands for: `simtl`, `viky` or a path. Raises ProducerError."""
    if name == "simtl":
        from drivers.camera.simtl import producer_path  # noqa: PLC0415

        return producer_path()
    if name == "viky":
        from drivers.camera.producer import viky_path  # noqa: PLC0415

        return viky_path()
    return Path(name)


def camera_list(producer: Path) -> list[tuple[str, str, str, str]]:
    """(serial number, vendor, model, user id) of each camera of a producer. Raises ProducerError."""
    from drivers.camera.producer import list_cameras  # noqa: PLC0415  (loads GenICam)

    return [(camera.serial_number, camera.vendor, camera.model, camera.user_name) for camera in list_cameras(producer)]


@dataclass(frozen=True, slots=True)
class GrabbedFile:
    """One frame that `camera_grab` stored."""

    path: Path
    frame: GrabbedFrame
    pixel_format: str


def camera_grab(settings: CameraSettings, count: int, output: Path, timeout_s: float = 5.0) -> list[GrabbedFile]:
    """Grabs `count` complete frames and writes them as PNG into `output`, which is made if need be.

    With `settings.trigger` "software" each frame is triggered. Raises CameraError, and OSError when a file cannot be
    written.
    """
    output.mkdir(parents=True, exist_ok=True)
    stored = []
    with open_camera(settings) as camera:
        camera.start()
        for _ in range(count):
            if settings.trigger == "software":
                camera.trigger()
            frame = _next_complete(camera, timeout_s)
            path = output / f"{camera.info.serial_number or 'camera'}-{frame.frame_id:06d}.png"
            write_png(path, frame.pixels)
            stored.append(GrabbedFile(path, frame, camera.info.pixel_format))
    return stored
