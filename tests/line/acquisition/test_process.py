"""What the camera process does with the daemon's commands, over the real link and with a camera that plays files."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from drivers.camera.settings import CameraSettings
from station.codes import ReasonCode
from station.line.acquisition.link import (
    Alive,
    CameraLink,
    Connected,
    Finish,
    Fire,
    FrameLost,
    FrameReady,
    Open,
    ReleaseSlot,
)
from station.line.acquisition.process import serve
from station.line.acquisition.ring import FrameRing
from tests.bench.cameras import numbered_image

PATIENCE_S = 20.0
SLOTS = 2
M = TypeVar("M")


class Daemon:
    """The daemon's end of the link, and its mapping of the newest ring."""

    def __init__(self, link: CameraLink, folder: Path) -> None:
        self._link = link
        self.settings = CameraSettings(driver="folder", folder=folder, trigger="software")

    def open(self) -> tuple[FrameRing, int]:
        self._link.send(Open(self.settings, SLOTS))
        message, fd = self._receive(Connected)
        assert fd is not None
        ring = FrameRing(fd, message.slots, message.info.shape)
        os.close(fd)
        return ring, message.ring

    def fire(self, kind: type[M]) -> M:
        self._link.send(Fire())
        return self._receive(kind)[0]

    def release(self, slot: int, ring: int) -> None:
        self._link.send(ReleaseSlot(slot, ring))

    def _receive(self, kind: type[M]) -> tuple[M, int | None]:
        message: object = Alive()
        while isinstance(message, Alive):
            received = self._link.receive(PATIENCE_S)
            assert received is not None
            message, fd = received
        assert isinstance(message, kind), message
        return message, fd


@pytest.fixture
def daemon(folder: Path) -> Iterator[Daemon]:
    link, there = CameraLink.pair()
    process = CameraLink(there)
    daemon = Daemon(link, folder)
    thread = threading.Thread(target=serve, args=(process, Open(daemon.settings, SLOTS)))
    thread.start()
    received = link.receive(PATIENCE_S)
    assert received is not None
    os.close(received[1] or -1)
    yield daemon
    link.send(Finish())
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    link.close()
    process.close()


def test_a_slot_of_the_ring_before_other_settings_frees_none_of_the_new_one(daemon: Daemon) -> None:
    """Its release was on its way when the settings came: freed twice, the slot would show another part's picture."""
    first, number = daemon.open()
    held = [daemon.fire(FrameReady).slot for _ in range(SLOTS)]
    second, following = daemon.open()
    assert following != number
    daemon.release(held[0], number)  # free in the new ring: the process must not take it for a fault
    ready = [daemon.fire(FrameReady) for _ in range(SLOTS)]
    daemon.release(held[1], number)  # in use in the new ring
    assert daemon.fire(FrameLost).code is ReasonCode.FRAME_RING_FULL
    for frame in ready:
        assert (second.take(frame.slot) == numbered_image(frame.frame_id - 1)).all()
    daemon.release(ready[0].slot, following)
    assert daemon.fire(FrameReady).slot == ready[0].slot
    first.close()
    second.close()
