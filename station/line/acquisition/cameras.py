"""All cameras of the station: one acquisition each, started and stopped together."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from drivers.camera.protocol import CameraError, CameraNotFound
from drivers.camera.settings import CameraSettings
from station.line.acquisition.messages import AcquisitionMessage, CameraChanged, CameraState
from station.line.acquisition.stage import Acquisition

_SETTLED = (CameraState.STREAMING, CameraState.DOWN, CameraState.FAILED)


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """What a camera is set to, and how it is kept connected."""

    settings: CameraSettings
    ring_slots: int = 8
    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 10.0


class CameraAbsent(CameraError):
    """A camera is not there now; it is taken when it comes."""


class Cameras:
    """The cameras of a station by their names. Any thread may call it; each camera has a thread of its own."""

    def __init__(self, setups: Mapping[str, CameraSetup], post: Callable[[AcquisitionMessage], None]) -> None:
        """`post` must not block for long; see `Acquisition`."""
        self._post = post
        self._settled: queue.SimpleQueue[CameraChanged] = queue.SimpleQueue()
        self._shapes: dict[str, tuple[int, ...]] = {}
        """Of the cameras that have streamed; written by the one thread that waits for them."""
        self._by_name = {
            name: Acquisition(
                name,
                setup.settings,
                self._from_camera,
                ring_slots=setup.ring_slots,
                reconnect_min_s=setup.reconnect_min_s,
                reconnect_max_s=setup.reconnect_max_s,
            )
            for name, setup in setups.items()
        }

    def __getitem__(self, name: str) -> Acquisition:
        return self._by_name[name]

    @property
    def is_alive(self) -> bool:
        """False once an acquisition thread has ended."""
        return all(camera.is_alive for camera in self._by_name.values())

    def start(self) -> None:
        """Starts connecting; returns at once."""
        for camera in self._by_name.values():
            camera.start()

    def wait_streaming(self, timeout_s: float) -> dict[str, tuple[int, ...]]:
        """Waits until every camera has streamed; the shape of its frames. Raises CameraAbsent when one is not there or
        does not come in time, CameraError when one cannot be used as configured; each with its name. May be called
        again, by one thread at a time.
        """
        end = time.monotonic() + timeout_s
        while len(self._shapes) < len(self._by_name):
            try:
                message = self._settled.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                missing = next(name for name in self._by_name if name not in self._shapes)
                raise CameraAbsent(
                    f'camera "{missing}" did not start within {timeout_s:g} s; see "station camera list"'
                ) from None
            if message.info is not None:
                self._shapes[message.camera] = message.info.shape
                continue
            is_absent = message.state is CameraState.DOWN or message.detail.startswith(CameraNotFound.__name__)
            raise (CameraAbsent if is_absent else CameraError)(f'camera "{message.camera}": {message.detail}')
        return dict(self._shapes)

    def fire(self, name: str) -> None:
        """Executes a software trigger; see `Acquisition.fire`."""
        self._by_name[name].fire()

    def set_output(self, name: str, line: str, value: bool) -> None:
        """Sets an output line of a camera; see `Acquisition.set_output`."""
        self._by_name[name].set_output(line, value)

    def stop(self, timeout_s: float) -> None:
        """Ends all camera processes side by side, by force after `timeout_s`. Idempotent."""
        with ThreadPoolExecutor(len(self._by_name), thread_name_prefix="stop-camera") as pool:
            for stopping in [pool.submit(camera.stop, timeout_s) for camera in self._by_name.values()]:
                stopping.result()

    def _from_camera(self, message: AcquisitionMessage) -> None:
        self._post(message)
        if isinstance(message, CameraChanged) and message.state in _SETTLED and len(self._shapes) < len(self._by_name):
            self._settled.put(message)
