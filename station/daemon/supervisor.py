"""Start, watch, drain, stop: the life of the daemon.

    starting ─► running ─► draining ─► stopped
                   │
                   └─ a stage that dies, an engine that hangs, a GPU that fails: Ready falls, what is in flight becomes
                      error parts, the daemon ends with an exit code other than 0 and systemd starts it again

Order of stopping: Ready falls first; parts in flight get their results; LineStop rises where the station pushes parts
off; those on the belt come to their ejectors while it coasts; then camera, inspection, recorder, PLC link.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType

import structlog

from drivers.plc.protocol import PlcLink
from station.codes import ErrorCode, OfflineReason, WarningCode
from station.daemon import logs
from station.daemon.candidate.shadowing import Shadowing
from station.daemon.change_record import OneChange
from station.daemon.control_server import ControlServer
from station.daemon.gpu_watch import GpuWatch
from station.daemon.late_cameras import LateCameras
from station.daemon.plc.requests import PlcRequests
from station.daemon.systemd import Hangups, Notifier
from station.jobs.plan import PlanBuilding
from station.jobs.refresh_process import RefreshProcess
from station.jobs.teaching_from_line import TeachingFromLine
from station.line.acquisition.cameras import Cameras
from station.line.ejection.stage import EjectionStage
from station.line.inspection.stage import InspectionStage
from station.line.recording.journal import Journal
from station.line.recording.messages import RecorderHealth
from station.line.recording.stage import Recorder
from station.line.signalling.messages import RaiseFault, SetOnline, Warn
from station.line.signalling.stage import Signalling
from station.live.stage import LiveStage
from station.monitoring.stage import Monitoring

log = structlog.get_logger()

TURN_S = 0.1
LONGEST_TURN_S = 10.0
"""A stage whose loop does not turn for as long has failed, alive or not."""
STUCK_S = 2.0
"""Longest turn of the signalling loop; after it the watchdog is not fed."""

RECORDING_S = 10.0
"""Time limit at a stop for writing the rows that wait."""
STEP_S = 5.0
"""Time limit of every other step of a stop."""
CHANGE_S = 3.0
"""For a change that was called off, from wherever it was asked for; it undoes what it has done."""
COAST_S = 5.0
"""At a stop: time for the parts behind the camera to reach their ejectors."""

GARBAGE_S = 60.0
"""How often all objects are looked through for cycles."""
PUT_OFF_S = 1800.0
"""Longest time by which rows that wait put it off."""
FEW_ROWS = 50
_NEVER = 1_000_000_000

EXIT_OK = 0
EXIT_STAGE_FAILED = 3
EXIT_ENGINE_HANGS = 4
EXIT_DEVICE_FAILED = 5
EXIT_RECORDS_LOST = 6


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
    refreshing: RefreshProcess
    plc_requests: PlcRequests
    plans: PlanBuilding
    changes: OneChange
    live: LiveStage
    monitoring: Monitoring | None
    shadowing: Shadowing
    hangups: Hangups
    gpu_watch: GpuWatch | None = None
    """Where a GPU may run the engine."""
    ejection: EjectionStage | None = None
    """Where the station pushes parts off itself."""
    late_cameras: LateCameras | None = None
    """Where a camera was not there at the start."""


def stop_on_signals() -> threading.Event:
    """SIGTERM and SIGINT only set this flag; the supervisor reads it."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop


class Liveness:
    """Whether the stages move on: a thread that is alive may stand still for ever; what counts is that its loop turns.

    Time is counted in turns of the supervisor: after a pause of the whole process (SIGSTOP, a suspended computer) no
    stage has stood still for any of them. Owns what each stage has shown last.
    """

    def __init__(self, limit_turns: int) -> None:
        """`limit_turns`: of the supervisor, in which the loop of a stage must turn at least once."""
        self._limit_turns = limit_turns
        self._shown: dict[str, int] = {}
        self._standing: dict[str, int] = {}

    def standing(self, turns: Mapping[str, int]) -> list[str]:
        """The stages whose count of turns has not changed for longer than the limit; called once a turn."""
        for name, count in turns.items():
            moved = self._shown.get(name) != count
            self._shown[name] = count
            self._standing[name] = 0 if moved else self._standing[name] + 1
        return [name for name in turns if self._standing[name] > self._limit_turns]


class Garbage:
    """Owns when Python looks for cycles through all objects: every thread stands still meanwhile.

    With the modules that is 40 ms, with rows that wait for a disk 100: longer than an answer to the PLC may take. Made
    when everything is imported and nothing is open: what is there by then stays for good and is not looked at again.
    Young objects are looked at as ever, which takes 2 ms at most.
    """

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        often, seldom, _ = gc.get_threshold()
        gc.set_threshold(often, seldom, _NEVER)
        self._due_s = time.monotonic() + GARBAGE_S

    def turn(self, waiting: int, now_s: float) -> None:
        """Looks through all objects when it is due and few rows wait (`waiting`): then there are few.

        On a disk that is always too slow it is done in the end, or cycles would fill the memory.
        """
        if now_s >= self._due_s and (waiting < FEW_ROWS or now_s >= self._due_s + PUT_OFF_S):
            self._due_s = now_s + GARBAGE_S
            gc.collect()


class Stopping:
    """Owns the list of the steps that did not end. Used by one thread."""

    def __init__(self) -> None:
        self.hanging: list[str] = []
        """Their threads cannot be ended: only the process can."""

    def step(self, name: str, limit_s: float, stop: Callable[[], object]) -> None:
        """Calls `stop` in a thread of its own and waits for at most `limit_s`.

        A step that raises leaves its trace in the log (`threading.excepthook`), and the next one is taken.
        """
        thread = threading.Thread(target=stop, name=f"stop-{name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:  # no thread can be started any more
            log.error("step of the stop left out", step=name, problem=str(problem))
            self.hanging.append(name)
            return
        thread.join(limit_s)
        if thread.is_alive():
            log.error("step of the stop did not end in time", step=name, limit_s=limit_s)
            self.hanging.append(name)


class Supervisor:
    """Owns the running stages, on the main thread: watches them until a signal or a failure, then stops them."""

    def __init__(
        self,
        stages: Stages,
        stop: threading.Event,
        garbage: Garbage,
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
        self._garbage = garbage
        self._notifier = Notifier()
        self._warned: WarningCode = WarningCode.NONE
        self._lost = 0
        self._liveness = Liveness(round(LONGEST_TURN_S / TURN_S))

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
            "hangups": stages.hangups.is_alive,
            "ejection": stages.ejection is None or stages.ejection.is_alive,
            "late cameras": stages.late_cameras is None or stages.late_cameras.is_well,
        }
        dead = [name for name, is_alive in alive.items() if not is_alive]
        if dead:
            stages.signalling.post(RaiseFault(ErrorCode.STAGE_FAILED, ", ".join(dead)))
            log.error("stage ended by itself", stages=dead)
            return EXIT_STAGE_FAILED
        if standing := self._liveness.standing(self._turns()):
            stages.signalling.post(RaiseFault(ErrorCode.STAGE_FAILED, f"does not turn: {', '.join(standing)}"))
            log.error("stage stands still", stages=standing, for_s=LONGEST_TURN_S)
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
        self._watch_records(health)
        self._garbage.turn(health.waiting, time.monotonic())
        if stages.signalling.idle_for_s < STUCK_S:
            self._notifier.alive()
        return EXIT_OK

    def _turns(self) -> dict[str, int]:
        """How often the loop of each stage has turned that waits for nothing longer than a moment. Recording is not
        among them: it may wait for a disk, which is a warning.
        """
        stages = self._stages
        turns = {"signalling": stages.signalling.turns, "control": stages.control.turns}
        return turns if stages.ejection is None else {**turns, "ejection": stages.ejection.turns}

    def _watch_records(self, health: RecorderHealth) -> None:
        """Passes on what is wrong with the records. Loss stays a warning until it is acknowledged (ClearError)."""
        post = self._stages.signalling.post
        if health.warning is not self._warned:
            if self._warned is not WarningCode.NONE:
                post(Warn(self._warned, False))
            if health.warning is not WarningCode.NONE:
                post(Warn(health.warning, True))
            self._warned = health.warning
        if (lost := health.lost + health.replaced) > self._lost:
            self._lost = lost
            post(Warn(WarningCode.RECORDS_LOST, True))

    def _shut_down(self, code: int) -> int:
        stages = self._stages
        stopping = Stopping()
        stages.changes.stop()  # one that is under way is called off
        if not stages.signalling.stop(self._drain_timeout_s):
            log.error("parts in flight did not drain", after_s=self._drain_timeout_s)
            code = code or EXIT_STAGE_FAILED
        if stages.ejection is not None and not stages.ejection.stop(COAST_S):
            log.error("parts stayed between camera and ejector", after_s=COAST_S)
        # Each has a process that may take `jobs.process.TERMINATE_S` to tidy up, and is killed then.
        stopping.step("teaching", 2 * STEP_S, stages.teaching.close)
        stopping.step("refresh", 2 * STEP_S, stages.refreshing.close)
        stopping.step("plans", 2 * STEP_S, stages.plans.close)
        if not (stages.plc_requests.stop(timeout_s=2.0) and stages.hangups.stop(timeout_s=2.0)):
            log.error("a change of recipe, engine or configuration did not end in time")
            code = code or EXIT_STAGE_FAILED
        if not stages.changes.close(CHANGE_S):
            log.error("a change was under way when the station stopped; the audit log has it as not over")
            code = code or EXIT_STAGE_FAILED
        if stages.late_cameras is not None:
            stopping.step("late cameras", STEP_S, stages.late_cameras.stop)
        stopping.step("cameras", 2 * STEP_S, lambda: stages.cameras.stop(timeout_s=3.0))
        stopping.step("shadow", STEP_S, lambda: stages.shadowing.stop(timeout_s=3.0))
        hangs = not stages.inspection.stop(timeout_s=2.0)
        hangs = hangs or (stages.gpu_watch is not None and not stages.gpu_watch.stop(timeout_s=2.0))
        code = self._stop_recording() or code
        stopping.step("PLC link", STEP_S, lambda: stages.link.__exit__(None, None, None))
        stopping.step("control", STEP_S, stages.control.close)
        if (monitoring := stages.monitoring) is not None:
            stopping.step("monitoring", STEP_S, lambda: monitoring.stop(timeout_s=3.0))
        stopping.step("live memory", STEP_S, lambda: stages.live.stop(timeout_s=3.0))
        stopping.step("journal", STEP_S, stages.journal.close)
        if stopping.hanging:
            code = code or EXIT_STAGE_FAILED
        log.info("stopped", exit_code=code)
        if hangs or stopping.hanging or stages.recorder.is_alive or code == EXIT_DEVICE_FAILED:
            # a thread stuck in native code or on a disk cannot be ended, and what lies on a GPU that failed cannot be
            # released: everything else is closed, so leave without it
            logs.close()
            os._exit(code or EXIT_ENGINE_HANGS)
        return code

    def _stop_recording(self) -> int:
        """EXIT_RECORDS_LOST when rows are missing on record: now, or since they were lost while the station ran."""
        recorder = self._stages.recorder
        lost = recorder.health.lost
        if recorder.stop(timeout_s=RECORDING_S) and not lost:
            return EXIT_OK
        health = recorder.health
        log.error(
            "records are missing: parts that the journal holds are recorded at the next start, without details",
            not_written=health.waiting,
            lost=lost,
            in_journal=self._stages.journal.held,
            why=health.detail,
        )
        return EXIT_RECORDS_LOST
