"""The daemon's side of one camera process."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from drivers.camera.protocol import CameraInfo
from station.line.acquisition.link import (
    CameraLink,
    Connected,
    Finish,
    Fire,
    FromCamera,
    Open,
    ReleaseSlot,
    SetOutput,
)
from station.line.acquisition.output import OutputReader, SaidLines
from station.line.acquisition.ring import FrameRing, picture_and_values, slot_shape
from station.python_command import python_command

LAST_LINES_S = 1.0
"""Time limit for reading what the process wrote last."""


class CameraHandle:
    """A camera process from its start to `end`. `send` may be called by any thread, the rest by one."""

    def __init__(self, environment: Mapping[str, str], said: SaidLines) -> None:
        """Starts the process, which then waits for `Open`. Raises OSError when it cannot be started."""
        self._ring: FrameRing | None = None
        self._info: CameraInfo | None = None
        self._link, there = CameraLink.pair()
        try:
            self._process = subprocess.Popen(
                python_command(
                    "station.line.acquisition.process",
                    str(there.fileno()),
                    str(os.getpid()),
                    interpreter_options=("-X", "faulthandler"),
                ),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                pass_fds=[there.fileno()],
                env={**os.environ, **environment},
            )
        except OSError:
            self._link.close()
            raise
        finally:
            there.close()
        assert self._process.stderr is not None
        self._output = OutputReader(self._process.stderr, said)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, command: Open | Fire | SetOutput | Finish) -> None:
        """Sends a command; never waits. Raises LinkClosed, or BlockingIOError when the process does not read."""
        self._link.send(command)

    def receive(self, timeout_s: float) -> FromCamera | None:
        """The next message of the process; None when none comes in time.

        Raises LinkClosed when the process is gone, after all its messages have been received.
        """
        received = self._link.receive(timeout_s)
        if received is None:
            return None
        message, fd = received
        if fd is not None:
            try:
                if isinstance(message, Connected):
                    if self._ring is not None:
                        self._ring.close()
                    self._ring = FrameRing(fd, message.slots, slot_shape(message.info), message.ring)
                    self._info = message.info
            finally:
                os.close(fd)
        if not isinstance(message, FromCamera):
            raise TypeError(f"the camera process sent a command: {message}")
        return message

    def take(self, slot: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16] | None]:
        """Copies the pixels out of a slot of the ring, which stays taken until `release`; maybe with heights."""
        if self._ring is None or self._info is None:
            raise RuntimeError(f"frame in slot {slot} before the camera was connected")
        taken = self._ring.take(slot)
        return picture_and_values(taken, self._info) if self._info.has_heights else (taken, None)

    def release(self, slot: int) -> None:
        """Gives a slot back to the camera process. Raises as `send`."""
        if self._ring is not None:
            self._link.send(ReleaseSlot(slot, self._ring.number))

    def end(self, grace_s: float) -> str:
        """Waits for the process to end, kills it when it does not, and returns how it ended. Idempotent."""
        try:
            code = self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._output.join(LAST_LINES_S)
        self._link.close()
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def kill(self) -> None:
        """Ends the process now; for another thread."""
        self._process.kill()
