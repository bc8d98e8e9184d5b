"""What belongs to a station on disk, and the name of each piece in a backup.

configuration/   station.toml and recipes/          work/      selected recipe, labels.db
engines/         the store, or engine/ the folder   records/   records.db, images/ when asked for
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from station.configuration import recipes
from station.configuration.load import LoadedConfiguration
from station.configuration.selection import FILE as SELECTION
from station.labels.schema import LABELS_FILE, labels_beside
from station.records.schema import DATABASE_FILE

IMAGES = "images"


@dataclass(frozen=True)
class Contents:
    """Names in the backup, with `/`, and where each lies."""

    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """Name -> what the link says: the active version of a store."""
    databases: dict[str, Path] = field(default_factory=dict)
    """Files that somebody may be writing: copied through SQLite."""

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in (*self.files.values(), *self.databases.values()))


def places(station: LoadedConfiguration) -> dict[str, Path]:
    """First part of a name in a backup -> the file or folder that it stands for at this station."""
    engine = station.settings.engine
    found = {
        "configuration/station.toml": station.path,
        "configuration/recipes": recipes.folder_of(station.path),
        f"work/{SELECTION}": station.work_dir / SELECTION,
        f"work/{LABELS_FILE}": labels_beside(station.records_dir),
        "records": station.records_dir,
    }
    if engine.store is not None:
        found["engines"] = station.resolve(engine.store)
    elif engine.path is not None:
        found["engine"] = station.resolve(engine.path)
    return found


def contents(station: LoadedConfiguration, *, images: bool) -> Contents:
    """What there is now. Files that are being written have a dot in front or a name of their own, and are left out."""
    found = Contents()
    for name, place in places(station).items():
        if name == "records":
            _add_database(found, f"records/{DATABASE_FILE}", place / DATABASE_FILE)
            if images:
                _add(found, f"records/{IMAGES}", place / IMAGES)
        elif name.endswith(LABELS_FILE):
            _add_database(found, name, place)
        else:
            _add(found, name, place)
    return found


def _add(found: Contents, name: str, place: Path) -> None:
    if place.is_symlink():
        found.links[name] = str(place.readlink())
    elif place.is_dir():
        for inner in _visible(place):
            _add(found, f"{name}/{inner.name}", inner)
    elif place.is_file():
        found.files[name] = place


def _add_database(found: Contents, name: str, place: Path) -> None:
    if place.is_file():
        found.databases[name] = place


def _visible(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for path in folder.iterdir() if not path.name.startswith(".")))
