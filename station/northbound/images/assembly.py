"""Builds what sends images, from the configuration."""

from __future__ import annotations

from station.configuration.load import LoadedConfiguration
from station.forwarding.progress import Cursors, forwarding_beside
from station.northbound.images.connector import Connector, What
from station.northbound.images.policy import Policy, segment
from station.northbound.images.stores import MARK, Folder, Place, Store
from station.northbound.signing import read_password
from station.northbound.unsent import Source


def store_of(station: LoadedConfiguration) -> Store:
    """Nothing is looked at yet. Raises ImportError without the extra `plant-s3`, SecretError, StoreError."""
    section = station.settings.images
    if section.folder is not None:
        return Folder(station.resolve(section.folder))
    from station.northbound.images.s3 import Bucket  # noqa: PLC0415  its library is an extra

    return Bucket(place_of(station), f"{segment(station.settings.station.name)}/{MARK}")


def connector_of(station: LoadedConfiguration, source: Source, cursors: Cursors) -> tuple[Connector, Store]:
    """Not started. Raises as `store_of` does."""
    section, store = station.settings.images, store_of(station)
    policy = Policy(section.pass_share, section.per_day, section.pass_per_day)
    what = What(source, station.settings.station.name, policy, forwarding_beside(station.records_dir).parent)
    return Connector(what, store, cursors), store


def place_of(station: LoadedConfiguration) -> Place:
    """Where the bucket of [images] is. Raises SecretError."""
    section = station.settings.images
    assert section.bucket is not None
    assert section.endpoint is not None
    assert section.secret_file is not None
    return Place(
        section.endpoint,
        section.bucket,
        section.region,
        section.key_id,
        read_password(station.resolve(section.secret_file)),
        None if section.ca_file is None else station.resolve(section.ca_file),
        section.timeout_s,
    )
