"""The messages between the daemon and a camera process, and the socket that carries them.

Each message is one packet: the name of its type and its fields as JSON. The ring's memory travels with `Connected`.
"""

from __future__ import annotations

import json
import select
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from drivers.camera.protocol import CameraInfo
from drivers.camera.settings import CameraSettings, DepthSettings
from station.codes import ReasonCode

_MAX_PACKET = 65536


# ---- camera process -> daemon -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """The camera streams; frames come in this shape through this ring. `ring` counts the rings of this process."""

    info: CameraInfo
    slots: int
    ring: int


@dataclass(frozen=True, slots=True)
class FrameReady:
    """A complete frame lies in a slot of the ring."""

    slot: int
    frame_id: int
    trigger_time_ns: int
    received_time_ns: int
    coordinates: tuple[float, float, int | None] | None = None
    """Of a 3-D camera: scale and offset of its heights in mm, and the value that stands for none."""


@dataclass(frozen=True, slots=True)
class FrameLost:
    """A frame came and has no usable pixels."""

    code: ReasonCode
    detail: str
    frame_id: int
    trigger_time_ns: int
    received_time_ns: int


@dataclass(frozen=True, slots=True)
class Alive:
    """Nothing else to say, but not hung."""


@dataclass(frozen=True, slots=True)
class TriggerRefused:
    """The camera refused a software trigger: no frame will come for it."""

    detail: str


@dataclass(frozen=True, slots=True)
class OutputRefused:
    """The camera refused to set an output line."""

    line: str
    value: bool
    detail: str


@dataclass(frozen=True, slots=True)
class SettingsRefused:
    """The camera refused the settings of another `Open`; it connects with the ones before. Fields as `Ended`."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class EncoderCounted:
    """The encoder at the camera has moved."""

    count: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The last message: why the camera process gives up. `kind` is the name of the exception."""

    kind: str
    detail: str


# ---- daemon -> camera process -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """The camera to connect to: the first message, and again for other settings of the same camera."""

    settings: CameraSettings
    ring_slots: int


@dataclass(frozen=True, slots=True)
class ReleaseSlot:
    """The frame was taken out of the slot of this ring, which may be one that the process no longer uses."""

    slot: int
    ring: int


@dataclass(frozen=True, slots=True)
class Fire:
    """Execute one software trigger."""


@dataclass(frozen=True, slots=True)
class SetOutput:
    """Set an output line of the camera."""

    line: str
    value: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """Disconnect and end."""


FromCamera = (
    Connected
    | FrameReady
    | FrameLost
    | Alive
    | TriggerRefused
    | OutputRefused
    | SettingsRefused
    | EncoderCounted
    | Ended
)
ToCamera = Open | ReleaseSlot | Fire | SetOutput | Finish

_Message = FromCamera | ToCamera
_TYPES: dict[str, type[_Message]] = {kind.__name__: kind for kind in get_args(_Message)}


class LinkClosed(Exception):
    """The other process is gone."""


class CameraLink:
    """One end of the socket. Keeps the borders of messages (SOCK_SEQPACKET); the other end's death closes it.

    One thread receives; any thread sends.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._readable = select.poll()
        self._readable.register(end, select.POLLIN)

    @staticmethod
    def pair() -> tuple[CameraLink, socket.socket]:
        """This process's end, and the end to hand to another process."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return CameraLink(here), there

    def send(self, message: _Message, fd: int | None = None) -> None:
        """Sends one message, with a file descriptor if given, and never waits.

        Raises LinkClosed, and BlockingIOError when the other process has not read for a long time.
        """
        packet = json.dumps([type(message).__name__, message], default=_plain).encode()
        try:
            if fd is None:
                self._socket.send(packet)
            else:
                socket.send_fds(self._socket, [packet], [fd])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise LinkClosed from error

    def send_patiently(self, message: FromCamera, fd: int | None = None) -> None:
        """Sends one message and waits while the other process does not read. Raises LinkClosed."""
        while True:
            try:
                return self.send(message, fd)
            except BlockingIOError:
                writable = select.poll()
                writable.register(self._socket, select.POLLOUT)
                writable.poll()

    def receive(self, timeout_s: float) -> tuple[_Message, int | None] | None:
        """One message with its file descriptor, or None when none comes in time. Raises LinkClosed."""
        try:
            return self._receive()
        except BlockingIOError:
            if not timeout_s or not self._readable.poll(timeout_s * 1000):
                return None
        return self._receive()

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> tuple[_Message, int | None]:
        try:
            packet, fds, _, _ = socket.recv_fds(self._socket, _MAX_PACKET, 1)
        except ConnectionResetError as error:
            raise LinkClosed from error
        if not packet:
            raise LinkClosed
        name, fields = json.loads(packet)
        return _decode(name, fields), fds[0] if fds else None


def _plain(value: Any) -> Any:
    """What JSON has no type for: a path as text, a message or settings by their fields."""
    return str(value) if isinstance(value, Path) else {name: getattr(value, name) for name in value.__slots__}


def _decode(name: str, fields: dict[str, Any]) -> _Message:
    match name:
        case "Open":
            settings = fields["settings"]
            for path in ("producer", "folder"):
                settings[path] = None if settings[path] is None else Path(settings[path])
            if (depth := settings["depth"]) is not None:
                settings["depth"] = DepthSettings(**{**depth, "channels": tuple(depth["channels"])})
            fields["settings"] = CameraSettings(**settings)
        case "Connected":
            fields["info"] = CameraInfo(**fields["info"])
        case "FrameReady":
            if (said := fields["coordinates"]) is not None:
                fields["coordinates"] = tuple(said)
        case "FrameLost":
            fields["code"] = ReasonCode(fields["code"])
    return _TYPES[name](**fields)
