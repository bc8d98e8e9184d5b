"""Teaching from the live line: keeps the frames of the next parts, trains in another process, hands over the engine.

Collecting and training never touch the line path: frames come through a bounded queue, images are written on this
stage's own thread, and training is a process of low priority.
"""

from __future__ import annotations

import contextlib
import queue
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import structlog

from engines.teach_request import TeachRequest
from station.jobs.ended import Ended
from station.jobs.process import JobError, JobProgress
from station.jobs.teaching import command_again, teach
from station.records.images import write_image
from station.results import Frame

log = structlog.get_logger()

QUEUE_SIZE = 64
AS_USUAL = TeachRequest()
COLLECTED_FOLDER = "good"
"""Of the images, in the folder of this stage."""
COLLECTED = "collected"
"""Detail of what ends without an engine."""


class Phase(str, Enum):
    """Where a teaching stands."""

    IDLE = "idle"
    COLLECTING = "collecting"
    TRAINING = "training"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TeachingStatus:
    """For the status and the progress bar."""

    phase: Phase = Phase.IDLE
    step: str = ""
    done: int = 0
    total: int = 0
    left_s: float = 0.0
    detail: str = ""
    summary: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "phase": self.phase.value}


class TeachingFromLine:
    """Owns one teaching at a time: its frames, its thread and its process.

    The signalling thread calls `take`, the threads of the daemon the rest.
    """

    def __init__(
        self, directory: Path, on_engine: Callable[[Path], None], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`on_engine` is called on the teaching thread with the folder of the finished engine."""
        self._ended = Ended(clock_s)
        self._directory = directory
        self._on_engine = on_engine
        self._status = TeachingStatus()
        self._frames: queue.Queue[Frame] = queue.Queue(QUEUE_SIZE)
        self._wanted = 0
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def status(self) -> TeachingStatus:
        """How it goes, and for an hour how it went."""
        return TeachingStatus() if self._ended.is_old else self._status

    def take(self, frame: Frame) -> bool:
        """Takes a frame from the line; never blocks. True while more are wanted."""
        if self._wanted:
            try:
                self._frames.put_nowait(frame)
            except queue.Full:
                return True  # the disk is slow: the next part is taken in its stead
            self._wanted -= 1
        return self._wanted > 0

    def start(self, parts: int, output: Path | None, *, cameras: int = 1, request: TeachRequest = AS_USUAL) -> None:
        """Begins with the frames of the next `parts` parts, one of each camera, given to `take`.

        `output`: the folder of the new engine; None: only collects, for a person to look first.
        `request`: how to teach; its cache is this stage's own.

        Raises JobError when a teaching is already under way.
        """
        if self._thread is not None and self._thread.is_alive():
            raise JobError(f"a teaching is under way ({self._status.phase.value}); wait until it is done")
        if output is not None and output.exists():
            raise JobError(f"{output}: exists already; choose a new folder for the engine")
        self._cancelled.clear()
        self._drain()
        self._wanted = images = parts * cameras
        self._ended.forget()
        self._status = TeachingStatus(Phase.COLLECTING, "images", 0, images)
        self._thread = threading.Thread(target=self._run, args=(images, output, request), name="teaching")
        self._thread.start()

    def close(self) -> None:
        """Cancels what is under way and waits for it."""
        self._cancelled.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, wanted: int, output: Path | None, request: TeachRequest) -> None:
        try:
            images = self._collect(wanted)
            if output is None:
                self._status = replace(self._status, phase=Phase.DONE, detail=COLLECTED)
                return
            self._status = TeachingStatus(Phase.TRAINING)
            request = replace(request, cache=self._directory / "features")
            result = teach(
                images,
                output,
                request,
                shown_command=command_again(images, output, request),
                on_progress=self._progress,
                cancelled=self._cancelled,
            )
            self._on_engine(output)
        except Exception as problem:  # stage boundary: the line goes on without the new engine
            log.exception("teaching failed")
            self._status = replace(self._status, phase=Phase.FAILED, detail=str(problem))
            self._ended.mark()
            return
        self._status = replace(
            self._status, phase=Phase.DONE, left_s=0.0, detail=result.engine_id, summary=result.summary
        )
        self._ended.mark()

    def _collect(self, wanted: int) -> Path:
        """Writes the frames as `<n>-<camera>.png`: the nth one of its camera."""
        images = self._directory / COLLECTED_FOLDER
        if self._directory.exists():
            shutil.rmtree(self._directory)
        images.mkdir(parents=True)
        taken: Counter[str] = Counter()
        for done in range(1, wanted + 1):
            frame = self._next_frame()
            taken[frame.camera] += 1
            write_image(images / f"{taken[frame.camera]:05d}-{frame.camera}.png", frame.pixels, frame.heights)
            self._status = replace(self._status, done=done)
        return images

    def _drain(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._frames.get_nowait()

    def _next_frame(self) -> Frame:
        while not self._cancelled.is_set():
            with contextlib.suppress(queue.Empty):
                return self._frames.get(timeout=0.2)
        raise JobError("teaching was cancelled; nothing was written")

    def _progress(self, progress: JobProgress) -> None:
        self._status = TeachingStatus(Phase.TRAINING, progress.step, progress.done, progress.total, progress.left_s)
