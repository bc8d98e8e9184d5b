"""What systemd and the station say to each other.

To systemd: sd_notify(3) READY, STATUS, WATCHDOG and STOPPING, when it asks for them; nothing otherwise. From it: SIGHUP
(`systemctl reload station`) asks for a reload; without a handler it would end the daemon at once.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog

from station.daemon.change_record import ChangeRefused

log = structlog.get_logger()

WHO = "SIGHUP"


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


def reload_on_hangup() -> threading.Event:
    """From here on SIGHUP only sets this flag; one that comes before anybody looks is not lost."""
    asked = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    signal.signal(signal.SIGHUP, on_signal)
    return asked


class Hangups:
    """Owns the thread that reloads when the flag is set. Several signals during one reload are one more reload."""

    def __init__(self, asked: threading.Event, reload: Callable[[str], None]) -> None:
        """`reload` gets who asks; it raises ChangeRefused, which is on record and in `station status` already."""
        self._asked = asked
        self._reload = reload
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="hangups")

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread after the reload in hand; False when that takes longer."""
        if self._thread.ident is None:
            return True
        self._stopping = True
        self._asked.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            if self._stopping:
                return
            self._asked.clear()
            try:
                self._reload(WHO)
            except ChangeRefused as problem:
                log.warning("reload refused", asked_by=WHO, why=str(problem))
            except Exception:  # stage boundary: the next signal is heard
                log.exception("reload failed", asked_by=WHO)
