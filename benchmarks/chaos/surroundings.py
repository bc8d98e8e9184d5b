"""What surrounds the station and can fail: its disk, its wall clock, who reads its log, and who starts it again."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.frozen_disk import own_disk
from station.simulation.run.processes import end_with_starter
from tests.bench.places import ROOT

RESTART_AFTER_S = 0.3
"""As systemd's RestartSec."""
EXIT_BAD_INPUT = 2
SPARE_BYTES = 64 * 1024


class Disk:
    """Where the records lie. With a file system of its own it can be frozen and filled."""

    def __init__(self, folder: Path, *, is_own: bool) -> None:
        self.folder = folder
        self.is_own = is_own
        self.is_frozen = False

    def freeze(self) -> None:
        subprocess.run(["fsfreeze", "--freeze", str(self.folder)], check=True)
        self.is_frozen = True

    def thaw(self) -> None:
        if self.is_frozen:
            subprocess.run(["fsfreeze", "--unfreeze", str(self.folder)], check=True)
        self.is_frozen = False

    def fill(self) -> None:
        """Leaves a few blocks, as a disk that somebody else has filled."""
        with (self.folder / "fill").open("wb") as file:
            free = os.statvfs(self.folder)
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, free.f_bfree * free.f_frsize - SPARE_BYTES))

    def make_room(self) -> None:
        (self.folder / "fill").unlink(missing_ok=True)


@contextlib.contextmanager
def disk_in(folder: Path) -> Iterator[Disk]:
    """An ext4 of its own where this user may mount one, else a plain folder."""
    if os.geteuid() or not all(shutil.which(name) for name in ("mkfs.ext4", "mount", "fsfreeze")):
        plain = folder / "disk"
        plain.mkdir()
        yield Disk(plain, is_own=False)
        return
    with own_disk(folder, megabytes=1500) as mounted:
        disk = Disk(mounted, is_own=True)
        try:
            yield disk
        finally:
            disk.thaw()


class Clock:
    """The wall clock as the station sees it; the computer's own stays as it is."""

    def __init__(self, folder: Path) -> None:
        """Compiles the library that is loaded into the station. Raises CalledProcessError."""
        self._file = folder / "clock"
        self._file.write_bytes(struct.pack("d", 0.0))
        self._library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(self._library), str(source), "-ldl"],
            check=True,
        )
        self.steps: list[tuple[float, float]] = []
        """When (monotonic) and to which offset in s."""

    def set(self, offset_s: float) -> None:
        with self._file.open("r+b") as file:
            file.write(struct.pack("d", offset_s))
        self.steps.append((time.monotonic(), offset_s))

    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file)}


class LogReader:
    """Reads what one station writes to standard error, until it is asked to stop or to go away."""

    def __init__(self, file: Path) -> None:
        self.lines = 0
        self._reading, self.writing = os.pipe()
        self._file = file
        self._reads = threading.Event()
        self._reads.set()
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-reader", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        self._reads.clear()

    def go_on(self) -> None:
        self._reads.set()

    def go_away(self) -> None:
        """The pipe has no reader any more."""
        self._gone.set()
        self._reads.set()
        self._thread.join()

    def _run(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            while not self._gone.is_set():
                self._reads.wait()
                if select.select([self._reading], [], [], 0.2)[0]:
                    data = os.read(self._reading, 65536)
                    if not data:
                        break
                    self.lines += data.count(b"\n")
                    file.write(data)
        os.close(self._reading)


@dataclass(slots=True)
class Life:
    """One process of the station."""

    pid: int
    began_s: float
    ended_s: float = 0.0
    code: int | None = None
    asked: str = ""
    """What was sent to end it; empty: nobody has asked it to."""


class Keeper:
    """Keeps a station running, as systemd does. Of one thread, which calls `step` often."""

    def __init__(self, configuration: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, "-m", "station", "run", "--config", str(configuration)]
        self._log = log
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at_s = 0.0
        self.reader: LogReader | None = None
        self.lives: list[Life] = []
        self.stops = False

    def step(self) -> None:
        now_s = time.monotonic()
        if self._process is not None and (code := self._process.poll()) is not None:
            life = self.lives[-1]
            life.ended_s, life.code = now_s, code
            if self.reader is not None:
                self.reader.go_away()
            self._process, self.reader = None, None
            self._start_at_s = now_s + RESTART_AFTER_S
        if self._process is None and not self.stops and now_s >= self._start_at_s:
            self.reader = LogReader(self._log)
            self._process = subprocess.Popen(
                self._command,
                stderr=self.reader.writing,
                env=self._environment,
                cwd=ROOT,
                preexec_fn=end_with_starter,  # noqa: PLW1509  one system call, no lock
            )
            os.close(self.reader.writing)
            self.lives.append(Life(self._process.pid, now_s))

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def send(self, number: signal.Signals, *, ends: bool = False) -> bool:
        """False when no station runs. `ends`: it is to end by it."""
        if self._process is None or self._process.poll() is not None:
            return False
        if ends:
            self.lives[-1].asked = self.lives[-1].asked or number.name
        self._process.send_signal(number)
        return True

    def camera_processes(self) -> list[int]:
        """The children of the station that hold a camera."""
        if self._process is None:
            return []
        found: list[int] = []
        for task in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
        return [pid for pid in found if _is_camera(pid)]

    def end(self, limit_s: float) -> int | None:
        """SIGTERM and the exit code; None: it had to be killed."""
        self.stops = True
        if not self.send(signal.SIGTERM, ends=True):
            return None
        assert self._process is not None
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self.step()
            return None
        self.step()
        return self.lives[-1].code


def _is_camera(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"acquisition" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
