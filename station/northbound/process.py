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
from dataclasses import dataclass
from pathlib import Path

import structlog

from station.access.shared_folder import made
from station.configuration.load import LoadedConfiguration
from station.forwarding.progress import LOCK, Cursors, ForwardingError, forwarding_beside
from station.northbound.images.assembly import connector_of as images_of
from station.northbound.images.connector import MOST_IMAGES
from station.northbound.images.stores import StoreError
from station.northbound.sender import Sender, What
from station.northbound.signing import read_secrets
from station.northbound.unsent import Source
from station.northbound.webhook import AddressError, Webhook
from station.reports.shifts import calendar_of

log = structlog.get_logger()

WEBHOOK, SPARKPLUG, OPCUA, POSTGRES, IMAGES = "webhook", "sparkplug", "opcua", "postgres", "images"
"""Names of the connectors in `plant.db`."""
HOW_TO_INSTALL = "pip install 'edge-inspection-station[plant]'"
HOW_TO_INSTALL_DB = "pip install 'edge-inspection-station[plant-db]'"
HOW_TO_INSTALL_S3 = "pip install 'edge-inspection-station[plant-s3]'"
STOP_S = 8.0
"""For a connector to end what it does."""
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
    what = What(
        source,
        settings.station.name,
        calendar_of(settings.station),
        settings.webhook.batch,
        settings.webhook.audit_heads,
    )
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
        made(path)
        lock = path.open("rb")  # a lock needs no more, and the file may be another user's
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


@dataclass(frozen=True, slots=True)
class Connector:
    """One way to the plant, on a thread of its own."""

    name: str
    """In `plant.db`."""
    where: str
    """For people."""
    step: Callable[[], float]
    """Sends some; seconds until the next step."""
    cut: Callable[[], None]
    """Ends what `step` waits for, from another thread."""
    close: Callable[[], None]
    longest_s: float
    """One step takes at most."""


def names_of(station: LoadedConfiguration) -> list[str]:
    """Of the connectors that the configuration asks for."""
    settings = station.settings
    wanted = {
        WEBHOOK: settings.webhook.url is not None,
        SPARKPLUG: bool(settings.sparkplug.brokers),
        OPCUA: settings.opcua.enabled,
        POSTGRES: settings.postgres.host is not None,
        IMAGES: settings.images.is_wanted,
    }
    return [name for name, is_wanted in wanted.items() if is_wanted]


def connectors_of(station: LoadedConfiguration, cursors: Cursors) -> list[Connector]:
    """All that the configuration asks for. Raises SecretError, AddressError."""
    found = []
    webhook = webhook_of(station)
    if webhook is not None:
        sender = sender_of(station, webhook, cursors)
        longest_s = 6 * station.settings.webhook.timeout_s + 60
        found.append(Connector(WEBHOOK, webhook.where, sender.step, webhook.cut, webhook.close, longest_s))
    if station.settings.sparkplug.brokers:
        try:
            from station.northbound.sparkplug.assembly import publisher_of  # noqa: PLC0415  its libraries are an extra
        except ImportError as problem:
            raise AddressError(f"[sparkplug] needs the extra `plant` ({problem}): {HOW_TO_INSTALL}") from problem
        publisher = publisher_of(station, source_of(station, SPARKPLUG), cursors)
        where = ", ".join(map(str, publisher.brokers))
        found.append(Connector(SPARKPLUG, where, publisher.step, lambda: None, publisher.close, 60.0))
    if station.settings.opcua.enabled:
        found.append(_vision_system(station, cursors))
    if station.settings.postgres.host is not None:
        found.append(_rows(station, cursors))
    if station.settings.images.is_wanted:
        found.append(_images(station, cursors))
    return found


def _rows(station: LoadedConfiguration, cursors: Cursors) -> Connector:
    try:
        from station.northbound.postgres.assembly import connector_of  # noqa: PLC0415  its library is an extra
    except ImportError as problem:
        raise AddressError(f"[postgres] needs the extra `plant-db` ({problem}): {HOW_TO_INSTALL_DB}") from problem
    rows, database = connector_of(station, source_of(station, POSTGRES), cursors)
    longest_s = 3 * station.settings.postgres.timeout_s + 60
    return Connector(POSTGRES, f"PostgreSQL {database.where}", rows.step, database.cut, rows.close, longest_s)


def _images(station: LoadedConfiguration, cursors: Cursors) -> Connector:
    try:
        images, store = images_of(station, source_of(station, IMAGES), cursors)
    except ImportError as problem:
        raise AddressError(f"[images] bucket needs the extra `plant-s3` ({problem}): {HOW_TO_INSTALL_S3}") from problem
    except StoreError as problem:
        raise AddressError(str(problem)) from problem
    longest_s = MOST_IMAGES * station.settings.images.timeout_s + 60
    return Connector(IMAGES, f"images {store.where}", images.step, lambda: None, lambda: None, longest_s)


def _vision_system(station: LoadedConfiguration, cursors: Cursors) -> Connector:
    """Its server listens from here on. Raises AddressError."""
    try:
        from station.northbound.opcua.assembly import (  # noqa: PLC0415  its libraries are an extra
            CertificateError,
            ServerError,
            connector_of,
        )  # fmt: skip
    except ImportError as problem:
        raise AddressError(f"[opcua] needs the extra `plant` ({problem}): {HOW_TO_INSTALL}") from problem
    section = station.settings.opcua
    try:
        system = connector_of(station, source_of(station, OPCUA), cursors)
    except (ServerError, CertificateError) as problem:
        raise AddressError(str(problem)) from problem
    where = f"clients of opc.tcp://{section.host}:{section.port}"
    return Connector(OPCUA, where, system.step, lambda: None, system.close, 60.0)


def send_until(
    station: LoadedConfiguration, stopping: threading.Event, ready: Callable[[str], None], alive: Callable[[], None]
) -> None:
    """Sends until `stopping` is set; a request under way is cut then.

    `ready` is called with where results go, `alive` while all connectors turn.

    Raises:
        ForwardingError: another process sends already, or the cursors cannot be written.
        SecretError, AddressError: what a connector needs cannot be used.
    """
    file = forwarding_beside(station.records_dir)
    with alone(file), contextlib.closing(Cursors(file)) as cursors:
        connectors = connectors_of(station, cursors)
        ready(" and ".join(connector.where for connector in connectors))
        threads = [_Turning(connector, stopping) for connector in connectors]
        for thread in threads:
            thread.start()
        while not stopping.wait(1.0):
            if all(thread.turns for thread in threads):
                alive()  # else the watchdog of systemd ends it
            if dead := [thread.name for thread in threads if not thread.is_alive()]:
                raise ForwardingError(f"{', '.join(dead)} has ended; see the log")
        for connector in connectors:
            connector.cut()
        for thread, connector in zip(threads, connectors, strict=True):
            thread.join(STOP_S)
            connector.close()


class _Turning(threading.Thread):
    """Runs a connector."""

    def __init__(self, connector: Connector, stopping: threading.Event) -> None:
        super().__init__(name=connector.name, daemon=True)
        self._connector = connector
        self._stopping = stopping
        self._turned_s = time.monotonic()
        self._pause_s = 0.0

    @property
    def turns(self) -> bool:
        """It does not hang in a step."""
        return time.monotonic() - self._turned_s - self._pause_s < self._connector.longest_s

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._pause_s = 0.0
                self._turned_s = time.monotonic()
                self._pause_s = self._connector.step()
                if self._pause_s:
                    self._stopping.wait(self._pause_s)
        except Exception:  # boundary of the thread: the process ends, and systemd starts it again
            log.exception("sending failed")
