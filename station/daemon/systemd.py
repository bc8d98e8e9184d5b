"""sd_notify(3): READY, STATUS, WATCHDOG and STOPPING, when systemd asks for them; nothing otherwise."""

from __future__ import annotations

import os
import socket
import time


class Notifier:
    """Sends state to the socket in `NOTIFY_SOCKET`; every method does nothing when it is not set."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # abstract socket
            self._address = "\0" + self._address[1:]
        watchdog_us = os.environ.get("WATCHDOG_USEC", "0")
        self._period_s = int(watchdog_us) / 2e6 if watchdog_us.isdigit() else 0.0
        self._last_s = 0.0

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        self._send(f"STATUS={status}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feeds the watchdog, at most twice per its period."""
        now = time.monotonic()
        if self._period_s and now - self._last_s >= self._period_s / 2:
            self._last_s = now
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.setblocking(False)  # a systemd that does not read must not hold the station up
            try:
                connection.sendto(message.encode(), self._address)
            except OSError:
                # systemd gone or its socket full: the station goes on; the watchdog fires if it matters
                return
