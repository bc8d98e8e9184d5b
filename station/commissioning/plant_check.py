"""Looks at the way to the plant: secret, certificates, whether the receiver can be reached, what was sent; and at what
comes from there: the channel of engines.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from station.configuration.load import LoadedConfiguration
from station.fleet.channel import ChannelError, moment_of
from station.fleet.refreshing.assembly import images_of as images_to_read
from station.fleet.seen import file_of, read_seen
from station.forwarding.in_words import is_well, sentence_of
from station.forwarding.progress import ForwardingError, forwarding_beside, is_running, read_progress
from station.northbound.images.assembly import store_of as images_store
from station.northbound.images.stores import StoreError
from station.northbound.process import HOW_TO_INSTALL, HOW_TO_INSTALL_DB, HOW_TO_INSTALL_S3, webhook_of
from station.northbound.signing import SecretError
from station.northbound.webhook import AddressError
from station.records.parts import newest_id
from station.records.schema import DATABASE_FILE, RecordingError, open_reader
from station.reports.shifts import calendar_of

REACH_S = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one thing that was looked at; `detail` is for people."""

    what: str
    ok: bool
    detail: str


def webhook_finding(configuration: LoadedConfiguration) -> Finding:
    """Connects to the receiver and sends nothing: `station plant test` does."""
    file = forwarding_beside(configuration.records_dir)
    try:
        webhook = webhook_of(configuration)
        found = read_progress(file)
        newest = _newest(configuration)
    except (SecretError, AddressError, ForwardingError, RecordingError) as problem:
        return Finding("webhook", False, str(problem))
    assert webhook is not None
    if why := webhook.reach():
        return Finding("webhook", False, f"{why}; nothing on the line waits for it, results stay until it is there")
    now = time.time()
    said = f"{webhook.where} can be reached"
    if not found:
        return Finding("webhook", True, f"{said}; nothing was sent yet: systemctl enable --now station-plant")
    said += "; " + "; ".join(sentence_of(one, newest, now) for one in found)
    if not is_running(file):
        return Finding("webhook", False, f"{said}; the process does not run: systemctl enable --now station-plant")
    return Finding("webhook", all(is_well(one, now) for one in found), said)


def sparkplug_findings(configuration: LoadedConfiguration) -> Iterator[Finding]:
    """Connects to each broker and publishes nothing."""
    if not configuration.settings.sparkplug.brokers:
        return
    try:
        from station.northbound.sparkplug.assembly import brokers_of, reach  # noqa: PLC0415  an extra
    except ImportError as problem:
        yield Finding("sparkplug", False, f"the extra `plant` is not installed ({problem}): {HOW_TO_INSTALL}")
        return
    try:
        brokers = brokers_of(configuration)
    except SecretError as problem:
        yield Finding("sparkplug", False, str(problem))
        return
    for broker in brokers:
        why = reach(broker)
        yield Finding("sparkplug", not why, why or f"{broker} takes the connection")


def opcua_findings(configuration: LoadedConfiguration) -> Iterator[Finding]:
    """Looks at certificates and at the port; the server itself is the plant process's."""
    section = configuration.settings.opcua
    if not section.enabled:
        return
    try:
        from station.northbound.opcua.assembly import CertificateError, certificates_found  # noqa: PLC0415  an extra
    except ImportError as problem:
        yield Finding("opcua", False, f"the extra `plant` is not installed ({problem}): {HOW_TO_INSTALL}")
        return
    try:
        found = certificates_found(configuration)
    except CertificateError as problem:
        yield Finding("opcua", False, str(problem))
        return
    host = "127.0.0.1" if section.host in ("0.0.0.0", "") else "::1" if section.host == "::" else section.host
    where = f"opc.tcp://{section.host}:{section.port}"
    runs = is_running(forwarding_beside(configuration.records_dir))
    try:
        with socket.create_connection((host, section.port), timeout=REACH_S):
            listens = True
    except OSError:
        listens = False
    if listens and runs:
        yield Finding("opcua", True, f"{where} listens; {found}")
    elif listens:
        yield Finding("opcua", False, f"another program listens on {where}: give [opcua] port another number; {found}")
    else:
        todo = "see its log: journalctl -u station-plant" if runs else "systemctl enable --now station-plant"
        yield Finding("opcua", False, f"nothing listens on {where}: {todo}; {found}")


def postgres_findings(configuration: LoadedConfiguration) -> Iterator[Finding]:
    """Connects, looks at the schema and writes nothing."""
    if configuration.settings.postgres.host is None:
        return
    try:
        from station.northbound.postgres.assembly import database_of  # noqa: PLC0415  an extra
    except ImportError as problem:
        yield Finding("postgres", False, f"the extra `plant-db` is not installed ({problem}): {HOW_TO_INSTALL_DB}")
        return
    try:
        database = database_of(configuration)
    except (SecretError, ForwardingError) as problem:
        yield Finding("postgres", False, str(problem))
        return
    why = database.reach()
    yield Finding("postgres", not why, why or f"{database.where} can be reached and has the schema of this station")


def images_findings(configuration: LoadedConfiguration) -> Iterator[Finding]:
    """Whether the folder is the one that is meant; into a bucket it puts a small object, once. A computer that
    refreshes many stations, [fleet] results, has another right: it lists and reads.
    """
    if not configuration.settings.images.is_wanted:
        return
    is_read = configuration.settings.fleet.results is not None
    try:
        store = images_to_read(configuration) if is_read else images_store(configuration)
    except ImportError as problem:
        yield Finding("images", False, f"the extra `plant-s3` is not installed ({problem}): {HOW_TO_INSTALL_S3}")
        return
    except (SecretError, StoreError) as problem:
        yield Finding("images", False, str(problem))
        return
    why = store.reach()
    yield Finding("images", not why, why or f"{store.where} can be {'read' if is_read else 'used'}")


def channel_findings(configuration: LoadedConfiguration) -> Iterator[Finding]:
    """What the last pull found; asks nobody."""
    store = configuration.engine_store
    if configuration.settings.channel.url is None or store is None:
        return
    calendar = calendar_of(configuration.settings.station)
    try:
        seen = read_seen(file_of(configuration.work_dir, store.name))
    except ChannelError as problem:
        yield Finding("channel", False, str(problem))
        return
    if not (seen.pulled_at or seen.problem):
        todo = "station fleet pull, or systemctl enable --now station-fleet-pull.timer"
        yield Finding("channel", False, f"nothing was ever pulled: {todo}")
    elif seen.problem:
        yield Finding("channel", False, f"{seen.problem} (the engine that runs goes on)")
    elif time.time() >= (expires := moment_of(seen.expires)):
        said = f"it expired on {calendar.in_words(expires)} and nothing newer was pulled"
        yield Finding("channel", False, f"{said}: station fleet pull says why; the engine that runs goes on")
    else:
        said = f"sequence {seen.sequence}, pulled {calendar.in_words(seen.pulled_at)}"
        yield Finding("channel", True, f"{said}, expires {calendar.in_words(expires)}")


def _newest(configuration: LoadedConfiguration) -> int:
    if not (configuration.records_dir / DATABASE_FILE).exists():
        return 0
    with closing(open_reader(configuration.records_dir)) as connection:
        return newest_id(connection)
