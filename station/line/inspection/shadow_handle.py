"""The daemon's side of the process of a shadow: starts it, hands it the frames of a part, waits for what it says."""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

import numpy as np

from engines.inputs.depth import Heights
from engines.inputs.depth_spec import DepthSpec
from engines.signatures.trust import Trust
from station.background import GOES_FIRST, give_way
from station.configuration.model import Configuration
from station.python_command import python_command
from station.results import Frame, Inspection, Verdict

LOOK_S = 0.5
"""How often the process is looked at while it says nothing."""
LOADING_CPU_S, JUDGING_CPU_S = 120.0, 20.0
"""Time of the processor after which an engine does not come to an end any more: a hundred times what it takes."""
IDLE_S = 60.0
"""A process that wants no time of the processor for as long waits for something that does not come."""
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_TAIL_BYTES = 500


class ShadowFailed(Exception):
    """The shadow has ended by itself, or had to be ended; the message says why."""


@dataclass(frozen=True, slots=True)
class ShadowOrder:
    """What the process needs to judge as the line does."""

    engine: Path
    settings: Configuration
    frame_shapes: Mapping[str, tuple[int, ...]]
    """By camera, as `CameraInfo.shape`."""
    trust: Trust
    threads: int = 1


@dataclass(frozen=True, slots=True)
class SentView:
    """Where a frame lies in the shared memory."""

    camera: str
    frame_id: int
    shape: tuple[int, ...]
    offset: int
    missing: bytes = b""
    """Of a 3-D camera: a bit for each pixel, set where it has no height; empty: each has one."""
    spec: DepthSpec | None = None
    """How the heights became the picture; None: it is none of heights."""

    @classmethod
    def of(cls, frame: Frame, offset: int) -> SentView:
        """What goes with the pixels of a frame at this place of the memory."""
        heights = frame.heights
        missing = None if heights is None else heights.missing
        return cls(
            frame.camera,
            frame.frame_id,
            frame.pixels.shape,
            offset,
            b"" if missing is None else np.packbits(missing).tobytes(),
            None if heights is None else heights.spec,
        )

    def heights(self) -> Heights | None:
        """Which pixels have a height, as values 1 and 0; None: it is no picture of heights."""
        if self.spec is None:
            return None
        rows, columns = self.shape[:2]
        values = np.ones((rows, columns), np.uint16)
        if self.missing:
            packed = np.frombuffer(self.missing, np.uint8)
            values -= np.unpackbits(packed, count=rows * columns).reshape(rows, columns)
        return Heights(values, 1.0, 0.0, 0, self.spec)


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is loaded, checked and warm."""

    engine_id: str


@dataclass(frozen=True, slots=True)
class ShadowSaid:
    """What the shadow says of a part: its views joined by its own rule."""

    verdict: Verdict
    score: float | None
    reasons: str
    took_ms: float


class ShadowHandle:
    """Owns the process, the memory for the frames of one part, and the connection. Used by one thread."""

    def __init__(self, order: ShadowOrder, stop: threading.Event) -> None:
        """`stop`: ends every wait."""
        self._order = order
        self._stop = stop
        self._opened = contextlib.ExitStack()
        self.engine_id = ""

    def __enter__(self) -> ShadowHandle:
        """Starts the process and waits until its engine is warm. Raises ShadowFailed."""
        with self._opened:
            self._start()
            ready = self._wait(LOADING_CPU_S, "loading")
            if not isinstance(ready, Ready):
                raise ShadowFailed(str(ready))
            self.engine_id = ready.engine_id
            self._opened = self._opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises ShadowFailed: the process has ended."""
        if self._process.poll() is not None:
            raise ShadowFailed(self._how_it_ended())

    def judge(self, views: Sequence[Inspection]) -> ShadowSaid:
        """What the shadow says of these frames. Raises ShadowFailed: it has ended, or hangs."""
        sent, offset = [], 0
        for view in views:
            pixels = view.frame.pixels
            if offset + pixels.nbytes > len(self._memory):
                raise ShadowFailed(f"camera {view.camera} delivers frames of another size: {pixels.shape}")
            np.copyto(self._memory[offset : offset + pixels.nbytes].reshape(pixels.shape), pixels)
            sent.append(SentView.of(view.frame, offset))
            offset += pixels.nbytes
        self._send(tuple(sent))
        said = self._wait(JUDGING_CPU_S, "a part")
        if not isinstance(said, ShadowSaid):
            raise ShadowFailed(str(said))
        return said

    def _start(self) -> None:
        size = max(1, sum(prod(shape) for shape in self._order.frame_shapes.values()))
        here, there = socket.socketpair()
        try:
            with contextlib.ExitStack() as handed:
                handed.callback(there.close)
                memory, errors = os.memfd_create("shadow-frames"), os.memfd_create("shadow-errors")
                handed.callback(os.close, memory)
                self._errors = errors
                self._opened.callback(os.close, errors)
                os.posix_fallocate(memory, 0, size)
                mapped = mmap.mmap(memory, size)
                self._memory = np.frombuffer(mapped, np.uint8)
                self._process = subprocess.Popen(
                    python_command(
                        "station.line.inspection.shadow_process",
                        str(there.fileno()),
                        str(memory),
                        str(os.getpid()),
                        interpreter_options=("-X", "faulthandler"),
                    ),
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=[there.fileno(), memory],
                    env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
                )
                give_way(self._process.pid, GOES_FIRST)
        except OSError as problem:
            here.close()
            raise ShadowFailed(f"no process, or no memory for its frames: {problem}") from problem
        self._opened.callback(self._end)
        self._connection = Connection(here.detach())
        self._opened.callback(self._connection.close)
        self._send(self._order)

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise ShadowFailed(self._how_it_ended()) from None

    def _wait(self, cpu_s: float, what: str) -> object:
        began_cpu = moved_cpu = self._cpu_s()
        moved_at = time.monotonic()
        try:
            while not self._connection.poll(LOOK_S):
                if self._stop.is_set():
                    raise ShadowFailed("switched off")
                used = self._cpu_s()
                if used - began_cpu > cpu_s:
                    raise ShadowFailed(f"{what} took more than {cpu_s:g} s of the processor: the engine hangs")
                if used > moved_cpu or self._wants_the_processor():
                    moved_cpu, moved_at = used, time.monotonic()
                elif time.monotonic() - moved_at > IDLE_S:
                    raise ShadowFailed(f"{what}: the process has waited for {IDLE_S:g} s: the engine hangs")
            return self._connection.recv()
        except (EOFError, OSError):
            raise ShadowFailed(self._how_it_ended()) from None

    def _cpu_s(self) -> float:
        """Time of the processor that the process has used; 0 when it is gone."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) * _TICK_S if fields else 0.0

    def _wants_the_processor(self) -> bool:
        """It runs, or waits for its turn behind everything else."""
        return self._stat()[:1] == ["R"]

    def _stat(self) -> list[str]:
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return text.rpartition(")")[2].split()

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.returncode
        size = os.fstat(self._errors).st_size
        tail = os.pread(self._errors, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace").strip()
        how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
        return f"its process ended ({how}): {tail or 'no output'}"

    def _end(self) -> None:
        """It holds nothing that is worth a moment."""
        self._process.kill()
        self._process.wait()
