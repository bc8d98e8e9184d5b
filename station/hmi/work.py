"""What takes longer than a page may: a report, a comparison of engines. A process of its own, one at a time.

    page ──start──► command of the station, lowest priority ──lines of JSON──► a thread that reads them ──► any page

The browser may leave: the work goes on, and whoever opens the page sees how far it is. It ends with the pages, and
after `LONGEST_S`. It gives way to everything else on the computer, and the line knows nothing of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from station.background import give_way
from station.python_command import python_command
from station.terminal import one_line

LONGEST_S = 600.0
_KEPT_LETTERS = 600
"""Of what a command says on standard error when it fails."""


class WorkRefused(Exception):
    """It is not started; the message says why."""


@dataclass(frozen=True, slots=True)
class Work:
    """How the last work stands."""

    kind: str
    """`report`, `compare`: the page that it belongs to."""
    what: str
    """For people: of which shift, of which engines."""
    by: str
    phase: Literal["running", "done", "failed"] = "running"
    step: str = ""
    done: int = 0
    total: int = 0
    why: str = ""
    """Of a failure; also what a work that is done could not do."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """Its last line."""

    @property
    def is_running(self) -> bool:
        return self.phase == "running"

    def as_dict(self) -> dict[str, Any]:
        """For the script of a page."""
        return {
            "kind": self.kind,
            "what": self.what,
            "phase": self.phase,
            "step": self.step,
            "done": self.done,
            "total": self.total,
            "why": self.why,
        }


class Works:
    """Owns the process under way and the state of the last one. Any thread may ask."""

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._work: Work | None = None
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._stopped_why = ""

    @property
    def last(self) -> Work | None:
        """The work under way, else the last one; None: none since the pages were started."""
        return self._work

    def of(self, kind: str) -> Work | None:
        """The last work, if it is of this kind."""
        work = self._work
        return work if work is not None and work.kind == kind else None

    def start(self, kind: str, what: str, by: str, arguments: Sequence[str]) -> None:
        """Runs `station ARGUMENTS`, which writes lines of JSON. Raises WorkRefused: another one is under way."""
        with self._lock:
            if self._work is not None and self._work.is_running:
                raise WorkRefused(f"{self._work.what} is under way, asked for by {self._work.by}: one at a time")
            command = python_command("station", *arguments)
            environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    env=environment,
                    start_new_session=True,
                )
            except OSError as problem:
                raise WorkRefused(f"the work cannot be started: {problem.strerror}") from problem
            give_way(process.pid)
            self._stopped_why = ""
            self._process, self._work = process, Work(kind, what, by)
            self._thread = threading.Thread(target=self._follow, args=(process,), name="work", daemon=True)
            self._thread.start()

    def stop(self, why: str) -> None:
        """Ends the work under way, if any."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return
            self._stopped_why = self._stopped_why or why
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)

    def close(self) -> None:
        """Ends what is under way, and waits for it."""
        self.stop("the pages were stopped")
        if self._thread is not None:
            self._thread.join(5)

    def _follow(self, process: subprocess.Popen[str]) -> None:
        """On a thread of its own: reads what the process says until it has ended."""
        said: list[str] = []
        errors = threading.Thread(target=_drain, args=(process, said), name="work-stderr", daemon=True)
        errors.start()
        limit = threading.Timer(self._longest_s, self.stop, [f"it took longer than {self._longest_s:g} s"])
        limit.daemon = True
        limit.start()
        last: dict[str, Any] = {}
        assert process.stdout is not None
        for line in process.stdout:
            message = _parsed(line)
            if message is None:
                continue
            last = message
            if "step" in message:
                self._moved(message)
        code = process.wait()
        limit.cancel()
        errors.join(5)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        failed = [str(each) for each in last.get("failed", [])]
        assert self._work is not None
        if last.get("event") == "done" and not self._stopped_why:
            self._work = replace(self._work, phase="done", why=one_line("; ".join(failed)), result=last)
            return
        why = self._stopped_why or "".join(said)[-_KEPT_LETTERS:].strip().removeprefix("station: ")
        why = one_line(why or f"the process ended with code {code}")
        self._work = replace(self._work, phase="failed", why=why)

    def _moved(self, message: Mapping[str, Any]) -> None:
        assert self._work is not None
        with contextlib.suppress(KeyError, TypeError, ValueError):
            done, total = int(message["done"]), int(message["total"])
            self._work = replace(self._work, step=str(message["step"]), done=done, total=total)


def _parsed(line: str) -> dict[str, Any] | None:
    """A line of the command; None: something else that a library may print."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _drain(process: subprocess.Popen[str], said: list[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        del said[:-20]
