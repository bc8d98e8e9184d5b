"""Building the TensorRT plan of an engine: starts `python -m engines.runtimes.tensorrt` and follows what it says.

The process may take minutes and gigabytes and is allowed to crash; whoever waits for it can give up at any time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import structlog

from station.jobs.ended import Ended
from station.jobs.process import JobError, JobProgress, OnProgress, ignore_progress, run_job
from station.python_command import python_command

log = structlog.get_logger()


class PlanBuildError(Exception):
    """There is no plan; the message says why."""


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """A plan that may be used."""

    name: str
    gpu: str
    tensorrt: str
    plan_bytes: int
    parity: str
    """How it compared with ONNX Runtime."""
    frames: str
    """Where frames are prepared, and why; empty: the engine has no graph for that."""


def build_plan(
    engine: Path,
    *,
    precision: str,
    threads: int,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> BuiltPlan:
    """Build the plan of the engine in folder `engine` for the GPU of this computer, compare it, and keep it there.

    Args:
        engine: the bundle.
        precision: see `[engine] precision`.
        threads: CPU threads for the comparison.
        on_progress: called in this thread, at least once a second.
        cancelled: when set, the process is ended within a second.

    Raises:
        PlanBuildError: no GPU, the graph cannot be built, it computes something else than ONNX Runtime, or cancelled.
    """
    command = python_command(
        "engines.runtimes.tensorrt", str(engine.resolve()), f"--precision={precision}", f"--threads={threads}"
    )
    try:
        last = run_job(
            command, what="the build of the plan", threads=threads, on_progress=on_progress, cancelled=cancelled
        )
    except JobError as problem:
        raise PlanBuildError(str(problem)) from problem
    if last.get("event") != "done":
        raise PlanBuildError("the build of the plan ended without a result")
    if not last["passed"]:
        raise PlanBuildError(f"the plan was built and is refused: {last['parity']}")
    return BuiltPlan(last["plan"], last["gpu"], last["tensorrt"], last["plan_bytes"], last["parity"], last["frames"])


class Phase(str, Enum):
    """Where the building stands."""

    IDLE = "idle"
    BUILDING = "building"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PlanBuildingStatus:
    """For the status and the pages."""

    phase: Phase = Phase.IDLE
    step: str = ""
    done: int = 0
    total: int = 0
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "phase": self.phase.value}


class PlanBuilding:
    """One build at a time, on a thread that waits for the process; the line never does."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._status = PlanBuildingStatus()
        self._ended = Ended(clock_s)
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def status(self) -> PlanBuildingStatus:
        """How it goes, and for an hour how it went."""
        return PlanBuildingStatus() if self._ended.is_old else self._status

    @property
    def is_under_way(self) -> bool:
        return self._status.phase is Phase.BUILDING

    def start(self, engine: Path, *, precision: str, threads: int, on_end: Callable[[str], None]) -> None:
        """Begin; `on_end` is called on the building thread with what went wrong, empty when there is a plan."""
        self._ended.forget()
        self._status = PlanBuildingStatus(Phase.BUILDING, "starting")
        self._thread = threading.Thread(
            target=self._run, args=(engine, precision, threads, on_end), name="plan-building"
        )
        self._thread.start()

    def close(self) -> None:
        """Cancels what is under way and waits for it."""
        self._cancelled.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, engine: Path, precision: str, threads: int, on_end: Callable[[str], None]) -> None:
        log.info("building a TensorRT plan", engine=str(engine), precision=precision)
        problem = ""
        try:
            built = build_plan(
                engine, precision=precision, threads=threads, on_progress=self._progress, cancelled=self._cancelled
            )
        except PlanBuildError as error:
            problem = str(error)
            log.error("no TensorRT plan", problem=problem)
            self._status = replace(self._status, phase=Phase.FAILED, detail=problem)
        else:
            log.info("TensorRT plan built", **asdict(built))
            self._status = replace(self._status, phase=Phase.DONE, detail=built.parity)
        self._ended.mark()
        if not self._cancelled.is_set():
            on_end(problem)

    def _progress(self, progress: JobProgress) -> None:
        self._status = PlanBuildingStatus(Phase.BUILDING, progress.step, progress.done, progress.total)
