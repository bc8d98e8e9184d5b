"""How a training shows where it is: lines of JSON for a program, a bar for a person, or nothing."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from engines.errors import EngineError, TrainingError

EXIT_BAD_INPUT, EXIT_INTERRUPTED = 2, 130
MIN_INTERVAL_S = 0.2


class Reporter(Protocol):
    """Follows a training."""

    def step(self, step: str, done: int, total: int) -> None:
        """`done` of `total` units of a step are done."""
        ...

    def done(self, engine_id: str, summary: dict[str, object]) -> None:
        """The engine is written."""
        ...

    def error(self, message: str) -> None:
        """The training ended without an engine."""
        ...

    def __enter__(self) -> Reporter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class JsonReporter:
    """One JSON object per line on standard output."""

    def __init__(self) -> None:
        self._current = ""
        self._started = 0.0
        self._shown = 0.0

    def step(self, step: str, done: int, total: int) -> None:
        """Print at most a few lines per second."""
        now = time.monotonic()
        if step != self._current:
            self._current = step
            self._started = now
            self._shown = 0.0
        if done < total and now - self._shown < MIN_INTERVAL_S:
            return
        self._shown = now
        left_s = (now - self._started) / done * (total - done) if done else 0.0
        _print({"step": step, "done": done, "total": total, "left_s": round(left_s, 1)})

    def done(self, engine_id: str, summary: dict[str, object]) -> None:
        """The last line of a success."""
        _print({"event": "done", "engine_id": engine_id, "summary": summary})

    def error(self, message: str) -> None:
        """The last line of a failure."""
        _print({"event": "error", "message": message})

    def __enter__(self) -> JsonReporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class RichReporter:
    """A bar per step; with `quiet` only the result."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:10}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet,
        )
        self._tasks: dict[str, TaskID] = {}

    def step(self, step: str, done: int, total: int) -> None:
        """Move the bar of this step."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], completed=done, total=total)

    def done(self, engine_id: str, summary: dict[str, object]) -> None:
        """Show what came out."""
        self._progress.stop()
        self._console.print(f"engine {engine_id[:12]}")
        for key, value in summary.items():
            self._console.print(f"  {key}: {value}", highlight=False)

    def error(self, message: str) -> None:
        """Show what went wrong."""
        self._progress.stop()
        self._console.print(f"error: {message}", style="red", highlight=False, soft_wrap=True)

    def __enter__(self) -> RichReporter:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()


def _print(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def run_reported(reporter: Reporter, work: Callable[[], None], *, interrupted: str) -> int:
    """The work of a process, and its exit code: 0 done, 2 bad input or failed, 130 interrupted (Ctrl-C, SIGTERM).

    `interrupted`: what is said then.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with reporter:
            work()
            return 0
    except (TrainingError, EngineError) as error:
        reporter.error(str(error))
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        reporter.error(interrupted)
        return EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM as Ctrl-C: temporary files are removed on the way out."""
    raise KeyboardInterrupt
