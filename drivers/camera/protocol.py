"""The protocol of a camera, whatever is behind it.

Errors:

    CameraError
    ├── ProducerError       the GenTL producer (.cti) cannot be loaded
    ├── CameraNotFound      no such serial number; the message lists those found
    ├── CameraSettingError  a feature is missing or refuses its value
    ├── CameraUnreadable    a folder, an image in it or a frame cannot be read
    └── CameraLost          the device was there and no longer responds
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.camera.settings import DEPTH_FORMAT

Pixels = NDArray[np.uint8]
"""Shape (height, width) for Mono8 or (height, width, 3) for RGB8."""


@dataclass(frozen=True, slots=True)
class HeightMap:
    """What a 3-D camera measured: a height in mm is value * scale_mm + offset_mm. Views, as `GrabbedFrame.pixels`."""

    values: NDArray[np.uint16]
    """(height, width)."""
    scale_mm: float
    offset_mm: float
    invalid: int | None
    """The value that stands for no height; None: every pixel has one."""
    intensity: Pixels | None = None
    """(height, width), where the camera sends it."""


class CameraError(Exception):
    """Base of everything a camera driver raises."""


class ProducerError(CameraError):
    """The GenTL producer cannot be loaded."""


class CameraNotFound(CameraError):
    """No camera with the wanted serial number."""


class CameraSettingError(CameraError):
    """A GenICam feature is missing or does not take the configured value."""


class CameraUnreadable(CameraError):
    """A folder of images, an image in it, or a frame cannot be read."""


class CameraLost(CameraError):
    """The device was connected and no longer responds."""


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """The connected camera as it delivers frames, after all settings are made."""

    vendor: str
    model: str
    serial_number: str
    width: int
    height: int
    pixel_format: str
    """`Mono8` or `RGB8`: what `GrabbedFrame.pixels` holds, whatever the camera sends. `Coord3D_C16`: `heights`."""
    picture_channels: int = 0
    """Of `Coord3D_C16`: channels of the picture that is made of the heights, 1 or 3."""
    about: str = ""
    """For people: what a height means."""

    @property
    def has_heights(self) -> bool:
        """A 3-D camera."""
        return self.pixel_format == DEPTH_FORMAT

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels of one complete frame; of a 3-D camera, of the picture that is made of its heights."""
        is_grey = self.pixel_format == "Mono8" or self.picture_channels == 1
        return (self.height, self.width) if is_grey else (self.height, self.width, 3)


@dataclass(frozen=True, slots=True)
class GrabbedFrame:
    """One frame as the driver hands it over. `pixels` may be a view that is valid only until the next `grab`."""

    frame_id: int
    """Counted by the camera: a gap between two frames is the number of frames lost between them."""
    pixels: Pixels
    complete: bool
    """False when the transport lost some of the data: the pixels are then not to be inspected."""
    trigger_time_ns: int
    """When the exposure was triggered, on the host's CLOCK_MONOTONIC (best estimate the camera allows)."""
    received_time_ns: int
    device_timestamp_ns: int | None
    problem: str = ""
    """Why a complete frame has no pixels."""
    heights: HeightMap | None = None
    """Of a 3-D camera, in place of pixels."""


class Camera(Protocol):
    """A camera from connect (`__enter__`) to disconnect (`__exit__`). Used by one thread only."""

    def __enter__(self) -> Camera: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def info(self) -> CameraInfo: ...

    def start(self) -> None:
        """Arms the trigger and starts streaming. Every trigger feature is set explicitly before."""
        ...

    def grab(self, timeout_ms: int) -> GrabbedFrame | None:
        """The next frame, or None when none came in `timeout_ms`. Raises CameraLost."""
        ...

    def trigger(self) -> None:
        """Executes one software trigger. Raises CameraSettingError when the trigger source is a line."""
        ...

    def read(self, feature: str) -> int:
        """The value of an integer feature, from the device. Raises CameraSettingError, CameraLost."""
        ...

    def set_output(self, line: str, value: bool) -> None:
        """Sets an output line of the camera (LineSelector, UserOutputSelector, UserOutputValue)."""
        ...
