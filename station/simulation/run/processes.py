"""The two processes of the demo, the line and the station, as the demo holds them: start, ask, stop.

Both run in sessions of their own, so that Ctrl-C reaches only the demo, which then stops them in order. When the demo
is killed, so that it can stop nothing, the kernel sends them SIGTERM.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from station.control import ControlError, request
from station.python_command import python_command
from station.simulation.plant.ejector import BeltFault
from station.simulation.plant.faults import CameraFault, FaultKind

START_S = 60.0
CHANGE_TIMEOUT_S = 90.0
STOP_S = 15.0
EXIT_BAD_INPUT = 2
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
SAID_BY = "station"
"""How the station begins its messages on standard error."""


class ProcessEnded(Exception):
    """A process of the demo ended by itself; the message holds the end of its log."""

    def __init__(self, name: str, code: int, log: Path) -> None:
        self.code = code
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if code == EXIT_BAD_INPUT and (said := [line for line in lines if line.startswith(f"{SAID_BY}: ")]):
            super().__init__(
                f"{name} refused to start: " + "\n".join(line.removeprefix(f"{SAID_BY}: ") for line in said)
            )
        else:
            super().__init__(f"{name} ended with code {code}. Its log ({log}) ends with:\n" + "\n".join(lines[-12:]))


@dataclass(slots=True)
class LineState:
    """What the line has reported so far. Written by the reading thread, read by the demo."""

    environment: dict[str, str] = field(default_factory=dict)
    connected: bool = False
    trigger_ready: bool = False
    fault: bool = False
    line_stop: bool = False
    recipe_refused: int = 0
    """Number of the recipe that the station did not take; the line feeds no more then."""
    batch_refused: int = 0
    """Why the station did not begin or end the batch: its CommandResult."""
    batch_ended: bool = False
    recipes_selected: list[int] = field(default_factory=list)
    """By the PLC, in order."""
    unseen: list[int] = field(default_factory=list)
    unexposed: list[int] = field(default_factory=list)
    misfires: int = 0
    ends: dict[int, dict[str, Any]] = field(default_factory=dict)
    """`part` events by part id."""
    judgements: dict[int, dict[str, Any]] = field(default_factory=dict)
    belt_waited_s: float = 0.0
    left_s: list[float] = field(default_factory=list)
    """When each part of this feed left the belt."""
    triggers: int = 0
    """Edges of the light barrier that went to the camera."""
    camera_missed: int = 0
    """Of them, those that the camera itself could not take."""
    results_read: dict[str, int] = field(default_factory=dict)
    """Results that the PLC read, by name."""
    withdrawn_while_read: int = 0
    """Results that were withdrawn between two requests of the PLC."""
    faults_cleared: int = 0
    """Faults of the station that somebody at the line has cleared."""
    faults: Counter[str] = field(default_factory=Counter)
    """How often the PLC or a camera misbehaved, by kind."""
    faults_not_taken: Counter[str] = field(default_factory=Counter)
    """Faults of a camera that no camera process was there for."""
    last_event_s: float = field(default_factory=time.monotonic)

    @property
    def held_rate_per_s(self) -> float | None:
        """Parts per second that left the belt in this feed; None with fewer than two."""
        if len(self.left_s) < 2:
            return None
        return round((len(self.left_s) - 1) / max(1e-3, self.left_s[-1] - self.left_s[0]), 2)


def end_with_starter() -> None:
    """In a child, before it runs its program: SIGTERM when the thread that started it has ended."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def stopped_in_order(limit_s: int = 0) -> Iterator[None]:
    """SIGTERM, SIGHUP and the end of `limit_s` (0: no limit) act as Ctrl-C: KeyboardInterrupt, through every `finally`.

    For the main thread, around everything that starts processes.
    """
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    signal.alarm(limit_s)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class Process:
    """A child process whose standard error goes to a log file. It ends when the thread that started it has ended."""

    def __init__(
        self, name: str, arguments: list[str], log: Path, environment: Mapping[str, str], *, piped: bool
    ) -> None:
        self._name = name
        self._log = log
        pipe = subprocess.PIPE if piped else None
        with log.open("w", encoding="utf-8") as file:
            self._process = subprocess.Popen(
                python_command(*arguments),
                stdin=pipe if piped else subprocess.DEVNULL,
                stdout=pipe if piped else file,
                stderr=file,
                text=True,
                encoding="utf-8",
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=end_with_starter,  # noqa: PLW1509  one system call, no lock
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises ProcessEnded when it is gone."""
        code = self._process.poll()
        if code is not None:
            raise ProcessEnded(self._name, code, self._log)

    def stop(self) -> int:
        """Asks it to end, insists after a while; returns its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class LineProcess(Process):
    """The simulated line. Its events are kept in `state` and appended to a file."""

    def __init__(self, plan: Path, work: Path) -> None:
        super().__init__("the simulated line", ["station.simulation", str(plan)], work / "line.log", {}, piped=True)
        self.state = LineState()
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(work / "line.jsonl",), name="line-events")
        self._reader.start()

    def __enter__(self) -> LineProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def wait_ready(self) -> dict[str, str]:
        """Waits for the scene; returns the environment that the camera process needs."""
        deadline = time.monotonic() + START_S
        while not self._ready.wait(0.05):
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the simulated line did not start within {START_S:.0f} s")
        return self.state.environment

    def feed(self, parts: int) -> None:
        """Lets this many more parts onto the belt."""
        self._command(command="feed", parts=parts)

    def sabotage(self, kind: BeltFault) -> None:
        """Lets something go wrong at the next part."""
        self._command(command="sabotage", kind=kind.value)

    def misbehave(self, kind: FaultKind) -> None:
        """Lets the PLC do something wrong now."""
        self._command(command="misbehave", kind=kind.value)

    def fail_camera(self, fault: CameraFault, frames: int = 1) -> None:
        """Lets something go wrong with the camera now; `frames`: how many of the next ones it concerns."""
        self._command(command="camera", kind=fault.value, frames=frames)

    def _command(self, **command: str | int) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._process.wait(STOP_S)
            self.check()

    def _read(self, file: Path) -> None:
        assert self._process.stdout is not None
        with file.open("w", encoding="utf-8", buffering=1) as copy:  # whoever reads it sees the line now
            for line in self._process.stdout:
                copy.write(line)
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        state = self.state
        state.last_event_s = time.monotonic()
        match event["event"]:
            case "ready":
                state.environment = event["environment"]
                self._ready.set()
            case "plc":
                state.connected, state.fault = event["connected"], event["fault"]
                state.trigger_ready, state.line_stop = event["trigger_ready"], event["line_stop"]
                state.recipe_refused = event["recipe_refused"]
                state.batch_refused, state.batch_ended = event["batch_refused"], event["batch_ended"]
                if event["recipe"] not in (0, *state.recipes_selected[-1:]):
                    state.recipes_selected.append(event["recipe"])
            case "part":
                state.ends[event["part_id"]] = event
                state.left_s.append(state.last_event_s)
                state.belt_waited_s = event["belt_waited_s"]
                state.triggers, state.camera_missed = event["triggers"], event["camera_missed"]
            case "judgement":
                state.judgements[event["part_id"]] = event
                state.results_read = event["results_read"]
                state.withdrawn_while_read = event["withdrawn_while_read"]
                state.faults_cleared = event["faults_cleared"]
            case "unseen":
                state.unseen.append(event["part_id"])
            case "unexposed":
                state.unexposed.append(event["part_id"])
            case "misfire":
                state.misfires += 1
            case "fault":
                state.faults[event["kind"]] += 1
            case "fault_not_taken":
                state.faults_not_taken[event["kind"]] += 1


class StationProcess(Process):
    """The real station: `station run`."""

    def __init__(self, configuration: Path, control_socket: Path, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(
            "the station", ["station", "run", "--config", str(configuration)], log, environment, piped=False
        )
        self._socket = control_socket

    def __enter__(self) -> StationProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_ready(self) -> None:
        """Waits until the control socket replies. Raises ProcessEnded, TimeoutError."""
        deadline = time.monotonic() + START_S
        while True:
            self.check()
            try:
                self.status()
            except ControlError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the station did not answer within {START_S:.0f} s; see its log") from None
                time.sleep(0.1)
            else:
                return

    def status(self) -> dict[str, Any]:
        """What `station status` shows. Raises ControlError."""
        status: dict[str, Any] = request(self._socket, {"command": "status"})["status"]
        return status

    def select_recipe(self, name: str) -> None:
        """As a person does who wants to teach it. Raises ControlError."""
        request(self._socket, {"command": "recipe", "recipe": name, "without_engine": True}, CHANGE_TIMEOUT_S)

    def begin_challenge(self) -> None:
        """A challenge test, as a person begins one. Raises ControlError."""
        request(self._socket, {"command": "challenge", "action": "start"})

    def teach(self, parts: int, output: str, seed: int) -> None:
        """The next `parts` parts of the line teach an engine. Raises ControlError."""
        request(self._socket, {"command": "teach", "parts": parts, "output": output, "seed": seed})
