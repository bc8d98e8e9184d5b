"""The PLC of the bench: a client of its own, that scans as fast as it has something to do."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from station.simulation.plant.plc_link import StationLink
from station.simulation.plant.plc_signals import Control, StationStatus
from tests.bench.waiting import wait_for

WIDTH, HEIGHT = 160, 128

PLC_PATIENCE_S = 5.0
"""A PLC that gives up sooner closes its connection, and the station withdraws the results that it has not taken."""
SCAN_S, IDLE_SCAN_S = 0.003, 0.02
"""Pause between two scans of the PLC: while it does something, and when it has set no output and read no result for
`BUSY_S`. Scans of a PLC that only looks would take as much of the processor as the station itself."""
BUSY_S = 1.0


@dataclass(frozen=True, slots=True)
class PlcResult:
    """What the PLC read for a part."""

    result: int
    passed: bool
    reject: bool
    reason_code: int


class BenchPlc:
    """A PLC that announces parts, collects results and always acknowledges."""

    def __init__(self, port: int) -> None:
        self._link = StationLink("127.0.0.1", port, timeout_s=PLC_PATIENCE_S)
        self._lock = threading.Lock()
        self.control = Control(trigger_enable=True, buffer_enable=True)
        self.status: StationStatus | None = None
        self.results: dict[int, list[PlcResult]] = {}
        self.acknowledge = True
        self.beat = True
        self._busy_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._scan, name="bench-plc", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the scan and the connection. May be called more than once."""
        self._stop.set()
        self._thread.join()
        self._link.close()

    def reset(self) -> None:
        """Outputs as at the start, and nothing read."""
        with self._lock:
            self.control = Control(trigger_enable=True, buffer_enable=True)
            self.results = {}
            self.acknowledge = self.beat = True

    def set(self, **changes: Any) -> None:
        """Changes outputs from the next scan on; also without any it scans fast for a while."""
        self._busy_until = time.monotonic() + BUSY_S
        with self._lock:
            self.control = replace(self.control, **changes)

    @property
    def ready(self) -> bool:
        return self.status is not None and self.status.trigger_ready

    def latch(self, part_id: int) -> None:
        """Announces the next part and waits for the acknowledgement."""
        self.set(part_id=part_id, latch_part_id=True)
        wait_for(lambda: self.status is not None and self.status.part_id_ack, f"PartIdAck of {part_id}")
        self.set(latch_part_id=False)
        wait_for(lambda: self.status is not None and not self.status.part_id_ack, "PartIdAck to fall")

    def command(self, number: int, argument: int = 0) -> bool:
        """Has a command carried out; whether it was completed."""
        self.set(command=number, command_argument=argument, execute=True)
        wait_for(lambda: self.status is not None and self._outcome(self.status), f"the end of command {number}")
        assert self.status is not None
        completed = self.status.command_completed
        self.set(execute=False)
        wait_for(lambda: self.status is not None and not self._outcome(self.status), "CommandCompleted to fall")
        return completed

    @staticmethod
    def _outcome(status: StationStatus) -> bool:
        return status.command_completed or status.command_failed

    def _scan(self) -> None:
        while not self._stop.wait(SCAN_S if time.monotonic() < self._busy_until else IDLE_SCAN_S):
            now = time.monotonic()
            status = self.status = self._link.read(now)
            with self._lock:
                if status is not None and status.results_valid and self.acknowledge:
                    self._busy_until = now + BUSY_S
                    if not self.control.results_ack:
                        result = PlcResult(status.result, status.pass_, status.reject, status.reason_code)
                        # In one step: who waits for the key reads its first result at once.
                        self.results[status.part_id] = [*self.results.get(status.part_id, ()), result]
                        self.control = replace(self.control, results_ack=True)
                elif status is not None and not status.results_valid:
                    self.control = replace(self.control, results_ack=False)
                if self.beat:
                    self.control = replace(self.control, heartbeat=int(now * 4) & 0xFFFF)
                control = self.control
            self._link.write(control, now)
