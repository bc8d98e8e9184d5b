"""Debian's mosquitto, in a folder of its own: an MQTT broker that can be killed and comes back on its port."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.places import free_port
from tests.bench.programs import require_program
from tests.bench.waiting import wait_for, listens


class MosquittoBroker:
    """Owns the process."""

    def __init__(self, folder: Path, more: str = "") -> None:
        """`more`: lines of its configuration, in place of one that lets everybody in."""
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        self._file.write_text(f"listener {self.port} 127.0.0.1\n{more or 'allow_anonymous true'}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it takes connections."""
        program = require_program("mosquitto")
        self._process = subprocess.Popen([program, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(self.port), "mosquitto")

    def kill(self) -> None:
        """As the kernel does it: nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def mosquitto(folder: Path, more: str = "") -> Iterator[MosquittoBroker]:
    """A broker that runs."""
    broker = MosquittoBroker(folder, more)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
