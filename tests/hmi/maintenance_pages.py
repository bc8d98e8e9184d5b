"""What tests of the pages of maintenance share: a daemon that only listens, and what was asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from station.control import ControlError
from station.daemon.control_server import ControlServer

PROOF = "several words of a test"


class Daemon:
    """Keeps what it is asked; refuses with `refusal` while that is set. Its status is `status`."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.refusal = ""
        self.status: dict[str, Any] = {"online": True, "state": "ready", "recipe": "default", "engine_id": ""}

    def takes(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append(message)
        if self.refusal:
            raise ControlError(self.refusal)
        return {}


@contextmanager
def listening_daemon(socket: Path) -> Iterator[Daemon]:
    """On the control socket of a station, until the end of the block."""
    daemon = Daemon()
    commands = ("engine", "shadow", "refresh", "teach", "challenge", "online", "offline", "clear", "batch",
                "monitoring")  # fmt: skip
    handlers = dict.fromkeys(commands, daemon.takes) | {"status": lambda _: {"status": daemon.status}}
    server = ControlServer(socket, handlers)
    server.start()
    try:
        yield daemon
    finally:
        server.close()
