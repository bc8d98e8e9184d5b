"""GenICam cameras through harvesters.

What harvesters does not do, or does in a way that loses parts, is done here:

* It swallows incomplete frames together with their id and time. The new-buffer event is therefore read directly.
* It has no event for a lost device. A register is read every now and then while no frame comes.
* It leaves the trigger as the last user set it. Every trigger feature is set at every connect (genicam_setup).
* It takes over SIGINT when used in the main thread. The handler is put back.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from genicam import genapi, gentl
from harvesters.core import Buffer, Harvester
from harvesters.util.pfnc import dict_by_ints
from numpy.typing import NDArray

from drivers.camera.discovery import find, listings, opened_producer
from drivers.camera.features import Features
from drivers.camera.genicam_setup import check_values, configure, user_output
from drivers.camera.heights import INTENSITY_FORMAT, CoordinatesWatch
from drivers.camera.pixel_formats import has_words, normalise, normalised_format, row_bytes
from drivers.camera.protocol import (
    CameraInfo,
    CameraLost,
    CameraSettingError,
    GrabbedFrame,
    HeightMap,
    Pixels,
    ProducerError,
)
from drivers.camera.settings import DEPTH_FORMAT, CameraSettings
from drivers.camera.trigger_clock import TriggerClock

_ALIVE_CHECK_NS = 500_000_000
_NO_PIXELS: Pixels = np.empty((0, 0), np.uint8)
_ONE_IMAGE = (
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_IMAGE,
    gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_CHUNK_DATA,
)
_SEVERAL_PARTS = gentl.PAYLOADTYPE_INFO_IDS.PAYLOAD_TYPE_MULTI_PART
_NOT_SAID = (gentl.NotAvailableException, gentl.NotImplementedException)
"""What a producer raises that does not know something of a frame."""
_UNREADABLE = (IndexError, ValueError, OverflowError, *_NOT_SAID)
"""What makes one frame useless: IndexError is a payload without an image (only chunk data, JPEG), OverflowError a size
that no memory has, the others a piece that is not said or does not fit."""
_BIG_ENDIAN = gentl.PIXELENDIANNESS_IDS.PIXELENDIANNESS_BIG


class GenicamCamera:
    """One GenICam camera behind any GenTL producer."""

    def __init__(self, settings: CameraSettings) -> None:
        if settings.producer is None:
            raise ProducerError('camera driver "genicam": no GenTL producer (.cti) given')
        self._settings = settings
        self._producer_path = settings.producer
        self._acquirer: Any = None
        self._held: Any = None
        """The buffer behind the pixels of the last frame: given back at the next grab."""
        self._chunk_timestamp: Callable[[], Any] | None = None
        """Reads the time of the exposure out of the last frame, where the camera puts it there."""
        self._heard_ns = 0
        """When the device last gave a sign of life."""
        self._counted_frames = 0
        self._selected_line = ""
        self._coordinates: CoordinatesWatch | None = None
        """Of a 3-D camera: what its values mean."""
        self._stale = ""
        """Why no frame may be taken any more before the next connect."""
        """The line whose user output is selected."""

    def __enter__(self) -> GenicamCamera:
        self._producer: AbstractContextManager[Harvester] = opened_producer(self._producer_path)
        harvester = self._producer.__enter__()
        try:
            self._connect(harvester)
            self._configure()
            self._info = self._describe()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # With a lost device each step may fail, and is needed for the next: else the producer stays busy for ever.
        failing = (gentl.GenericException, genapi.GenericException)
        with suppress(*failing):
            self._give_back()
        if self._acquirer is not None:
            with suppress(*failing):
                self._acquirer.stop()
            for stream in self._acquirer.data_streams:
                with suppress(*failing):
                    stream.stop_acquisition(gentl.ACQ_STOP_FLAGS_LIST.ACQ_STOP_FLAGS_KILL)
                with suppress(*failing):
                    stream.flush_buffer_queue(gentl.ACQ_QUEUE_TYPE_LIST.ACQ_QUEUE_ALL_DISCARD)
        with suppress(*failing):
            self._producer.__exit__(kind, error, trace)

    @property
    def info(self) -> CameraInfo:
        return self._info

    def _connect(self, harvester: Harvester) -> None:
        cameras = listings(harvester)
        index = find(cameras, self._settings.serial_number, self._producer_path)
        self._listing = cameras[index]
        self._name = f'"{self._listing.serial_number}"'
        try:
            with _sigint_kept():
                self._acquirer = harvester.create(index)
        except gentl.GenericException as error:
            raise CameraLost(
                f"camera {self._name} is listed but cannot be opened: {error}; does another program use it?"
            ) from error
        except genapi.GenericException as error:
            raise CameraSettingError(f"camera {self._name}: its description (XML) cannot be used: {error}") from error
        self._node_map = self._acquirer.remote_device.node_map
        self._features = Features(self._node_map, self._name)

    def _configure(self) -> None:
        self._chunk_timestamp = configure(self._features, self._settings, self._name)
        self._format: str = self._features.get("PixelFormat")
        if self._settings.depth is not None:
            self._coordinates = CoordinatesWatch(self._features, self._settings.depth, self._name)
        else:
            check_values(self._features, self._format, self._settings.significant_bits, self._name)
        self._clock = TriggerClock(self._features)

    def _describe(self) -> CameraInfo:
        depth, coordinates = self._settings.depth, self._coordinates
        return CameraInfo(
            vendor=self._listing.vendor,
            model=self._listing.model,
            serial_number=self._listing.serial_number,
            # Read back from the camera: a feature such as binning has changed them.
            width=self._features.get("Width", from_device=True),
            height=self._features.get("Height", from_device=True),
            pixel_format=normalised_format(self._format) if depth is None else DEPTH_FORMAT,
            picture_channels=0 if depth is None else depth.picture_channels,
            about="" if coordinates is None else str(coordinates.at_connect),
        )

    def start(self) -> None:
        acquirer = self._acquirer
        acquirer.num_buffers = max(self._settings.num_buffers, acquirer.min_num_buffers)
        try:
            acquirer.start()
        except gentl.GenericException as error:
            raise CameraLost(f"camera {self._name} does not start streaming: {error}") from error
        except genapi.GenericException as error:
            raise CameraSettingError(f"camera {self._name} refuses to start streaming: {error}") from error
        # Not public, and the only way to an incomplete frame: ImageAcquirer gives it back without reporting it.
        self._events = next(iter(acquirer._new_buffer_event_monitor_dict.values()))  # noqa: SLF001
        self._heard_ns = time.monotonic_ns()
        self._clock.latch()

    def grab(self, timeout_ms: int) -> GrabbedFrame | None:
        if self._stale:
            raise CameraLost(f"camera {self._name}: {self._stale}; it is connected anew")
        try:
            self._give_back()
            try:
                self._events.update_event_data(timeout_ms)
            except gentl.TimeoutException:
                self._while_idle()
                return None
            received_ns = self._heard_ns = time.monotonic_ns()
            self._held = self._events.buffer
            return self._frame(self._held, received_ns)
        except gentl.GenericException as error:
            raise CameraLost(f"camera {self._name} lost while streaming: {error}") from error

    def trigger(self) -> None:
        if self._settings.trigger != "software":
            raise CameraSettingError(
                f"camera {self._name}: software trigger refused: the trigger is set to {self._settings.trigger!r}"
            )
        self._features.execute("TriggerSoftware")

    def read(self, feature: str) -> int:
        return int(self._features.get(feature, from_device=True))

    def set_output(self, line: str, value: bool) -> None:
        features = self._features
        if line != self._selected_line:  # selecting takes longer than setting, and an ejector waits
            features.set("LineSelector", line)
            if features.writable("LineMode"):
                features.set("LineMode", "Output")
            features.set("UserOutputSelector", user_output(features, line, self._name))
            self._selected_line = line
        features.set("UserOutputValue", value)

    def _frame(self, raw: Any, received_ns: int) -> GrabbedFrame:
        self._counted_frames += 1
        complete = _optional(raw.is_complete) is True
        device_ns = self._device_timestamp(raw, complete=complete)
        pixels, problem, heights = _NO_PIXELS, "", None
        if complete and self._coordinates is not None:
            heights, problem = self._heights(raw, self._coordinates)
        elif complete:
            pixels, problem = self._pixels(raw)
        return GrabbedFrame(
            frame_id=self._frame_id(raw),
            pixels=pixels,
            complete=complete,
            trigger_time_ns=self._clock.trigger_time_ns(device_ns, received_ns),
            received_time_ns=received_ns,
            device_timestamp_ns=device_ns,
            problem=problem,
            heights=heights,
        )

    def _frame_id(self, raw: Any) -> int:
        frame_id: int | None = _optional(lambda: raw.frame_id)
        if frame_id is not None:
            return frame_id
        return self._counted_frames + (_optional(lambda: self._acquirer.data_streams[0].num_underrun) or 0)

    def _pixels(self, raw: Any) -> tuple[Pixels, str]:
        """Mono8 or RGB8; no pixels, and why, where there is no image or none of a format and size that fit its data.

        What a producer says of one frame never ends the process.
        """
        try:
            name, data, height, width = self._image(raw)
            return normalise(name, data, height, width, self._settings.significant_bits), ""
        except KeyError as problem:
            (unknown,) = problem.args  # a number that the PFNC has not, or the name of a format
            name = f"0x{unknown:08x}" if isinstance(unknown, int) else unknown
            return _NO_PIXELS, f"pixel format {name} is not taken"
        except _UNREADABLE as problem:
            return _NO_PIXELS, _why_not(problem)

    def _heights(self, raw: Any, coordinates: CoordinatesWatch) -> tuple[HeightMap | None, str]:
        """The heights of a complete frame; None, and why, where they are not all there or mean something else now."""
        self._stale = coordinates.changed()
        if self._stale:
            return None, self._stale
        try:
            return self._height_map(raw, coordinates), ""
        except KeyError as problem:
            return None, f"pixel format {problem.args[0]} is not taken; allowed: {DEPTH_FORMAT}"
        except _UNREADABLE as problem:
            return None, _why_not(problem)

    def _height_map(self, raw: Any, coordinates: CoordinatesWatch) -> HeightMap:
        """Raises KeyError, ValueError and what a producer raises that does not know something."""
        depth, means = self._settings.depth, coordinates.at_connect
        found: dict[str, NDArray[np.uint8]] = {}
        if raw.payload_type == _SEVERAL_PARTS:
            for part in raw.parts:
                name, height, width = dict_by_ints[part.data_format], part.height, part.width
                if name in (DEPTH_FORMAT, INTENSITY_FORMAT) and name not in found:
                    padding = _optional(lambda part=part: part.x_padding) or 0  # type: ignore[misc]
                    data = self._rows(raw, name, height, width, padding=padding, offset=part.data_offset)
                    found[name] = data.reshape(height, -1)[:, : row_bytes(name, width)]
        else:
            name, data, height, width = self._image(raw)
            found[name] = data.reshape(height, -1)[:, : row_bytes(name, width)]
        needed = (DEPTH_FORMAT, INTENSITY_FORMAT) if depth is not None and depth.needs_intensity else (DEPTH_FORMAT,)
        if missing := [name for name in needed if name not in found]:
            raise ValueError(
                f"of {' and '.join(needed)} came {' and '.join(found) or 'nothing'}: {' and '.join(missing)} is missing"
            )
        values = found[DEPTH_FORMAT].view("<u2")
        return HeightMap(values, means.scale_mm, means.offset_mm, means.invalid, found.get(INTENSITY_FORMAT))

    def _image(self, raw: Any) -> tuple[str, NDArray[np.uint8], int, int]:
        """Pixel format, bytes, height and width; what harvesters builds around a frame takes 0.15 ms."""
        if raw.payload_type in _ONE_IMAGE:
            with suppress(gentl.GenericException):  # a producer need not say all of it: harvesters looks elsewhere, too
                name, height, width = dict_by_ints[raw.pixel_format], raw.height, raw.width
                padding, offset = _optional(lambda: raw.padding_x) or 0, _optional(lambda: raw.image_offset) or 0
                data = self._rows(raw, name, height, width, padding=padding, offset=offset)
                return name, data, height, width
        # Not public: the public `Buffer` around it lists the attributes of its class anew for each frame. Its own
        # `data` has values of more than 8 bit in another layout.
        image = Buffer._build_payload(buffer=raw, node_map=self._node_map).components[0]  # noqa: SLF001
        name, height, width = image.data_format, image.height, image.width
        data = self._rows(raw, name, height, width, padding=image.x_padding, offset=image.data_offset)
        return name, data, height, width

    def _rows(self, raw: Any, name: str, height: int, width: int, *, padding: int, offset: int) -> NDArray[np.uint8]:
        """The bytes of all rows, with what pads them. Raises KeyError, ValueError, OverflowError."""
        size = (row_bytes(name, width) + padding) * height
        self._check_filled(raw, offset + size)
        if has_words(name) and _optional(lambda: raw.pixel_endianness) == _BIG_ENDIAN:
            raise ValueError(f"{name} with the high byte first is not taken: set the camera to the low byte first")
        return np.frombuffer(raw.raw_buffer, np.uint8, size, offset)

    @staticmethod
    def _check_filled(raw: Any, needed: int) -> None:
        """Raises ValueError where the producer filled fewer bytes: the rest is of an earlier part, and may be good."""
        filled = _optional(lambda: raw.size_filled)
        if filled is not None and filled < needed:
            raise ValueError(f"{filled} bytes are filled, the image needs {needed}")

    def _give_back(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.parent.queue_buffer(held)

    def _device_timestamp(self, raw: Any, *, complete: bool) -> int | None:
        """When the exposure began on the camera's clock, in ns; None when the camera does not say."""
        if self._chunk_timestamp is not None and complete:
            self._acquirer._update_chunk_data(buffer=raw, is_manual=True)  # noqa: SLF001  no public way for a raw buffer
            with suppress(CameraSettingError):
                return self._clock.ticks_to_ns(self._chunk_timestamp())
        timestamp_ns: int | None = _optional(lambda: raw.timestamp_ns)
        return timestamp_ns or None

    def _while_idle(self) -> None:
        now = time.monotonic_ns()
        if now - self._heard_ns < _ALIVE_CHECK_NS:
            return
        self._check_alive()
        self._heard_ns = now
        self._clock.latch_if_old(now)

    def _check_alive(self) -> None:
        """Reads a register past the cache: nothing else distinguishes a lost device from one without a trigger."""
        try:
            self._features.get("Width", from_device=True)
        except CameraSettingError as error:
            raise CameraLost(f"camera {self._name} does not answer any more: {error}") from error


_T = TypeVar("_T")


def _why_not(problem: Exception) -> str:
    """Why a frame is of no use; one of `_UNREADABLE`."""
    if isinstance(problem, IndexError):
        return "no image in the payload"
    return f"the producer does not say what the frame is: {problem}" if isinstance(problem, _NOT_SAID) else str(problem)


def _optional(read: Callable[[], _T]) -> _T | None:
    """A piece of information on a buffer that a producer need not have."""
    try:
        return read()
    except gentl.GenericException:
        return None


@contextmanager
def _sigint_kept() -> Iterator[None]:
    """Harvesters installs its own SIGINT handler when it is used in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
