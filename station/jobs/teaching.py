"""Teach an engine from the station: starts `python -m engines.training` and follows what it says.

Training needs PyTorch, which the station's own processes never import: hence a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXIT_USAGE = 2
NICENESS = 10
"""Training gives way to a line that works beside it."""


class TeachError(Exception):
    """Teaching failed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class TeachProgress:
    """One sign of life of the training process."""

    step: str
    done: int
    total: int
    left_s: float
    """Seconds left in this step; 0 when not known."""


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
    on_progress: Callable[[TeachProgress], None] = lambda _: None,
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
        cancelled: when set, the training process is told to stop (looked at with each sign of progress).

    Raises:
        TeachError: bad images or options, cancelled, the process died, or this installation cannot train.
    """
    if importlib.util.find_spec("torch") is None:
        raise TeachError(
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
    command = [sys.executable, "-m", "engines.training", *as_arguments(options)]
    last = run_training(command, threads=threads, keep_open=keep_open, on_progress=on_progress, cancelled=cancelled)
    if last.get("event") != "done":
        raise TeachError("the training process ended without a result")
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


def _absolute(value: object) -> object:
    return value.absolute() if isinstance(value, Path) else value


def _next_to(output: Path) -> Path:
    """first -> first-2 -> first-3: an engine is never overwritten."""
    found = re.fullmatch(r"(.+)-(\d{1,6})", output.name)
    stem, number = (found[1], int(found[2])) if found else (output.name, 1)
    return output.parent / f"{stem}-{number + 1}"


def run_training(
    command: list[str],
    *,
    threads: int,
    keep_open: Sequence[int] = (),
    on_progress: Callable[[TeachProgress], None] = lambda _: None,
    cancelled: threading.Event | None = None,
    what: str = "the training",
) -> dict[str, Any]:
    """Run a process that trains, at low priority, and follow its lines of JSON; the last one, empty if there was none.

    Args:
        threads: CPU threads of its numerics.
        keep_open: file descriptors that the process holds too, a lock for instance.
        what: the process does, for messages.

    Raises:
        TeachError: the process said so, died, or was cancelled.
    """
    # Waiting threads that spin would take the cores from whatever else runs on this machine, the line included.
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
        pass_fds=tuple(keep_open),
    )
    own = os.getpriority(os.PRIO_PROCESS, 0)  # nobody may raise a priority without privilege
    os.setpriority(os.PRIO_PROCESS, process.pid, max(own, NICENESS))
    stderr: list[str] = []
    reader = threading.Thread(target=_drain, args=(process.stderr, stderr), name="teach-stderr", daemon=True)
    reader.start()
    last: dict[str, Any] = {}
    try:
        assert process.stdout is not None
        for line in process.stdout:
            message = _parse(line)
            if message is None:
                continue
            last = message
            if "step" in message:
                on_progress(TeachProgress(message["step"], message["done"], message["total"], float(message["left_s"])))
            if cancelled is not None and cancelled.is_set():
                raise TeachError(f"{what} was cancelled; nothing was written")
        code = process.wait()
    finally:
        _stop(process)
        reader.join(timeout=5)
    if code == 0:
        return last
    if last.get("event") == "error":
        raise TeachError(str(last["message"]))
    tail = "".join(stderr)[-2000:].strip()
    _, refused, why = tail.rpartition(": error: ")  # argparse: usage, then what is wrong
    if code == EXIT_USAGE and refused:
        raise TeachError(why)
    raise TeachError(f"the process of {what} ended with code {code}: {tail or 'no output'}")


def _parse(line: str) -> dict[str, Any] | None:
    """A progress line; None for anything else a library may print."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _drain(stream: Any, lines: list[str]) -> None:
    """Keep the pipe empty, or the process would block; keep the end, for the error message."""
    for line in stream:
        lines.append(line)
        del lines[:-50]


def _stop(process: subprocess.Popen[str]) -> None:
    """End the process if it still runs: politely first, it removes its temporary files."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
