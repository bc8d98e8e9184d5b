"""Start, watch, drain, stop: the life of the daemon.

    starting ─► running ─► draining ─► stopped
                   │
                   └─ a stage that dies, an engine that hangs, a GPU that fails: Ready falls, what is in flight becomes
                      error parts, the daemon ends with an exit code other than 0 and systemd starts it again

Order of stopping: Ready falls first; parts in flight get their results; LineStop rises where the station pushes parts
off; those on the belt come to their ejectors while it coasts; then camera, inspection, recorder, PLC link.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from types import FrameType

import structlog

from drivers.plc.protocol import PlcLink
from station.codes import ErrorCode, OfflineReason, WarningCode
from station.daemon import logs
from station.daemon.control_server import ControlServer
from station.daemon.gpu_watch import GpuWatch
from station.daemon.plc_requests import PlcRequests
from station.daemon.systemd import Notifier
from station.jobs.plan import PlanBuilding
from station.jobs.teaching_from_line import TeachingFromLine
from station.line.acquisition.cameras import Cameras
from station.line.ejection.stage import EjectionStage
from station.line.inspection.stage import InspectionStage
from station.line.recording.journal import Journal
from station.line.recording.stage import Recorder
from station.line.signalling.messages import RaiseFault, SetOnline, Warn
from station.line.signalling.stage import Signalling

log = structlog.get_logger()

TURN_S = 0.1
STUCK_S = 2.0
"""Longest turn of the signalling loop; after it the watchdog is not fed."""

COAST_S = 5.0
"""At a stop: time for the parts behind the camera to reach their ejectors."""

EXIT_OK = 0
EXIT_STAGE_FAILED = 3
EXIT_ENGINE_HANGS = 4
EXIT_DEVICE_FAILED = 5


@dataclass(frozen=True, slots=True)
class Stages:
    """Everything that runs, in the hands of the supervisor."""

    cameras: Cameras
    inspection: InspectionStage
    signalling: Signalling
    recorder: Recorder
    journal: Journal
    link: PlcLink
    control: ControlServer
    teaching: TeachingFromLine
    plc_requests: PlcRequests
    plans: PlanBuilding
    gpu_watch: GpuWatch | None = None
    """Where a GPU may run the engine."""
    ejection: EjectionStage | None = None
    """Where the station pushes parts off itself."""


def stop_on_signals() -> threading.Event:
    """SIGTERM and SIGINT only set this flag; the supervisor reads it."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


class Supervisor:
    """Owns the running stages, on the main thread: watches them until a signal or a failure, then stops them."""

    def __init__(
        self,
        stages: Stages,
        stop: threading.Event,
        *,
        engine_hang_s: float,
        drain_timeout_s: float,
        start_online: bool = True,
    ) -> None:
        self._stages = stages
        self._engine_hang_s = engine_hang_s
        self._drain_timeout_s = drain_timeout_s
        self._start_online = start_online
        self._stop = stop
        self._notifier = Notifier()
        self._warned: WarningCode = WarningCode.NONE

    def run(self) -> int:
        """Watches the running stages; returns the exit code after everything has been stopped."""
        if self._start_online:
            self._stages.signalling.post(SetOnline(True))
        else:
            self._stages.signalling.post(SetOnline(False, OfflineReason.BY_OPERATOR))
        self._notifier.ready("running")
        code = EXIT_OK
        while code == EXIT_OK and not self._stop.wait(TURN_S):
            code = self._watch()
        self._notifier.stopping()
        return self._shut_down(code)

    def _watch(self) -> int:
        """One round of watching; an exit code other than 0 ends the daemon."""
        stages = self._stages
        alive = {
            "inspection": stages.inspection.is_alive,
            "signalling": stages.signalling.is_alive,
            "recording": stages.recorder.is_alive,
            "acquisition": stages.cameras.is_alive,
            "control": stages.control.is_alive,
            "PLC requests": stages.plc_requests.is_alive,
            "ejection": stages.ejection is None or stages.ejection.is_alive,
        }
        dead = [name for name, is_alive in alive.items() if not is_alive]
        if dead:
            stages.signalling.post(RaiseFault(ErrorCode.STAGE_FAILED, ", ".join(dead)))
            log.error("stage ended by itself", stages=dead)
            return EXIT_STAGE_FAILED
        if why := stages.inspection.device_lost:
            stages.signalling.post(RaiseFault(ErrorCode.DEVICE_FAILED, why))
            log.error("GPU failed, only a restart helps", problem=why)
            return EXIT_DEVICE_FAILED
        if stages.inspection.busy_for_s > self._engine_hang_s:
            stages.signalling.post(RaiseFault(ErrorCode.ENGINE_HANGS, f"no result for {self._engine_hang_s} s"))
            log.error("engine hangs", busy_for_s=round(stages.inspection.busy_for_s, 1))
            return EXIT_ENGINE_HANGS
        health = stages.recorder.health
        if health.warning is not self._warned:
            if self._warned is not WarningCode.NONE:
                stages.signalling.post(Warn(self._warned, False))
            if health.warning is not WarningCode.NONE:
                stages.signalling.post(Warn(health.warning, True))
            self._warned = health.warning
        if stages.signalling.idle_for_s < STUCK_S:
            self._notifier.alive()
        return EXIT_OK

    def _shut_down(self, code: int) -> int:
        stages = self._stages
        if not stages.signalling.stop(self._drain_timeout_s):
            log.error("parts in flight did not drain", after_s=self._drain_timeout_s)
            code = code or EXIT_STAGE_FAILED
        if stages.ejection is not None and not stages.ejection.stop(COAST_S):
            log.error("parts stayed between camera and ejector", after_s=COAST_S)
        stages.teaching.close()
        stages.plans.close()
        if not stages.plc_requests.stop(timeout_s=2.0):
            log.error("a change of recipe, engine or configuration did not end in time")
            code = code or EXIT_STAGE_FAILED
        stages.cameras.stop(timeout_s=3.0)
        hangs = not stages.inspection.stop(timeout_s=2.0)
        hangs = hangs or (stages.gpu_watch is not None and not stages.gpu_watch.stop(timeout_s=2.0))
        stages.recorder.stop(timeout_s=10.0)
        stages.link.__exit__(None, None, None)
        stages.control.close()
        stages.journal.close()
        log.info("stopped", exit_code=code)
        if hangs or code == EXIT_DEVICE_FAILED:
            # a thread stuck in native code cannot be ended, and what lies on a GPU that failed cannot be released:
            # everything else is closed, so leave without it
            logs.close()
            os._exit(code or EXIT_ENGINE_HANGS)
        return code
