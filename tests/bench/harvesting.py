"""The software camera as a plain harvesters program sees it, without the station's own driver."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from genicam.gentl import ACQ_QUEUE_TYPE_LIST, ACQ_STOP_FLAGS_LIST, GenericException
from harvesters.core import Callback, Harvester
from numpy.typing import NDArray

from drivers.camera.simtl import producer_path

PATIENCE_S = 20.0
NOTHING_S = 0.2
"""How long a test waits to be sure that nothing comes."""


@dataclass(frozen=True)
class Fetched:
    pixels: NDArray[np.uint8]
    frame_id: int
    timestamp_ns: int
    chunk_frame_id: int | None
    chunk_timestamp_ns: int | None
    received_ns: int


class HarvestedCamera:
    """An image acquirer with short words for what the tests do with it."""

    def __init__(self, acquirer: Any) -> None:
        self.acquirer = acquirer
        self.nodes = acquirer.remote_device.node_map
        self.incomplete = 0
        acquirer.add_callback(acquirer.Events.INCOMPLETE_BUFFER, _Counter(self))

    def set(self, **features: Any) -> None:
        for name, value in features.items():
            self.nodes.get_node(name).value = value

    def start(self, trigger: str | None = None, **features: Any) -> None:
        """Streams: free-running, or triggered by `Software` or `Line1`."""
        self.set(ExposureTime=10.0, TriggerSelector="FrameStart", TriggerMode="On" if trigger else "Off")
        if trigger:
            self.set(TriggerSource=trigger)
        self.set(**features)
        self.acquirer.start()

    def fetch(self, timeout_s: float = PATIENCE_S) -> Fetched | None:
        """The next complete frame; None on timeout and for an incomplete one."""
        buffer = self.acquirer.try_fetch(timeout=timeout_s)
        if buffer is None:
            return None
        received_ns = time.monotonic_ns()
        image = buffer.payload.components[0]
        channels = int(image.num_components_per_pixel)
        shape = (image.height, image.width) if channels == 1 else (image.height, image.width, channels)
        chunk = self.nodes.ChunkModeActive.value
        fetched = Fetched(
            pixels=image.data.reshape(shape).copy(),
            frame_id=buffer.module.frame_id,
            timestamp_ns=buffer.module.timestamp_ns,
            chunk_frame_id=self.nodes.ChunkFrameID.value if chunk else None,
            chunk_timestamp_ns=self.nodes.ChunkTimestamp.value if chunk else None,
            received_ns=received_ns,
        )
        buffer.queue()
        return fetched

    def trigger(self) -> None:
        self.nodes.TriggerSoftware.execute()

    def clock_ns(self) -> int:
        self.nodes.TimestampLatch.execute()
        return int(self.nodes.TimestampLatchValue.value)

    def set_output(self, user_output: str, value: bool) -> None:
        self.set(UserOutputSelector=user_output, UserOutputValue=value)

    def close(self) -> None:
        """Also with a device that does not answer any more: what a driver has to do to get rid of it."""
        with suppress(GenericException):
            self.acquirer.stop()
        for stream in self.acquirer.data_streams:
            with suppress(GenericException):
                stream.stop_acquisition(ACQ_STOP_FLAGS_LIST.ACQ_STOP_FLAGS_KILL)
            with suppress(GenericException):
                stream.flush_buffer_queue(ACQ_QUEUE_TYPE_LIST.ACQ_QUEUE_ALL_DISCARD)
        self.acquirer.destroy()


class _Counter(Callback):
    """What harvesters calls for an incomplete buffer."""

    def __init__(self, camera: HarvestedCamera) -> None:
        self._camera = camera

    def emit(self, context: Any = None) -> None:
        self._camera.incomplete += 1


@contextmanager
def harvester() -> Iterator[Harvester]:
    """A harvester on the software camera. One at a time: a second one in the same process lists no device."""
    harvester = Harvester()
    try:
        harvester.add_file(str(producer_path()))
        harvester.update()
        yield harvester
    finally:
        harvester.reset()


@contextmanager
def connected(harvester: Harvester, device: int = 0) -> Iterator[HarvestedCamera]:
    camera = HarvestedCamera(harvester.create({"serial_number": f"SIM{device:04}"}))
    try:
        yield camera
    finally:
        camera.close()


@contextmanager
def camera() -> Iterator[HarvestedCamera]:
    """The first software camera."""
    with harvester() as found, connected(found) as camera:
        yield camera


def fetched(camera: HarvestedCamera) -> Fetched:
    """The next frame, which must come and be complete."""
    frame = camera.fetch()
    assert frame is not None
    return frame
