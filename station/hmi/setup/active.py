"""The configuration as it stands in the files now, with the recipe that the station runs."""

from __future__ import annotations

from station.configuration.load import LoadedConfiguration, load, load_station
from station.hmi.site import Site


def active_of(site: Site) -> LoadedConfiguration:
    """Read anew each time: a file may have changed since the pages started. Raises ConfigurationError.

    The recipe is the one that the station runs; while it does not, the one that was selected last.
    """
    path = site.station.path
    if load_station(path).settings.recipe.active is None:
        return load(path)
    status = site.line.now().status
    return load(path, str(status["recipe"]) if status is not None else None)
