"""What goes where of that which cameras and the PLC post.

PLC link ──► control block ─────────────► ejection (encoder, sensors), then signalling
camera   ──► position of the encoder ───► ejection
         ──► frame ─────────────────────► inspection, which begins with its pixels, then signalling: whose frame is it?
         ──► has connected ─────────────► signalling, then ejection: its output lines are set again
         ──► everything else ───────────► signalling
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from drivers.plc.protocol import PlcInputs
from station.line.acquisition.messages import AcquisitionMessage, CameraChanged, CameraState, EncoderMoved, FrameArrived
from station.line.ejection import messages as ejection
from station.line.signalling.messages import Message, PlcWrote
from station.results import Frame

Row = TypeVar("Row")


class Routing:
    """Knows who listens; called on the thread of the PLC link and on those of the cameras, and never waits.

    Link and cameras are built before signalling and ejection, which need them: `connect` before anything is started.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._to_signalling: Callable[[Message], None] | None = None
        self._to_ejection: Callable[[ejection.Message], None] | None = None
        self._begin: Callable[[Frame], None] | None = None

    def connect(
        self,
        to_signalling: Callable[[Message], None],
        to_ejection: Callable[[ejection.Message], None] | None,
        begin: Callable[[Frame], None] | None = None,
    ) -> None:
        """Names the listeners. `to_ejection`: None where the PLC pushes parts off itself. `begin`: of inspection."""
        self._begin = begin
        self._to_signalling = to_signalling
        self._to_ejection = to_ejection

    def post(self, message: Message) -> None:
        """To signalling."""
        assert self._to_signalling is not None, "nothing runs before `connect`"
        self._to_signalling(message)

    def plc_wrote(self, inputs: PlcInputs) -> None:
        """The PLC has written its control block. Ejection first: a part may be due at an ejector now."""
        now_ns = self._clock()
        if self._to_ejection is not None:
            self._to_ejection(ejection.ControlWritten(inputs, now_ns))
        self.post(PlcWrote(inputs, now_ns))

    def from_camera(self, message: AcquisitionMessage) -> None:
        """A camera says something."""
        if isinstance(message, EncoderMoved):
            if self._to_ejection is not None:
                self._to_ejection(ejection.EncoderRead(message.count, message.time_ns))
            return
        if isinstance(message, FrameArrived) and self._begin is not None:
            self._begin(message.frame)
        self.post(message)
        streams = isinstance(message, CameraChanged) and message.state is CameraState.STREAMING
        if streams and self._to_ejection is not None:
            self._to_ejection(ejection.OutputsReset())


def in_order(*takers: Callable[[Row], None] | None) -> Callable[[Row], None]:
    """Hands a record to each of these, in this order; None: one that is not there."""
    there = [taker for taker in takers if taker is not None]

    def record(record: Row) -> None:
        for taker in there:
            taker(record)

    return record
