"""What acquisition posts, to whoever it was given to post to: signalling, and ejection for the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from drivers.camera.protocol import CameraInfo
from station.codes import ReasonCode
from station.results import Frame


class CameraState(Enum):
    """How a camera is, as `Acquisition` reports it in `CameraChanged`."""

    CONNECTING = "connecting"
    STREAMING = "streaming"
    DOWN = "down"
    """Not there now; coming back by itself is expected."""
    FAILED = "failed"
    """Cannot be used as configured."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """A complete frame. The part may move: the exposure is over."""

    frame: Frame
    lost_before: int
    """Frames that the camera counted between the previous one and this one and that never came."""

    @property
    def camera(self) -> str:
        return self.frame.camera

    @property
    def frame_id(self) -> int:
        return self.frame.frame_id

    @property
    def trigger_time_ns(self) -> int:
        return self.frame.trigger_time_ns


@dataclass(frozen=True, slots=True)
class FrameFailed:
    """A trigger that gave no usable pixels: an incomplete frame, one too many, or a trigger that was refused."""

    camera: str
    frame_id: int
    """0 when there was no frame at all."""
    code: ReasonCode
    trigger_time_ns: int
    received_time_ns: int
    lost_before: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CameraChanged:
    """The camera's state, or the reason for it, changed."""

    camera: str
    state: CameraState
    info: CameraInfo | None
    """While streaming."""
    detail: str


@dataclass(frozen=True, slots=True)
class OutputFailed:
    """An output line of the camera was not set."""

    camera: str
    line: str
    value: bool
    detail: str


@dataclass(frozen=True, slots=True)
class EncoderMoved:
    """The encoder at a camera has another value."""

    camera: str
    count: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class CameraSaid:
    """The camera's library has written a line that it had not written before."""

    camera: str
    line: str


AcquisitionMessage = FrameArrived | FrameFailed | CameraChanged | OutputFailed | EncoderMoved | CameraSaid
