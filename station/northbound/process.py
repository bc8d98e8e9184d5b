"""The plant process: one thread a connector, one lock, until it is stopped.

It may be killed at any moment: what was taken is behind the cursor, and the rest comes again.
"""

from __future__ import annotations

import contextlib
import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from station.configuration.load import LoadedConfiguration
from station.forwarding.progress import LOCK, Cursors, ForwardingError, forwarding_beside
from station.northbound.sender import Sender, What
from station.northbound.signing import read_secrets
from station.northbound.unsent import Source
from station.northbound.webhook import Webhook
from station.reports.shifts import calendar_of

log = structlog.get_logger()

WEBHOOK = "webhook"
"""Name of the connector in `plant.db`."""
LOCK_TRIES, LOCK_PAUSE_S = 20, 0.1
"""Who looks whether it runs holds the lock for a moment."""


def webhook_of(station: LoadedConfiguration) -> Webhook | None:
    """The connection to the receiver; None: there is none in the configuration. Raises SecretError, AddressError."""
    section = station.settings.webhook
    if section.url is None or section.secret_file is None:
        return None
    return Webhook(
        section.url,
        read_secrets(station.resolve(section.secret_file)),
        timeout_s=section.timeout_s,
        as_list=section.batch > 1,
        ca_file=None if section.ca_file is None else station.resolve(section.ca_file),
    )


def sender_of(station: LoadedConfiguration, webhook: Webhook, cursors: Cursors) -> Sender:
    """What sends the results of this station."""
    settings = station.settings
    source = source_of(station, WEBHOOK)
    what = What(source, settings.station.name, calendar_of(settings.station), settings.webhook.batch)
    return Sender(what, webhook, cursors)


def source_of(station: LoadedConfiguration, connector: str) -> Source:
    """Which parts this connector sends."""
    settings = station.settings
    return Source(
        connector,
        station.records_dir,
        waits_for_plc=settings.plc.role != "off",
        again_days=float(settings.plant.keep_unsent_days),
    )


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """The cursors `file` are this process's until the end of the block. Raises ForwardingError: another has them."""
    path = file.parent / LOCK
    try:
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = path.open("ab")
    except OSError as problem:
        raise ForwardingError(f'"{path}" cannot be written: {problem.strerror or problem}') from problem
    with lock:
        for tried in range(LOCK_TRIES):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if tried == LOCK_TRIES - 1:
                    raise ForwardingError(
                        f'"{path}": another plant process sends already; stop it first: systemctl stop station-plant'
                    ) from None
                time.sleep(LOCK_PAUSE_S)
        yield


def send_until(
    station: LoadedConfiguration, webhook: Webhook, stopping: threading.Event, alive: Callable[[], None]
) -> None:
    """Sends until `stopping` is set; a request under way is cut then. `alive` is called while the sender turns.

    Raises:
        ForwardingError: another process sends already, or the cursors cannot be written.
    """
    file = forwarding_beside(station.records_dir)
    with alone(file), contextlib.closing(Cursors(file)) as cursors:
        thread = _Turning(sender_of(station, webhook, cursors), stopping)
        thread.start()
        longest_s = 6 * station.settings.webhook.timeout_s + 60
        while not stopping.wait(1.0):
            if thread.turned_s_ago() < longest_s:
                alive()  # else the watchdog of systemd ends it
            if not thread.is_alive():
                raise ForwardingError("the sender has ended; see the log")
        webhook.cut()
        thread.join(station.settings.webhook.timeout_s + 1)
        webhook.close()


class _Turning(threading.Thread):
    """Runs a sender."""

    def __init__(self, sender: Sender, stopping: threading.Event) -> None:
        super().__init__(name="webhook", daemon=True)
        self._sender = sender
        self._stopping = stopping
        self._turned_s = time.monotonic()
        self._pause_s = 0.0

    def turned_s_ago(self) -> float:
        """Since it should have turned."""
        return time.monotonic() - self._turned_s - self._pause_s

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._pause_s = 0.0
                self._turned_s = time.monotonic()
                self._pause_s = self._sender.step()
                if self._pause_s:
                    self._stopping.wait(self._pause_s)
        except Exception:  # boundary of the thread: the process ends, and systemd starts it again
            log.exception("sending failed")
