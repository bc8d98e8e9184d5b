"""A job is work of minutes in a process of its own: starts it at low priority and follows its lines of JSON.

Whoever calls `run_job` waits in its own thread; the line never does. A job may crash, hang or be cancelled without the
line noticing. On standard output it writes one JSON object a line:

    {"step": "features", "done": 3, "total": 60, "left_s": 12.5}    a sign of progress
    {"event": "done", ...}                                          the last line: the result
    {"event": "error", "message": "..."}                            the last line: why there is none
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

EXIT_USAGE = 2
CANCEL_CHECK_S = 0.2
"""How often a job that prints nothing is looked at for a cancellation: it may print nothing for long, while it imports
its libraries for instance.
"""
TERMINATE_S = 4.0
"""A cancelled job may take this long to remove its temporary files, then it is killed. Shorter than a step of the
daemon's stop, which waits for it.
"""
NICENESS = 10
"""A job gives way to a line that works beside it."""


class JobError(Exception):
    """The job failed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """One sign of progress of a job."""

    step: str
    done: int
    total: int
    left_s: float
    """Seconds left in this step; 0 when not known."""


OnProgress = Callable[[JobProgress], None]


def ignore_progress(_: JobProgress) -> None:
    """For callers that show no progress."""


def run_job(
    command: list[str],
    *,
    what: str,
    threads: int,
    keep_open: Sequence[int] = (),
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Runs the process to its end and returns its last line of JSON, empty if there was none.

    Args:
        what: names the job in messages, "the training".
        threads: CPU threads of its numerics.
        keep_open: file descriptors that the process holds too, a lock for instance.
        on_progress: called in this thread.
        cancelled: when set, the process is stopped within `CANCEL_CHECK_S`, whether it prints lines or not.

    Raises:
        JobError: the process reported an error, died, or was cancelled.
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
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    readers = (
        threading.Thread(target=_drain, args=(process.stderr, stderr), name="job-stderr", daemon=True),
        threading.Thread(target=_forward, args=(process.stdout, lines), name="job-stdout", daemon=True),
    )
    for reader in readers:
        reader.start()
    last: dict[str, Any] = {}
    try:
        for line in _until_end(lines, cancelled):
            message = _parse(line)
            if message is None:
                continue
            last = message
            if "step" in message:
                on_progress(JobProgress(message["step"], message["done"], message["total"], float(message["left_s"])))
        if cancelled is not None and cancelled.is_set():
            raise JobError(f"{what} was cancelled; nothing was written")
        code = process.wait()
    finally:
        _stop(process)
        for reader in readers:
            reader.join(timeout=1.0)  # longer only where a process that it started holds the pipe
    if code == 0:
        return last
    if last.get("event") == "error":
        raise JobError(str(last["message"]))
    tail = "".join(stderr)[-2000:].strip()
    _, refused, why = tail.rpartition(": error: ")  # argparse: usage, then what is wrong
    if code == EXIT_USAGE and refused:
        raise JobError(why)
    raise JobError(f"the process of {what} ended with code {code}: {tail or 'no output'}")


def _until_end(lines: queue.SimpleQueue[str | None], cancelled: threading.Event | None) -> Iterator[str]:
    """The lines of the process until it closes its output or the job is cancelled."""
    while cancelled is None or not cancelled.is_set():
        try:
            line = lines.get(timeout=CANCEL_CHECK_S)
        except queue.Empty:
            continue
        if line is None:
            return
        yield line


def _forward(stream: Any, lines: queue.SimpleQueue[str | None]) -> None:
    """Passes on each line, None at the end. Its own thread waits for the pipe, so that the job can be cancelled."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _parse(line: str) -> dict[str, Any] | None:
    """A line of the job; None for anything else a library may print."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _drain(stream: Any, lines: list[str]) -> None:
    """Keeps the pipe empty, or the process would block; keeps the end, for the error message."""
    with stream:
        for line in stream:
            lines.append(line)
            del lines[:-50]


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends the process if it still runs: politely first, so that it removes its temporary files."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=TERMINATE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
