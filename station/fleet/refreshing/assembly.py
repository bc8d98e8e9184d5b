"""Builds what gives the images back that stations have sent, from the configuration of the computer that refreshes."""

from __future__ import annotations

from station.configuration.load import LoadedConfiguration
from station.fleet.refreshing.bucket import Bucket
from station.northbound.images.assembly import place_of
from station.northbound.images.stores import Folder, Readable


def images_of(station: LoadedConfiguration) -> Readable:
    """The folder or the bucket of [images]. Nothing is looked at yet. Raises SecretError, StoreError."""
    section = station.settings.images
    return Bucket(place_of(station)) if section.folder is None else Folder(station.resolve(section.folder))
