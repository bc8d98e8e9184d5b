"""`station teach`: an engine from a folder of images, or from the next parts of the running line."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from station.config import ConfigurationError
from station.control import ControlError
from station.station_tools import add_config_option, ask, complain
from station.teach import TeachError, TeachProgress, teach

POLL_S = 0.3


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `teach`."""
    parser = commands.add_parser("teach", help="train an engine from a folder of images or from the live line")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, metavar="DIR", help="MVTec layout (train/good) or a plain folder")
    source.add_argument("--parts", type=int, metavar="N", help="the next N parts of the running station")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the new engine; must not exist yet")
    parser.add_argument(
        "--false-reject-budget", type=float, default=0.01, metavar="SHARE", help="good parts that may be rejected"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Teaches and prints what came out."""
    try:
        with TeachingBar() as bar:
            summary = _from_folder(options, bar) if options.images else _from_line(options, bar)
    except (TeachError, ConfigurationError, ControlError) as problem:
        return complain(problem)
    Console().print(summary_table(options.output, summary))
    return 0


def _from_folder(options: argparse.Namespace, bar: TeachingBar) -> dict[str, Any]:
    result = teach(
        options.images,
        options.output,
        false_reject_budget=options.false_reject_budget,
        seed=options.seed,
        on_progress=bar.show,
    )
    return {"engine_id": result.engine_id, **result.summary}


def _from_line(options: argparse.Namespace, bar: TeachingBar) -> dict[str, Any]:
    request = {
        "command": "teach",
        "parts": options.parts,
        "output": str(options.output.resolve()),
        "false_reject_budget": options.false_reject_budget,
        "seed": options.seed,
    }
    ask(options.config, request)
    return follow_teaching(lambda: ask(options.config, {"command": "status"})["status"]["teaching"], bar.show)


def follow_teaching(
    status: Callable[[], dict[str, Any]], on_progress: Callable[[TeachProgress], None]
) -> dict[str, Any]:
    """Waits until the teaching of a running station is done; its summary. Raises TeachError when it failed."""
    while True:
        teaching = status()
        if teaching["phase"] == "failed":
            raise TeachError(teaching["detail"])
        if teaching["phase"] == "done":
            return {"engine_id": teaching["detail"], **(teaching["summary"] or {})}
        on_progress(TeachProgress(teaching["step"], teaching["done"], teaching["total"], teaching["left_s"]))
        time.sleep(POLL_S)


class TeachingBar:
    """A progress bar with one line per step and the time left."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> TeachingBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: TeachProgress) -> None:
        """Moves the bar of this step."""
        if not progress.step:
            return
        if progress.step not in self._tasks:
            for task in self._progress.tasks:  # a step may end early, as refinement does when nothing is left to remove
                self._progress.update(task.id, completed=task.total)
            self._tasks[progress.step] = self._progress.add_task(progress.step, total=progress.total)
        self._progress.update(self._tasks[progress.step], completed=progress.done, total=progress.total)


def summary_table(output: Path, summary: dict[str, Any]) -> Table:
    """What a teaching gave, for people."""
    table = Table(show_header=False, title=f"engine {output}")
    for key, value in summary.items():
        if isinstance(value, (str, int, float)):
            table.add_row(key.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
    for warning in summary.get("warnings", ()):
        table.add_row("warning", f"[yellow]{warning}[/]")
    return table
