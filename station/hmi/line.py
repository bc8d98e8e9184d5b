"""What the running station says of itself, asked through the control socket, for the bar on top of every page.

One question a second at most, whoever asks: pages, however many, are not felt by the daemon.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.control import ControlError, request

FRESH_S = 1.0
PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """The last answer, or why there is none."""

    status: Mapping[str, Any] | None
    problem: str
    at: float
    """On the monotonic clock."""


class LineState:
    """Owns the last answer. Any thread may ask."""

    def __init__(self, control_socket: Path) -> None:
        self._socket = control_socket
        self._lock = threading.Lock()
        self._heard: Heard | None = None

    def now(self) -> Heard:
        """Not older than a second."""
        with self._lock:
            heard = self._heard
            if heard is None or time.monotonic() - heard.at > FRESH_S:
                heard = self._heard = self._ask()
            return heard

    def forget(self) -> None:
        """Something was asked that changes the state: whoever looks next gets it anew."""
        with self._lock:
            self._heard = None

    def _ask(self) -> Heard:
        try:
            reply = request(self._socket, {"command": "status"}, PATIENCE_S)
        except (ControlError, ValueError) as problem:
            return Heard(None, str(problem), time.monotonic())
        return Heard(reply["status"], "", time.monotonic())
