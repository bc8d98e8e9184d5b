"""A job before the eyes of whoever waits for it at a terminal: the progress bar, and following one of the daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from station.jobs.process import JobError, JobProgress, OnProgress

POLL_S = 0.3


class ProgressBar:
    """A line for each step of a job, with a bar and the time left, on standard error if that is a terminal.

    Used by the thread that waits for the job.
    """

    def __init__(self, *, steps_nest: bool = False) -> None:
        """`steps_nest`: a step may begin within another one; otherwise a new step shows that the one before is over."""
        self._steps_nest = steps_nest
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<12.40}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn() if steps_nest else TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: JobProgress) -> None:
        """Moves the bar of this step."""
        if not progress.step:
            return
        if progress.step not in self._tasks:
            for task in (
                () if self._steps_nest else self._progress.tasks
            ):  # a step may end early, as refinement does when nothing is left to remove
                self._progress.update(task.id, completed=task.total)
            self._tasks[progress.step] = self._progress.add_task(progress.step, total=progress.total)
        self._progress.update(self._tasks[progress.step], completed=progress.done, total=progress.total)


def follow_teaching(status: Callable[[], dict[str, Any]], on_progress: OnProgress) -> dict[str, Any]:
    """Waits until the teaching of a running station is done and returns its summary.

    Args:
        status: returns the `teaching` part of the station's status.

    Raises:
        JobError: the teaching failed.
    """
    while True:
        teaching = status()
        if teaching["phase"] == "failed":
            raise JobError(teaching["detail"])
        if teaching["phase"] == "done":
            return {"engine_id": teaching["detail"], **(teaching["summary"] or {})}
        on_progress(JobProgress(teaching["step"], teaching["done"], teaching["total"], teaching["left_s"]))
        time.sleep(POLL_S)
