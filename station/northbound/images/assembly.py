"""Builds what sends images, from the configuration."""

from __future__ import annotations

from station.configuration.load import LoadedConfiguration
from station.forwarding.progress import Cursors, forwarding_beside
from station.northbound.images.connector import Connector, What
from station.northbound.images.policy import Policy
from station.northbound.images.stores import Folder
from station.northbound.unsent import Source


def store_of(station: LoadedConfiguration) -> Folder:
    """Nothing is looked at yet."""
    section = station.settings.images
    assert section.folder is not None
    return Folder(station.resolve(section.folder))


def connector_of(station: LoadedConfiguration, source: Source, cursors: Cursors) -> tuple[Connector, Folder]:
    """Not started."""
    section, store = station.settings.images, store_of(station)
    policy = Policy(section.pass_share, section.per_day, section.pass_per_day)
    what = What(source, station.settings.station.name, policy, forwarding_beside(station.records_dir).parent)
    return Connector(what, store, cursors), store
