"""Acquisition with a real camera process, and an inbox that keeps what it posts."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from drivers.camera.producer import producer_from_name
from drivers.camera.settings import CameraSettings, Trigger
from drivers.camera.simtl import Scene
from station.line.acquisition.messages import (
    AcquisitionMessage,
    CameraChanged,
    CameraSaid,
    CameraState,
    FrameArrived,
    FrameFailed,
)
from station.line.acquisition.stage import Acquisition
from tests.bench.waiting import wait_for

PATIENCE_S = 20.0
CLOCK_MAPPING_NS = 100_000
"""The device's clock is mapped to the host's by readings that themselves take microseconds."""
M = TypeVar("M")


class Inbox:
    """Keeps what acquisition posts, in order. `hold` makes the next frame's post wait, as a busy daemon would."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[AcquisitionMessage] = queue.SimpleQueue()
        self.said: list[str] = []
        """Lines of the camera's library, which come when they come."""
        self.flowing = threading.Event()
        self.flowing.set()

    def post(self, message: AcquisitionMessage) -> None:
        if isinstance(message, FrameArrived):
            assert self.flowing.wait(PATIENCE_S)
        if isinstance(message, CameraSaid):
            self.said.append(message.line)
            return
        self._messages.put(message)

    def frame(self) -> FrameArrived | FrameFailed:
        """The next message, which must be about a frame."""
        message = self._messages.get(timeout=PATIENCE_S)
        assert isinstance(message, FrameArrived | FrameFailed), message
        return message

    def next(self, kind: type[M]) -> M:
        """The next message, which must be of this kind."""
        message = self._messages.get(timeout=PATIENCE_S)
        assert isinstance(message, kind), message
        return message

    def state(self, state: CameraState) -> CameraChanged:
        """The next message, which must be this change."""
        change = self.next(CameraChanged)
        assert change.state is state, change
        return change

    def rest(self) -> list[AcquisitionMessage]:
        messages = []
        while not self._messages.empty():
            messages.append(self._messages.get())
        return messages


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@contextmanager
def acquiring(inbox: Inbox, settings: CameraSettings, **options: object) -> Iterator[Acquisition]:
    """An acquisition that streams, unless its camera cannot; stopped at the end, without leaving a process."""
    options = {"reconnect_min_s": 0.05, "reconnect_max_s": 0.4, **options}
    acquisition = Acquisition("top", settings, inbox.post, **options)  # type: ignore[arg-type]
    acquisition.start()
    try:
        inbox.state(CameraState.CONNECTING)
        yield acquisition
    finally:
        inbox.flowing.set()
        acquisition.stop(timeout_s=5.0)
    assert acquisition.pid is None
    assert not [thread for thread in threading.enumerate() if thread.name == "acquisition-top"]


@contextmanager
def simtl(
    inbox: Inbox, scene: Scene, trigger: Trigger = "line", pixel_format: str | None = None, **options: object
) -> Iterator[Acquisition]:
    settings = CameraSettings(
        producer=producer_from_name("simtl"),
        trigger=trigger,
        exposure_time_us=1000.0,
        pixel_format=pixel_format,
    )
    with acquiring(inbox, settings, environment=scene.environment(), **options) as acquisition:
        inbox.state(CameraState.STREAMING)
        yield acquisition


@contextmanager
def playing(inbox: Inbox, folder: Path, **options: object) -> Iterator[Acquisition]:
    """A camera process without GenICam: starts faster."""
    with acquiring(inbox, CameraSettings(driver="folder", folder=folder, trigger="software"), **options) as acquisition:
        inbox.state(CameraState.STREAMING)
        yield acquisition


def expose(scene: Scene) -> None:
    """One exposure: pulses the line until the camera, maybe still busy with the last one, takes the trigger."""
    before = scene.exposure()

    def answered() -> bool:
        now = scene.exposure()
        return now.exposures + now.missed_triggers > before.exposures + before.missed_triggers

    scene.pulse_line1()
    wait_for(answered, "exposure")
    if scene.exposure().exposures == before.exposures:
        expose(scene)
