"""Debian's mosquitto, in a folder of its own: an MQTT broker that can be killed and comes back on its port."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.ports import free_port
from tests.bench.programs import require_program
from tests.bench.waiting import wait_for


class MosquittoBroker:
    """Owns the process."""

    def __init__(self, folder: Path, more: str = "") -> None:
        """`more`: lines of its configuration, in place of one that lets everybody in."""
        self.port = free_port()
        self._file = folder / "mosquitto.conf"
        lines = ("user root", f"listener {self.port} 127.0.0.1", more or "allow_anonymous true")
        self._file.write_text(
            "\n".join(lines) + "\n"
        )  # `user`: as root it would become somebody who may read nothing here
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it takes connections."""
        program = require_program("mosquitto")
        self._process = subprocess.Popen(
            [program, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._listens, "mosquitto")

    def kill(self) -> None:
        """As the kernel does it: nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def mosquitto(folder: Path, more: str = "") -> Iterator[MosquittoBroker]:
    """A broker that runs."""
    broker = MosquittoBroker(folder, more)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
