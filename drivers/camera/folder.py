"""A folder of images that behaves as a camera: for trying rules and engines without hardware."""

from __future__ import annotations

import time
from types import TracebackType

import numpy as np

from drivers.camera.images import image_files, read_height_map, read_image
from drivers.camera.protocol import (
    CameraInfo,
    CameraSettingError,
    CameraUnreadable,
    GrabbedFrame,
    HeightMap,
    Pixels,
)
from drivers.camera.settings import DEPTH_FORMAT, CameraSettings


class FolderCamera:
    """Plays the images of `settings.folder` in the order of their names: one per software trigger, or at a rate.

    Images may differ in size; `info` is that of the first. An image that cannot be decoded raises CameraUnreadable
    when its turn comes (the first one at connect).
    """

    def __init__(self, settings: CameraSettings) -> None:
        if settings.folder is None:
            raise CameraSettingError('camera driver "folder": no folder given')
        if settings.trigger == "line":
            raise CameraSettingError('camera driver "folder": trigger "line" needs a camera; allowed: software, off')
        if settings.frame_rate_hz <= 0:
            raise CameraSettingError(f'camera driver "folder": frame_rate_hz {settings.frame_rate_hz} is not above 0')
        if settings.depth is not None and settings.depth.needs_intensity:
            raise CameraSettingError('camera driver "folder": files hold heights alone, take `intensity` out of them')
        self._folder = settings.folder
        self._depth = settings.depth
        self._software_trigger = settings.trigger == "software"
        self._loop = settings.loop
        self._interval_ns = int(1e9 / settings.frame_rate_hz)
        self._frame_id = 0
        self._started = False
        self._triggers: list[int] = []
        """Times of the triggers that wait for their frame."""
        self._next_ns = 0

    def __enter__(self) -> FolderCamera:
        self._files = image_files(self._folder)
        pixels, heights = self._read(0)
        first = pixels if heights is None else heights.values
        self._info = CameraInfo(
            vendor="inspection station",
            model="folder",
            serial_number=self._folder.name,
            width=first.shape[1],
            height=first.shape[0],
            pixel_format=DEPTH_FORMAT if heights is not None else "Mono8" if first.ndim == 2 else "RGB8",
            picture_channels=0 if self._depth is None else self._depth.picture_channels,
            about="" if heights is None else f"a step is {heights.scale_mm:g} mm",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._started = False

    @property
    def info(self) -> CameraInfo:
        return self._info

    def start(self) -> None:
        self._started = True
        self._next_ns = time.monotonic_ns()

    def grab(self, timeout_ms: int) -> GrabbedFrame | None:
        triggered_ns = self._wait_for_trigger(timeout_ms)
        if triggered_ns is None:
            return None
        pixels, heights = self._read(self._frame_id % len(self._files))
        self._frame_id += 1
        return GrabbedFrame(self._frame_id, pixels, True, triggered_ns, time.monotonic_ns(), None, heights=heights)

    def _read(self, number: int) -> tuple[Pixels, HeightMap | None]:
        path = self._files[number]
        if self._depth is None:
            return read_image(path), None
        return np.empty((0, 0), np.uint8), read_height_map(path, self._depth)

    def trigger(self) -> None:
        if not self._software_trigger:
            raise CameraSettingError('camera "folder": a software trigger needs trigger = "software"')
        if self._started:
            if self._exhausted:
                raise CameraUnreadable(
                    f'image folder "{self._folder}": all {len(self._files)} images are played and loop is off'
                )
            self._triggers.append(time.monotonic_ns())

    def read(self, feature: str) -> int:
        raise CameraSettingError(f'camera "folder": no feature "{feature}": a folder has none')

    def set_output(self, line: str, value: bool) -> None:
        raise CameraSettingError(f'camera "folder": no output line "{line}" to set to {value}: a folder has none')

    @property
    def _exhausted(self) -> bool:
        return not self._loop and self._frame_id + len(self._triggers) >= len(self._files)

    def _wait_for_trigger(self, timeout_ms: int) -> int | None:
        """Time of the trigger of the next frame; None when there is none in time."""
        if self._triggers:
            return self._triggers.pop(0)
        now = time.monotonic_ns()
        due = self._started and not self._software_trigger and not self._exhausted
        wait_ns = timeout_ms * 1_000_000
        if due and self._next_ns - now <= wait_ns:
            time.sleep(max(0, self._next_ns - now) / 1e9)
            triggered_ns = max(now, self._next_ns)
            self._next_ns = triggered_ns + self._interval_ns
            return triggered_ns
        time.sleep(wait_ns / 1e9)
        return None
