"""The world around one software camera, seen from outside: part, light barrier, faults, output lines.

The camera maps the same file and listens on a socket beside it; `scene.h` is the same layout in C, README.md
explains both. Pixels, cable and levels are in the file, so that they outlive the camera process; what happens at one
moment (an edge, a fault) is a datagram.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

MAGIC = b"SIMTLSCN"
VERSION = 1
PIXEL_OFFSET = 4096
OUTPUT_LINES = ("Line2", "Line3")
_SOCKET_PATH_MAX = 107
"""`sun_path` of a Unix socket address on Linux, without its closing zero."""
_SEND_TIMEOUT_S = 1.0
_READ_TIMEOUT_S = 1.0
_ANSWER_TIMEOUT_S = 5.0


class SceneError(Exception):
    """The scene cannot be made, or nobody took a request that must not get lost."""


@dataclass(frozen=True, slots=True)
class OutputState:
    """One output line of the camera (Line2, Line3)."""

    level: bool
    changes: int
    """How often the level changed since the scene was made."""
    changed_ns: int
    """CLOCK_MONOTONIC of the last change; 0 when there was none."""


@dataclass(frozen=True, slots=True)
class ExposureState:
    """What the camera took, counted since the scene was made."""

    exposures: int
    part_number: int
    """Part in the last exposure."""
    trigger_ns: int
    """CLOCK_MONOTONIC of the last trigger; 0 when there was none."""
    missed_triggers: int
    """Triggers that came while the sensor was still exposing or all frame stores were full."""


class _Output(ctypes.Structure):
    _fields_ = (
        ("changes", ctypes.c_uint64),
        ("changed_ns", ctypes.c_uint64),
        ("level", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class _Header(ctypes.Structure):
    _fields_ = (
        ("magic", ctypes.c_char * 8),
        ("version", ctypes.c_uint32),
        ("pixel_offset", ctypes.c_uint32),
        ("capacity", ctypes.c_uint64),
        ("sequence", ctypes.c_uint64),
        ("part_numbers", ctypes.c_uint64 * 2),
        ("width", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("channels", ctypes.c_uint32),
        ("line1_level", ctypes.c_uint32),
        ("plug_count", ctypes.c_uint32),
        ("encoder", ctypes.c_uint32),
        ("state_sequence", ctypes.c_uint64),
        ("outputs", _Output * len(OUTPUT_LINES)),
        ("exposures", ctypes.c_uint64),
        ("exposed_part_number", ctypes.c_uint64),
        ("exposed_ns", ctypes.c_uint64),
        ("missed_triggers", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
    )


def height_scene(values: NDArray[np.uint16], intensity: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """What a scene of three channels shows to a 3-D camera, (height, width, 3): low byte, high byte, intensity."""
    grey = np.zeros(values.shape, np.uint8) if intensity is None else intensity
    return np.dstack([(values & 0xFF).astype(np.uint8), (values >> 8).astype(np.uint8), grey])


class Scene:
    """What is in front of the lens of software camera number `device`, and the wires at its connector.

    Made by the line simulator, usable before, during and after the life of the camera process. Making a scene plugs
    the camera in; closing it pulls the plug and removes the file. A scene that an earlier simulator left behind is
    unplugged and replaced. Thread-safe.

    The camera always sees a whole image: there are two stores, `show` writes into the one that is not to be seen and
    then counts `sequence` up, and the camera copies again when that number changed meanwhile. The count is one aligned
    machine word; the order of the writes holds by itself on x86 and is forced by `_fence` elsewhere.
    """

    def __init__(self, prefix: Path, width: int, height: int, channels: int, device: int = 0) -> None:
        """Makes `<prefix>.<device>.scene`, black, part number 0. Raises SceneError on a size that cannot be."""
        if width < 1 or height < 1 or max(width, height) > 16384 or channels not in (1, 3):
            raise SceneError(
                f"scene of {width} x {height} px, {channels} channels: allowed are 1 to 16384 px and 1 or 3 channels"
            )
        self._prefix = prefix.absolute()
        self._path = Path(f"{self._prefix}.{device}.scene")
        self._socket_path = f"{self._prefix}.{device}.sock"
        if len(os.fsencode(self._socket_path)) > _SOCKET_PATH_MAX:
            raise SceneError(
                f'control socket "{self._socket_path}": longer than the {_SOCKET_PATH_MAX} bytes of a Unix socket; '
                "use a shorter prefix"
            )
        self._shape = (height, width) if channels == 1 else (height, width, channels)
        self._lock = threading.Lock()
        self._closed = False
        self._requests = 0
        self._map = self._create_file(width, height, channels)
        self._header = _Header.from_buffer(self._map)
        self._stores: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8, offset=PIXEL_OFFSET).reshape(
            2, *self._shape
        )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_SEND_TIMEOUT_S)

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Pulls the plug of the camera and removes the scene. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._header.plug_count |= 1
            if _is_file(self._path, self._inode):
                self._path.unlink()
            self._socket.close()
            # A mapping closes only when nothing points into it any more.
            del self._header, self._stores
            self._map.close()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the images that `show` takes."""
        return self._shape

    # ---- in front of the lens -------------------------------------------------------------------------------

    def show(self, image: NDArray[np.uint8], part_number: int = 0) -> None:
        """Puts a part in front of the lens: (height, width) or (height, width, 3) in RGB, uint8."""
        with self._open():
            if image.dtype != np.uint8 or image.shape != self._shape:
                raise SceneError(
                    f"image of {image.dtype} {image.shape}: this scene takes uint8 {self._shape}; "
                    "scale or crop the image"
                )
            store = (self._header.sequence + 1) % 2
            np.copyto(self._stores[store], image)
            self._header.part_numbers[store] = part_number
            _fence()  # the picture is there before it is to be seen ...
            self._header.sequence += 1
            _fence()  # ... and that before the next one overwrites the other store

    def show_heights(
        self, values: NDArray[np.uint16], intensity: NDArray[np.uint8] | None = None, part_number: int = 0
    ) -> None:
        """Puts a part in front of a 3-D camera: its values of 16 bit and how bright it is, (height, width) each.

        For a scene of three channels, which hold low byte, high byte and intensity (0 where none is given). Raises
        SceneError.
        """
        if values.dtype != np.uint16 or values.shape != self._shape[:2] or len(self._shape) != 3:
            raise SceneError(
                f"heights of {values.dtype} {values.shape}: a scene of 3 channels takes uint16 {self._shape[:2]}"
            )
        self.show(height_scene(values, intensity), part_number)

    def exposure(self) -> ExposureState:
        """What the camera took last."""
        with self._open():
            state = self._state()
        return ExposureState(state.exposures, state.exposed_part_number, state.exposed_ns, state.missed_triggers)

    # ---- wires ----------------------------------------------------------------------------------------------

    def set_line1(self, level: bool, at_ns: int | None = None) -> bool:
        """Sets the level of the camera's input Line1, as a light barrier does.

        `at_ns`: CLOCK_MONOTONIC of the edge, for several cameras on one barrier; None: now. False when no camera
        process listens: the level is kept for it, the edge is lost.
        """
        with self._open():
            self._header.line1_level = int(level)
            # The camera stamps a trigger with the time of its edge, however late its process wakes up.
            return self._send(f"line1 {int(level)} {time.monotonic_ns() if at_ns is None else at_ns}")

    def pulse_line1(self, at_ns: int | None = None) -> bool:
        """A rise and a fall of Line1, see `set_line1`. False when no camera process listened to both."""
        rise = self.set_line1(True, at_ns)
        fall = self.set_line1(False, at_ns)
        return rise and fall

    def set_encoder(self, count: int) -> None:
        """What the encoder of the belt, wired to the camera, has counted; only the lowest 32 bits are kept."""
        with self._open():
            self._header.encoder = count & 0xFFFF_FFFF

    def output(self, line: str) -> OutputState:
        """State of the output `Line2` or `Line3`, also while no camera process runs."""
        if line not in OUTPUT_LINES:
            raise SceneError(f'output "{line}": the camera has {" and ".join(OUTPUT_LINES)}')
        index = OUTPUT_LINES.index(line)
        with self._open():
            state = self._state().outputs[index]
        return OutputState(bool(state.level), state.changes, state.changed_ns)

    # ---- faults ---------------------------------------------------------------------------------------------

    def fail_incomplete(self, n: int) -> None:
        """The next `n` triggers give incomplete frames. Returns when the camera has taken the request.

        Like all faults but a lost device, raises SceneError when no camera process takes it: a fault that nobody has
        would make a test pass that tested nothing.
        """
        self._request("incomplete", n)

    def fail_dropped(self, n: int) -> None:
        """The frames of the next `n` triggers never arrive; the frame id counts them."""
        self._request("dropped", n)

    def fail_late(self, n: int, delay_ms: int) -> None:
        """The frames of the next `n` triggers arrive `delay_ms` after the end of their exposure, and later ones behind
        them."""
        self._request("late", n, delay_ms)

    def fail_parts(self, n: int) -> None:
        """The next `n` frames of several parts come without the last one, and call themselves complete."""
        self._request("parts", n)

    def change_coordinates(self, scale_mm: float, offset_mm: float) -> None:
        """Another scale and offset of heights, while the camera streams: as if another program had set them."""
        self._request("coordinates", round(scale_mm * 1e6), round(offset_mm * 1e6))

    def crash_driver(self) -> None:
        """The process that has the camera open calls abort()."""
        with self._open():
            self._deliver("crash")

    def lose_device(self) -> None:
        """Pulls the plug: open handles fail from now on, and the device is no longer listed."""
        with self._open():
            self._header.plug_count |= 1

    def restore_device(self) -> None:
        """Plugs the camera in again. It starts anew: handles from before stay dead, it must be opened again."""
        with self._open():
            self._header.plug_count += self._header.plug_count & 1

    # ---- for the process that loads the producer ------------------------------------------------------------

    def environment(self, devices: int = 1) -> dict[str, str]:
        """Environment variables for the process that loads the producer: `devices` cameras on this prefix."""
        return {"SIMTL_SCENE": str(self._prefix), "SIMTL_DEVICES": str(devices)}

    def _create_file(self, width: int, height: int, channels: int) -> mmap.mmap:
        capacity = width * height * channels
        size = PIXEL_OFFSET + 2 * capacity
        header = _Header(
            magic=MAGIC,
            version=VERSION,
            pixel_offset=PIXEL_OFFSET,
            capacity=capacity,
            width=width,
            height=height,
            channels=channels,
        )
        draft = Path(f"{self._path}.{os.getpid()}.new")
        try:
            _unplug_leftover(self._path)
            with draft.open("w+b") as file:
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error here, not a SIGBUS later
                file.write(bytes(header))
                file.flush()
                self._inode = os.fstat(file.fileno()).st_ino
                mapping = mmap.mmap(file.fileno(), size)
            draft.replace(self._path)  # a camera never sees half a file
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise SceneError(f'scene "{self._path}" cannot be made: {error}') from error
        return mapping

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise SceneError(f'scene "{self._path}" is closed')
            yield

    def _send(self, message: str) -> bool:
        """False when nobody listens: no socket (ENOENT), its process is gone (ECONNREFUSED) or hangs (timeout), or the
        camera is just being closed (EPIPE).
        """
        try:
            self._socket.sendto(message.encode(), self._socket_path)
        except (FileNotFoundError, ConnectionError, TimeoutError):
            return False
        return True

    def _deliver(self, message: str) -> None:
        if not self._send(message):
            raise SceneError(f'fault "{message}": no camera process listens on "{self._socket_path}"; open it first')

    def _request(self, fault: str, *numbers: int) -> None:
        with self._open():
            self._requests += 1
            self._deliver(" ".join([fault, str(self._requests), *map(str, numbers)]))
            deadline = time.monotonic() + _ANSWER_TIMEOUT_S
            while self._state().request != self._requests:
                if time.monotonic() > deadline:
                    raise SceneError(
                        f'fault "{fault}" {numbers}: the camera did not take it within {_ANSWER_TIMEOUT_S} s'
                    )
                time.sleep(0.0005)

    def _state(self) -> _Header:
        """A copy of the header in which all that the camera writes belongs together."""
        deadline = time.monotonic() + _READ_TIMEOUT_S
        while time.monotonic() < deadline:
            before = self._header.state_sequence
            _fence()
            copy = _Header.from_buffer_copy(self._map)
            _fence()
            if before % 2 == 0 and before == self._header.state_sequence:
                return copy
        raise SceneError(
            f'scene "{self._path}": the camera process died while it wrote its state; open the camera again'
        )


_fence_lock = threading.Lock()


def _fence() -> None:
    """Keeps stores before it before stores after it, for processors that reorder them (ARM).

    Taking a lock is an acquire, giving it back a release. One pair lets both sides slip into the locked region and
    pass each other there; with two pairs, nothing passes the first release and the second acquire.
    """
    with _fence_lock:
        pass
    with _fence_lock:
        pass


def _unplug_leftover(path: Path) -> None:
    """Marks a scene that an earlier simulator left, so that a camera that still has it open sees it go."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        header = file.read(ctypes.sizeof(_Header))
        if len(header) == ctypes.sizeof(_Header) and header.startswith(MAGIC):
            with mmap.mmap(file.fileno(), ctypes.sizeof(_Header)) as mapping:
                plug_count = _Header.plug_count.offset
                mapping[plug_count] |= 1  # little-endian: the lowest bit is in the first byte


def _is_file(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False
