"""Builds what publishes over Sparkplug, from the configuration. Nothing else of the station loads its libraries."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivers.mqtt.session import CONNECT_S, Broker, Connected, Lost, Session, SessionError
from station.configuration.load import LoadedConfiguration
from station.configuration.northbound.sections import broker_at
from station.control import ControlError, request
from station.forwarding.progress import Cursors, forwarding_beside
from station.northbound.signing import read_password
from station.northbound.sparkplug.names import Names
from station.northbound.sparkplug.publisher import Publisher, Publishing
from station.northbound.unsent import Source

STATUS_TIMEOUT_S = 1.0


def publisher_of(station: LoadedConfiguration, source: Source, cursors: Cursors) -> Publisher:
    """Raises SecretError: the password cannot be read."""
    settings = station.settings
    section = settings.sparkplug
    publishing = Publishing(
        source=source,
        station=settings.station.name,
        names=Names(section.group, section.node or settings.station.name, section.line, section.primary_host),
        brokers=brokers_of(station),
        folder=forwarding_beside(station.records_dir).parent,
        every_part=section.every_part,
        host_timeout_s=section.host_timeout_s,
    )

    def status() -> Mapping[str, Any] | None:
        try:
            reply: Mapping[str, Any] = request(station.control_socket, {"command": "status"}, STATUS_TIMEOUT_S)[
                "status"
            ]
        except (ControlError, ValueError, KeyError):
            return None
        return reply

    return Publisher(publishing, cursors, status)


def brokers_of(station: LoadedConfiguration) -> tuple[Broker, ...]:
    """In the order of the configuration. Raises SecretError."""
    section = station.settings.sparkplug
    password = "" if section.password_file is None else read_password(station.resolve(section.password_file))

    def file(path: Path | None) -> Path | None:
        return None if path is None else station.resolve(path)

    return tuple(
        Broker(
            *broker_at(address), ca_file=file(section.ca_file), certificate_file=file(section.certificate_file),
            key_file=file(section.key_file), user=section.user, password=password,
        )
        for address in section.brokers
    )  # fmt: skip


def reach(broker: Broker) -> str:
    """Connects and says goodbye: why that does not work, or empty. Under a name of its own, so it disturbs nobody."""
    try:
        session = Session(broker, f"station-check-{secrets.token_hex(4)}", None, {})
    except SessionError as problem:
        return str(problem)
    try:
        match session.next_event(CONNECT_S):
            case Connected():
                return ""
            case Lost(why):
                return why
            case _:
                return f"{broker}: no reply within {CONNECT_S:g} s"
    finally:
        session.close()
