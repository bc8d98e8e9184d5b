"""Builds what sends rows to PostgreSQL, from the configuration. Nothing else of the station loads its library."""

from __future__ import annotations

import secrets
from pathlib import Path

from station import __version__
from station.configuration.load import LoadedConfiguration
from station.forwarding.progress import Cursors, ForwardingError, forwarding_beside
from station.northbound.postgres.connector import Connector, What, instance_of
from station.northbound.postgres.database import Database, Who
from station.northbound.postgres.link import Server
from station.northbound.postgres.rows import Policy
from station.northbound.signing import read_password
from station.northbound.unsent import Source


def server_of(station: LoadedConfiguration) -> Server:
    """Where the database is. Raises SecretError."""
    section = station.settings.postgres
    assert section.host is not None

    def file(path: Path | None) -> Path | None:
        return None if path is None else station.resolve(path)

    return Server(
        section.host,
        section.port,
        section.database,
        section.user,
        "" if section.password_file is None else read_password(station.resolve(section.password_file)),
        "none" if section.host.startswith("/") else section.encryption,  # a Unix socket has none
        file(section.ca_file),
        file(section.certificate_file),
        file(section.key_file),
        section.timeout_s,
    )


def database_of(station: LoadedConfiguration) -> Database:
    """Not connected yet. Raises SecretError, ForwardingError."""
    folder = forwarding_beside(station.records_dir).parent
    try:
        instance = instance_of(folder, lambda: secrets.token_hex(8))
    except OSError as problem:
        raise ForwardingError(f'"{folder}" cannot be written: {problem.strerror or problem}') from problem
    return Database(server_of(station), Who(station.settings.station.name, instance, __version__))


def connector_of(station: LoadedConfiguration, source: Source, cursors: Cursors) -> tuple[Connector, Database]:
    """Raises SecretError, ForwardingError."""
    section = station.settings.postgres
    images = station.settings.images
    policy = Policy(section.pass_every, images.pass_share if images.is_wanted else 0.0)
    what = What(source, station.settings.station.name, policy, section.events, section.labels, section.batch)
    database = database_of(station)
    return Connector(what, database, cursors), database
