"""Who starts workers: this computer, or a cluster. Both start the same command, `station fleet worker --once ...`, as a
process; which job it gets is decided by the table alone, so an executor that goes wrong loses nothing.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from station.python_command import python_command

STOP_S = 15.0
"""A worker puts its job back within this time; then it is killed, and its lease ends."""
LAST_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker that has ended."""

    code: int
    """0: it has done a job, or there was none; negative: by a signal."""
    said: str
    """The end of what it wrote on standard error."""


class Executor(Protocol):
    """Starts workers and hears of their ends. Used by one thread."""

    @property
    def width(self) -> int:
        """As many at the same time, at most."""
        ...

    def start(self, words: Sequence[str]) -> None:
        """One more: `station` with these words. Raises FleetError."""
        ...

    def ended(self) -> list[Gone]:
        """Since it was last asked."""
        ...

    @property
    def running(self) -> int:
        """Of those that were started."""
        ...

    def close(self) -> None:
        """Stops what still runs."""
        ...


class Local:
    """Processes of this computer."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._running: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    @property
    def width(self) -> int:
        return self._width

    @property
    def running(self) -> int:
        return len(self._running)

    def start(self, words: Sequence[str]) -> None:
        errors = tempfile.TemporaryFile()  # noqa: SIM115  closed where the process has ended
        process = subprocess.Popen(python_command("station", *words), stdout=subprocess.DEVNULL, stderr=errors)
        self._running.append((process, errors))

    def ended(self) -> list[Gone]:
        over = [one for one in self._running if one[0].poll() is not None]
        self._running = [one for one in self._running if one not in over]
        return [Gone(process.returncode, _end_of(errors)) for process, errors in over]

    def close(self) -> None:
        for process, _ in self._running:
            process.terminate()
        for process, errors in self._running:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            errors.close()
        self._running = []


def _end_of(errors: IO[bytes]) -> str:
    with errors:
        size = errors.seek(0, 2)
        errors.seek(max(0, size - LAST_BYTES))
        return errors.read().decode("utf-8", "replace").strip()
