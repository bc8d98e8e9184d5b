"""Two serial ports that are wired to each other: a pair of ptys, made by socat."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import pytest

DEADLINE_S = 20.0

needs_socat = pytest.mark.skipif(
    shutil.which("socat") is None, reason="a serial line needs socat (Debian: apt install socat)"
)


class SerialPair:
    """Runs between `__enter__` and `__exit__`. `unplug` takes the line away, `plug_in` brings it back."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="line-")
        folder = Path(self._folder.name)
        self.station, self.plc = str(folder / "station"), str(folder / "plc")
        self._socat: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SerialPair:
        self.plug_in()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()
        self._folder.cleanup()

    def plug_in(self) -> None:
        ends = [f"pty,rawer,link={end}" for end in (self.station, self.plc)]
        self._socat = subprocess.Popen(["socat", *ends])
        end = time.monotonic() + DEADLINE_S
        while not (Path(self.station).exists() and Path(self.plc).exists()):
            assert time.monotonic() < end, "socat made no ptys"
            assert self._socat.poll() is None, "socat ended"
            time.sleep(0.005)

    def unplug(self) -> None:
        if self._socat is not None:
            self._socat.terminate()
            self._socat.wait()
            self._socat = None
