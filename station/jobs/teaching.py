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

from station.jobs.process import JobError, OnProgress, ignore_progress, run_job
from station.python_command import python_command


@dataclass(frozen=True, slots=True)
class TeachResult:
    """The finished engine."""

    engine: Path
    engine_id: str
    summary: dict[str, Any]
    """Figures of the training, see `engines.training.teach.Summary`."""


def teach(
    images: Path,
    output: Path,
    *,
    detector: str = "spatial",
    backbone: str | Path | None = None,
    location: str | None = None,
    ignore: str | None = None,
    template_box: str | None = None,
    template_angle_deg: float | None = None,
    refine: str | None = None,
    false_reject_budget: float = 0.01,
    seed: int = 0,
    threads: int = 2,
    steps: int | None = None,
    int8: bool | None = None,
    known_good: Path | None = None,
    known_bad: Path | None = None,
    veto: Path | None = None,
    cache: Path | None = None,
    shown_command: Sequence[str] = (),
    keep_open: Sequence[int] = (),
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> TeachResult:
    """Train an engine on the good images in `images` and write it to the new directory `output`.

    Args:
        images: MVTec layout (`train/good`) or a plain folder of images.
        output: the engine's directory; must not exist yet.
        detector, backbone, location, ignore, template_box, template_angle_deg, refine: see
            `python -m engines.training --help`; None takes its default.
        false_reject_budget: share of good parts that may be rejected.
        seed: same images and same seed give the same model.
        threads: CPU threads.
        steps: training steps; None takes the detector's own number, less is faster and coarser.
        int8: also make a graph whose backbone is in 8 bits.
        known_good: file with one image name a line; refinement never removes these.
        known_bad: likewise; these are always removed, and serve for the bound on escapes.
        veto: likewise; removed by an earlier training, and good after all.
        cache: folder that keeps features and finished rounds, for when the training is started again.
        shown_command: starts this training again, for the dossier; empty takes the command of the training process.
        keep_open: file descriptors that the training process holds too, a lock for instance.
        on_progress: called in this thread.
        cancelled: when set, the training process is stopped (looked at with each sign of progress).

    Raises:
        JobError: bad images or options, cancelled, the process died, or this installation cannot train.
    """
    if importlib.util.find_spec("torch") is None:
        raise JobError(
            "teaching needs PyTorch, which is not installed here: run the installer again with --teach, or "
            "pip install '.[train]' in the repository, or teach on another computer and import the engine"
        )
    options: dict[str, object] = {
        **{"images": images, "output": output, "detector": detector, "backbone": backbone, "location": location},
        **{"ignore": ignore, "template_box": template_box, "template_angle_deg": template_angle_deg},
        **{"refine": refine, "false_reject_budget": false_reject_budget, "seed": seed, "threads": threads},
        **{"steps": steps, "known_good": known_good, "known_bad": known_bad, "veto": veto, "cache": cache},
        **{"int8": int8, "shown_command": shlex.join(shown_command) or None, "progress": "json"},
    }
    command = python_command("engines.training", *as_arguments(options))
    last = run_job(
        command,
        what="the training",
        threads=threads,
        keep_open=keep_open,
        on_progress=on_progress,
        cancelled=cancelled,
    )
    if last.get("event") != "done":
        raise JobError("the training process ended without a result")
    return TeachResult(engine=output, engine_id=last["engine_id"], summary=last["summary"])


def command_again(images: Path, output: Path, **options: object) -> tuple[str, ...]:
    """The command that teaches from these images once more, from any folder, to an engine beside `output`.

    Args:
        options: of `station teach`, with underscores; None leaves one out.
    """
    return ("station", "teach", *as_arguments({"images": images, "output": _next_to(output.absolute()), **options}))


def as_arguments(options: Mapping[str, object]) -> list[str]:
    """`--name=value` of what is not None, with absolute paths; `--name` alone of what is True.

    In one word, because a value may begin with a dash.
    """
    return [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={_absolute(value)}")
        for name, value in options.items()
        if value is not None
    ]


def name_or_file(text: str) -> str | Path:
    """Type of an option: the file of a network has a suffix, the name of one has none."""
    return Path(text) if Path(text).suffix else text


def _absolute(value: object) -> object:
    return value.absolute() if isinstance(value, Path) else value


def _next_to(output: Path) -> Path:
    """first -> first-2 -> first-3: an engine is never overwritten."""
    found = re.fullmatch(r"(.+)-(\d{1,6})", output.name)
    stem, number = (found[1], int(found[2])) if found else (output.name, 1)
    return output.parent / f"{stem}-{number + 1}"
