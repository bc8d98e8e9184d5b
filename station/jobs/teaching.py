"""Teach an engine from the station: starts `python -m engines.training` and follows what it says.

Training needs PyTorch, which the station's own processes never import: hence a process of its own.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.teach_request import TeachRequest
from station.jobs.process import JobError, OnProgress, ignore_progress, run_job
from station.python_command import python_command


@dataclass(frozen=True, slots=True)
class TeachResult:
    """The finished engine."""

    engine: Path
    engine_id: str
    summary: dict[str, Any]
    """Figures of the training, see `engines.training.summary.Summary`."""


def teach(
    images: Path,
    output: Path,
    request: TeachRequest,
    *,
    shown_command: Sequence[str] = (),
    keep_open: Sequence[int] = (),
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> TeachResult:
    """Trains an engine on the good images in `images` and writes it to the new directory `output`.

    Args:
        images: MVTec layout (`train/good`) or a plain folder of images.
        output: the engine's directory; must not exist yet.
        shown_command: starts this training again, for the dossier; empty takes the command of the training process.
        keep_open: file descriptors that the training process holds too, a lock for instance.
        on_progress: called in this thread.
        cancelled: when set, the training process is stopped within a second.

    Raises:
        JobError: bad images or options, cancelled, the process died, or this installation cannot train.
    """
    if importlib.util.find_spec("torch") is None:
        raise JobError(
            "teaching needs PyTorch, which is not installed here: run the installer again with --teach, or "
            "pip install '.[train]' in the repository, or teach on another computer and import the engine"
        )
    about: dict[str, object] = {"images": images, "output": output, "progress": "json"}
    if shown_command:
        about["shown_command"] = shlex.join(shown_command)
    command = python_command("engines.training", *as_arguments({**about, **request.given()}))
    last = run_job(
        command,
        what="the training",
        threads=request.threads,
        keep_open=keep_open,
        on_progress=on_progress,
        cancelled=cancelled,
    )
    if last.get("event") != "done":
        raise JobError("the training process ended without a result")
    return TeachResult(engine=output, engine_id=last["engine_id"], summary=last["summary"])


def command_again(images: Path, output: Path, request: TeachRequest) -> tuple[str, ...]:
    """The command that teaches from these images once more, from any folder, to an engine beside `output`."""
    paths = {"images": images, "output": _next_to(output.absolute())}
    return ("station", "teach", *as_arguments({**paths, **request.given()}))


def as_arguments(options: Mapping[str, object]) -> list[str]:
    """`--name=value` of what is not None, with absolute paths; `--name` alone of what is True.

    In one word, because a value may begin with a dash.
    """
    return [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={_absolute(value)}")
        for name, value in options.items()
        if value is not None
    ]


def _absolute(value: object) -> object:
    return value.absolute() if isinstance(value, Path) else value


def _next_to(output: Path) -> Path:
    """first -> first-2 -> first-3: an engine is never overwritten."""
    found = re.fullmatch(r"(.+)-(\d{1,6})", output.name)
    stem, number = (found[1], int(found[2])) if found else (output.name, 1)
    return output.parent / f"{stem}-{number + 1}"
