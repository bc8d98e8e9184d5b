"""How each fault is done, and how it is taken back."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.schedule import Fault, Kind, What
from benchmarks.chaos.surroundings import Clock, Disk, Keeper
from engines.errors import EngineError
from engines.store.store import EngineStore
from station.control import ControlError, StationNotRunning, request
from station.simulation.plant.faults import CameraFault, FaultKind
from station.simulation.run.processes import LineProcess
from tests.bench.clients import RawClient, frame, read
from tests.bench.modbus_mutants import illegal_pdus

CHANGE_S = 60.0
HASTY = 50
GARBAGE_FRAMES = 300
DAYS = 86_400.0
CLOCK_OFFSETS_S = (0.0, 3600.0, -3600.0, 2.5, -0.7, DAYS, -DAYS, 20 * DAYS, -20 * DAYS)
"""A clock that is corrected, changed for the summer, or was never set. Rows are kept for longer than that."""
BROKEN = (
    "[station\n",
    'deadline_ms = "soon"\n',
    "\x00\xff",
    "[nonsense]\nkey = 1\n",
    "[decision]\nmin_defect_area_mm2 = -5\n",
    "a = " + "[" * 5000 + "\n",
)
"""Put in place of the configuration, or behind it."""
OF_PLC = {
    Kind.LATE_ACK: FaultKind.LATE_ACK,
    Kind.LOST_CONNECTION: FaultKind.LOST_CONNECTION,
    Kind.DOUBLE_TRIGGER: FaultKind.DOUBLE_TRIGGER,
    Kind.FROZEN_HEARTBEAT: FaultKind.FROZEN_HEARTBEAT,
    Kind.WRONG_PART_ID: FaultKind.WRONG_PART_ID,
}
OF_CAMERA = {
    Kind.INCOMPLETE_FRAME: CameraFault.INCOMPLETE,
    Kind.LOST_FRAME: CameraFault.DROPPED,
    Kind.LATE_FRAME: CameraFault.LATE,
    Kind.CAMERA_CRASHES: CameraFault.CRASH,
    Kind.CAMERA_UNPLUGGED: CameraFault.UNPLUGGED,
}
Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that can be broken."""

    line: LineProcess
    keeper: Keeper
    disk: Disk
    clock: Clock
    configuration: Path
    control_socket: Path
    port: int
    store: EngineStore
    archive: bytes
    """A good one."""
    recipes: tuple[str, ...]
    scratch: Path


@dataclass(slots=True)
class Done:
    """What came of the faults."""

    begun: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    broken_files_s: list[tuple[float, float]] = field(default_factory=list)
    """From when to when the configuration or the store could not be used: a start is refused then."""


class Doing:
    """Begins faults and takes them back. Of one thread; changes that take seconds are asked from another."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="change")
        self._waiting: list[Fault] = []
        self._undo: dict[What, tuple[float, Undo]] = {}
        self._change: Future[None] | None = None
        self.done = Done()

    def take(self, fault: Fault) -> None:
        """It begins as soon as what it touches is free."""
        self._waiting.append(fault)

    def step(self, now_s: float) -> list[Fault]:
        """Takes back what is over and begins what waits; returns what has begun."""
        for what, (until_s, undo) in list(self._undo.items()):
            if now_s >= until_s:
                undo()
                del self._undo[what]
        begun: list[Fault] = []
        still: list[Fault] = []
        for fault in self._waiting:
            if self._is_free(fault.touches) and fault.touches not in {other.touches for other in still}:
                self._begin(fault, now_s)
                begun.append(fault)
            else:
                still.append(fault)
        self._waiting = still
        return begun

    @property
    def is_quiet(self) -> bool:
        """Nothing waits, lasts, or is being changed."""
        return not (self._waiting or self._undo) and (self._change is None or self._change.done())

    def close(self) -> None:
        """Takes everything back at once."""
        for _, undo in self._undo.values():
            undo()
        self._undo.clear()
        self._pool.shutdown()

    def _is_free(self, what: What) -> bool:
        if what in (What.CHANGE, What.NETWORK) and self._change is not None and not self._change.done():
            return False
        return what not in self._undo

    def _begin(self, fault: Fault, now_s: float) -> None:
        rng = random.Random(fault.seed)
        self.done.begun[fault.kind.value] += 1
        if fault.kind in OF_PLC:
            self._site.line.misbehave(OF_PLC[fault.kind])
        elif fault.touches in (What.CHANGE, What.NETWORK):
            self._change = self._pool.submit(self._ask, fault, rng)
        elif (undo := self._done_at_once(fault, rng)) is not None:
            self._undo[fault.touches] = (now_s + fault.lasts_s, undo)

    def _done_at_once(self, fault: Fault, rng: random.Random) -> Undo | None:  # noqa: PLR0911, PLR0912  one case a kind
        site = self._site
        match fault.kind:
            case Kind.KILL:
                site.keeper.send(signal.SIGKILL, ends=True)
            case Kind.TERMINATE:
                site.keeper.send(signal.SIGTERM, ends=True)
            case Kind.STOP_FOR_A_WHILE:
                return self._stopped([site.keeper.pid] if site.keeper.pid else [])
            case Kind.STOP_CAMERA_PROCESS:
                return self._stopped(site.keeper.camera_processes())
            case Kind.KILL_CAMERA_PROCESS:
                for pid in site.keeper.camera_processes():
                    _signal(pid, signal.SIGKILL)
            case Kind.CAMERA_UNPLUGGED:
                site.line.fail_camera(CameraFault.UNPLUGGED)
                return lambda: site.line.fail_camera(CameraFault.PLUGGED)
            case Kind.INCOMPLETE_FRAME | Kind.LOST_FRAME | Kind.LATE_FRAME | Kind.CAMERA_CRASHES:
                site.line.fail_camera(OF_CAMERA[fault.kind], rng.choice((1, 1, 2)))
            case Kind.DISK_FROZEN if site.disk.is_own:
                site.disk.freeze()
                return site.disk.thaw
            case Kind.DISK_FULL:
                if site.disk.is_own:
                    site.disk.fill()
                    return site.disk.make_room
            case Kind.LOG_GONE:
                if site.keeper.reader is not None:
                    site.keeper.reader.go_away()
            case Kind.LOG_UNREAD:
                if (reader := site.keeper.reader) is not None:
                    reader.pause()
                    return reader.go_on
            case Kind.CLOCK_SET:
                site.clock.set(rng.choice(CLOCK_OFFSETS_S))
        return None

    @staticmethod
    def _stopped(pids: list[int]) -> Undo:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)

        def go_on() -> None:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

        return go_on

    # ---- what is asked of the station, on a thread of its own ---------------------------------------------------

    def _ask(self, fault: Fault, rng: random.Random) -> None:
        actions: dict[Kind, Callable[[random.Random], str]] = {
            Kind.RELOAD: self._reload_changed,
            Kind.BROKEN_CONFIGURATION: self._broken_configuration,
            Kind.RECIPE: lambda rng: self._request({"command": "recipe", "recipe": rng.choice(self._site.recipes)}),
            Kind.ENGINE: self._other_engine,
            Kind.BAD_ARCHIVE: self._bad_archive,
            Kind.DANGLING_ENGINE: self._dangling_engine,
            Kind.OFF_LINE: lambda _: self._off_line(fault.lasts_s),
            Kind.HASTY_CLIENTS: lambda _: self._hasty_clients(),
            Kind.MODBUS_GARBAGE: self._modbus_garbage,
            Kind.CONTROL_GARBAGE: self._control_garbage,
        }
        try:
            outcome = actions[fault.kind](rng)
        except OSError as problem:  # the station is being restarted
            outcome = type(problem).__name__
        except Exception as problem:  # noqa: BLE001  shown at the end: the run goes on
            outcome = "failed"
            self.done.problems.append(f"{fault.kind.value} at part {fault.at_part}: {problem!r}")
        self.done.outcomes[f"{fault.kind.value}: {outcome}"] += 1

    def _request(self, message: dict[str, object]) -> str:
        """`ok`, `refused` or `not running`."""
        try:
            request(self._site.control_socket, message, CHANGE_S)
        except StationNotRunning:
            return "not running"
        except ControlError as problem:
            return "no reply" if "without a reply" in str(problem) else "refused"
        return "ok"

    def _reload_changed(self, rng: random.Random) -> str:
        path = self._site.configuration
        lines = [line for line in path.read_text().splitlines() if not line.startswith("pixel_size_mm")]
        at = lines.index("[decision]") + 1
        _replace(path, "\n".join([*lines[:at], f"pixel_size_mm = {rng.uniform(0.1, 0.3):.3f}", *lines[at:], ""]))
        return self._request({"command": "reload"})

    def _broken_configuration(self, rng: random.Random) -> str:
        path = self._site.configuration
        good, broken = path.read_text(), rng.choice(BROKEN)
        began_s = time.monotonic()
        _replace(path, broken if rng.random() < 0.3 else good + broken)
        try:
            outcome = self._request({"command": "reload"})
        finally:
            _replace(path, good)
            self.done.broken_files_s.append((began_s, time.monotonic()))
        if outcome == "ok":
            self.done.problems.append(f"a broken configuration was taken: {broken!r}")
        return outcome

    def _other_engine(self, rng: random.Random) -> str:
        store = self._site.store
        others = [version for version in store.versions() if version != store.active()]
        store.activate(rng.choice(others), why="chaos")
        return self._request({"command": "reload"})

    def _bad_archive(self, rng: random.Random) -> str:
        data = bytearray(self._site.archive)
        match rng.randrange(3):
            case 0:
                del data[rng.randrange(len(data)) :]
            case 1:
                for _ in range(rng.randrange(1, 20)):
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            case _:
                at = rng.randrange(len(data))
                data[at : at + 512] = rng.randbytes(512)
        file = self._site.scratch / "bad.engine"
        file.write_bytes(data)
        before = self._site.store.versions()
        try:
            self._site.store.import_archive(file)
        except EngineError:
            return "refused"
        if self._site.store.versions() != before:
            self.done.problems.append("a changed archive gave another engine")
        return "the same engine"

    def _dangling_engine(self, rng: random.Random) -> str:
        link = self._site.store.active_link
        good = str(link.readlink())
        began_s = time.monotonic()
        _relink(link, rng.choice(("0099-000000000000", "/etc", "active", "../..")))
        try:
            outcome = self._request({"command": "reload"})
        finally:
            _relink(link, good)
            self.done.broken_files_s.append((began_s, time.monotonic()))
        if outcome == "ok":
            self.done.problems.append("a dangling engine was taken")
        return outcome

    def _off_line(self, lasts_s: float) -> str:
        self._request({"command": "offline"})
        time.sleep(lasts_s)
        return self._request({"command": "online"})

    def _hasty_clients(self) -> str:
        for _ in range(HASTY):
            with RawClient(self._site.port, 2.0) as client:
                client.ask(read(2, 0, 8))
        return "closed"

    def _modbus_garbage(self, rng: random.Random) -> str:
        frames = illegal_pdus(rng)
        with RawClient(self._site.port, 2.0) as client:
            for _ in range(GARBAGE_FRAMES):
                client.ask(next(frames))
            client.send(frame(next(frames))[: rng.randrange(1, 8)])
        return "sent"

    def _control_garbage(self, rng: random.Random) -> str:
        garbage = (
            rng.randbytes(rng.randrange(1, 4000)) + b"\n",
            b"[" * 30_000 + b"\n",
            json.dumps({"command": rng.choice(("status", "recipe", "x", 7)), "recipe": rng.random()}).encode() + b"\n",
            b'{"command": ' + rng.randbytes(8) + b"}\n",
            b"x" * 200_000,
            b'{"command": "status"',
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2.0)
            client.connect(str(self._site.control_socket))
            client.sendall(rng.choice(garbage))
            client.shutdown(socket.SHUT_WR)
            client.recv(65536)
        return "sent"


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(text.encode("utf-8", "surrogateescape"))
    draft.replace(path)


def _relink(link: Path, target: str) -> None:
    draft = link.with_name(".new-chaos")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
