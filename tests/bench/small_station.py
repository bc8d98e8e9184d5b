"""A station in miniature for Modbus clients: the real link and the real handshake, and verdicts by part id.

Its parts need no camera: a trigger is taken, exposed and decided at once. Part ids ending in 0 fail, all others pass.
"""

from __future__ import annotations

import queue
import threading
import time
from types import TracebackType

from drivers.plc.modbus import ModbusServerSettings, ModbusTcpServerLink
from drivers.plc.protocol import LinkEvent, PlcInputs
from station.codes import OfflineReason, ReasonCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import (
    HandshakeRequest,
    HandshakeSettings,
    PartResult,
    StationState,
    StationStatus,
    TriggerMissed,
    TriggerRequested,
)
from station.results import Verdict

ONLINE = StationStatus(
    online=True, can_take_part=True, state=StationState.CONTINUOUS_EXECUTION, offline_reason=OfflineReason.NONE
)


class SmallStation:
    """Runs between `__enter__` and `__exit__`; the handshake belongs to its thread."""

    def __init__(self) -> None:
        self.events: list[LinkEvent] = []
        self.requests: list[HandshakeRequest] = []
        self._inbox: queue.SimpleQueue[PlcInputs | None] = queue.SimpleQueue()
        self._handshake = Handshake(HandshakeSettings(), time.monotonic_ns())
        self._handshake.station_changed(ONLINE, time.monotonic_ns())
        self._link = ModbusTcpServerLink(ModbusServerSettings(port=0), self._inbox.put, self.events.append)
        self._link.publish(self._handshake.outputs())
        self._thread = threading.Thread(target=self._run, name="small station")

    @property
    def port(self) -> int:
        return self._link.port

    @property
    def missed(self) -> int:
        return sum(isinstance(request, TriggerMissed) for request in self.requests)

    def __enter__(self) -> SmallStation:
        self._link.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inbox.put(None)
        self._thread.join()
        self._link.__exit__(None, None, None)

    def _run(self) -> None:
        acquisition_id = 0
        while True:
            now = time.monotonic_ns()
            requests = self._handshake.tick(now)
            self._link.publish(self._handshake.outputs())
            try:
                inputs = self._inbox.get(timeout=max(self._handshake.next_wakeup_ns() - now, 0) / 1e9)
            except queue.Empty:
                continue
            if inputs is None:
                return
            now = time.monotonic_ns()
            requests += self._handshake.plc_wrote(inputs, now)
            self.requests += requests
            for request in requests:
                if isinstance(request, TriggerRequested):
                    acquisition_id += 1
                    self._handshake.trigger_accepted(acquisition_id, now)
                    self._handshake.exposure_completed(acquisition_id)
                    self._handshake.result(self._decide(acquisition_id, request.part_id))

    @staticmethod
    def _decide(acquisition_id: int, part_id: int) -> PartResult:
        verdict = Verdict.PASS if part_id % 10 else Verdict.FAIL
        reason = ReasonCode.NONE if verdict is Verdict.PASS else ReasonCode.SCORE_ABOVE_LIMIT
        return PartResult(acquisition_id, part_id, verdict, reason, 0.25, 0.5, 0, 31.2)
