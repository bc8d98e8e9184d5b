"""A refresh that a person has asked for: `station refresh` as a process of the lowest priority, followed by a thread.

Or, in seconds, kinds of defects learned anew: `station engine kinds`.

    idle ──start──► running ──► done (the version) | failed (why)

The process itself chooses the parts, trains in a process of its own, compares, and puts the candidate into the store;
it activates nothing. When the daemon stops, it stops, too, and the next one of the same parts goes on from there.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import structlog

from engines.cores import usable_cores
from station.jobs.process import JobError, JobProgress, run_job
from station.python_command import python_command

log = structlog.get_logger()

MIN_PARTS, MAX_PARTS, USUAL_PARTS = 25, 100_000, 500
MAX_NAMED = 2000
"""Parts that are named one by one."""


class RefreshPhase(str, Enum):
    """Where a refresh stands."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RefreshAsked:
    """What is asked for."""

    parts: int
    """The newest ones; with `only` as many as these."""
    only: tuple[str, ...] = ()
    """`SESSION/ACQUISITION_ID` of the parts to learn from; empty: the newest ones."""
    vetoed: tuple[str, ...] = ()
    """Names of images that an earlier refresh removed and that are good after all."""
    by: str = ""
    collected: bool = False
    """From the images that were collected last, not from the records; `only` then names files."""
    kinds: bool = False
    """Only what rejects are called is learned anew, from all labels; nothing else of this counts but `by`."""


@dataclass(frozen=True, slots=True)
class RefreshStatus:
    """For the status, and the pages."""

    phase: RefreshPhase = RefreshPhase.IDLE
    by: str = ""
    parts: int = 0
    step: str = ""
    done: int = 0
    total: int = 0
    left_s: float = 0.0
    detail: str = ""
    """The version that was made, or why there is none."""
    kinds: bool = False
    """See `RefreshAsked`."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        names = ("by", "parts", "step", "done", "total", "left_s", "detail", "kinds")
        return {"phase": self.phase.value, **{name: getattr(self, name) for name in names}}


class RefreshProcess:
    """Owns one refresh at a time. Threads of the daemon call it."""

    def __init__(self, config: Path, folder: Path, collected: Path) -> None:
        """`folder`: for the lists that the process gets; it is this one's own. `collected`: images of the line."""
        self._config = config
        self._folder = folder
        self._collected = collected
        self._status = RefreshStatus()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def status(self) -> RefreshStatus:
        return self._status

    def start(self, asked: RefreshAsked) -> None:
        """Begins. Raises JobError: another one is under way, or the folder cannot be written."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise JobError(f"a refresh is under way, asked for by {self._status.by or 'the timer'}; one at a time")
            command = python_command("station", *self._arguments(asked))
            self._cancelled.clear()
            parts = len(asked.only) or asked.parts
            self._status = RefreshStatus(RefreshPhase.RUNNING, asked.by, parts, kinds=asked.kinds)
            self._thread = threading.Thread(target=self._run, args=(command,), name="refresh")
            self._thread.start()

    def stop(self) -> None:
        """Gives it up; what was done is kept for the next one of the same parts."""
        self._cancelled.set()

    def close(self) -> None:
        """Gives it up and waits for it."""
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _arguments(self, asked: RefreshAsked) -> Sequence[str]:
        if asked.kinds:
            return ["engine", "kinds", f"--config={self._config}", "--progress=json"]
        arguments = ["refresh", f"--config={self._config}", "--progress=json", f"--parts={asked.parts}"]
        if asked.collected:
            arguments.append(f"--images={self._collected}")
        try:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            for name, lines in (("only", asked.only), ("veto", asked.vetoed)):
                if lines:
                    file = self._folder / f"{name}.txt"
                    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
                    arguments.append(f"--{name}={file}")
        except OSError as problem:
            raise JobError(f'folder "{self._folder}" cannot be written: {problem.strerror}') from problem
        return arguments

    def _run(self, command: list[str]) -> None:
        threads = max(1, usable_cores() - 1)
        try:
            last = run_job(
                command,
                what="the refresh",
                threads=threads,
                on_progress=self._progress,
                cancelled=self._cancelled,
            )
            if last.get("event") != "done":
                raise JobError("the refresh ended without a result; see the log")
        except Exception as problem:  # boundary: the line goes on without a candidate
            log.exception("refresh failed")
            self._status = replace(self._status, phase=RefreshPhase.FAILED, detail=str(problem)[:1000])
            return
        self._status = replace(self._status, phase=RefreshPhase.DONE, left_s=0.0, detail=str(last.get("version", "")))

    def _progress(self, sign: JobProgress) -> None:
        self._status = replace(self._status, step=sign.step, done=sign.done, total=sign.total, left_s=sign.left_s)
