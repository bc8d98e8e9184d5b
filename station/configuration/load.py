"""Reads station.toml, lays a recipe over it, and says what a running station can take up of a changed one.

`load(path)` reports everything that is wrong in a file at once; each line names file, key, value and what is allowed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.signatures.trust import Trust
from engines.store.versions import active_link, find_version
from station.configuration import recipes
from station.configuration.cameras import CameraFeatures
from station.configuration.file import CONTROL_SOCKET, ConfigurationError, parsed, read_toml, resolved
from station.configuration.model import Configuration
from station.configuration.recipes import Recipe
from station.configuration.reject import EjectorAim, RejectDistances
from station.configuration.runtime_folder import runtime_folder
from station.configuration.section import validated
from station.configuration.selection import SelectionError, read_selection

__all__ = ["ConfigurationError"]

RELOADABLE = ("recipe", "engine", "decision", "quality", "views", "challenge", "review")
"""Sections that `station reload` takes up whole; of cameras and reject, what a recipe may set."""
OF_REPORTS = ("time_zone", "shifts")
"""Keys of [station] that the daemon never reads: commands take them from the file."""
OF_PAGES = "hmi"
"""A section that the daemon never reads: `station hmi` does."""
OF_PROCESS = "process"
"""The same of `station process run`."""
OF_FLEET = ("channel", "fleet")
"""The same of `station fleet pull`, `refresh` and `worker`."""

NOT_THERE = object()
"""In place of a value: the key belongs to a section that is not there."""
_SHOWN_CHARACTERS = 60

SIMULATED = ("simtl", "viky")
"""Producers of software cameras."""
RECORDS = "records"
"""In the work folder."""


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """A valid configuration, where it came from, and the checksum that goes to map and record."""

    path: Path
    settings: Configuration
    checksum: str
    """SHA-256 of station.toml, hexadecimal."""
    raw: bytes
    """station.toml as it is on disk."""
    data: Mapping[str, Any]
    """Its content."""
    recipe: Recipe | None = None
    """The recipe that is laid over station.toml; None: station.toml is the only one."""
    warning: str = ""
    """Why the start recipe is active and not the one that was selected."""

    @property
    def recipe_checksum(self) -> str:
        """SHA-256 of the recipe's file; empty when station.toml is the only recipe: `checksum` covers it."""
        return self.recipe.checksum if self.recipe else ""

    def resolve(self, path: Path) -> Path:
        """Paths in the file are relative to the file."""
        return resolved(path, self.path)

    @property
    def work_dir(self) -> Path:
        return self.resolve(self.settings.station.work_dir)

    @property
    def control_socket(self) -> Path:
        return self.work_dir / CONTROL_SOCKET

    @property
    def records_dir(self) -> Path:
        return self.work_dir / RECORDS

    @property
    def accounts_dir(self) -> Path:
        """Where people's accounts lie: the only folder that the process of the pages writes."""
        chosen = self.settings.hmi.data_dir
        return self.work_dir / "hmi" if chosen is None else self.resolve(chosen)

    @property
    def runtime_dir(self) -> Path:
        """Where open parts and parts on the belt are kept; see `runtime_folder`."""
        chosen = self.settings.station.runtime_dir
        return runtime_folder(None if chosen is None else self.resolve(chosen), self.work_dir)

    @property
    def journal_path(self) -> Path:
        return self.runtime_dir / "journal.bin"

    @property
    def belt_path(self) -> Path:
        """Where the number of parts between camera and ejector is kept."""
        return self.runtime_dir / "belt.bin"

    @property
    def is_simulated(self) -> bool:
        """Whether a camera shows parts that are on no line: a software camera, or pictures of a folder."""
        cameras = self.settings.cameras.values()
        return any(camera.driver == "folder" or camera.producer in SIMULATED for camera in cameras)

    @property
    def engine_store(self) -> Path | None:
        """The folder of this product's engines; None when the engine is a plain folder."""
        engine = self.settings.engine
        return (
            None if engine.store is None else self.resolve(engine.store) / (engine.product or self.settings.recipe.name)
        )

    @property
    def trust(self) -> Trust:
        """Who must have signed an engine."""
        engine = self.settings.engine
        return Trust(self.resolve(engine.trusted_keys), engine.require_signature)

    @property
    def engine_path(self) -> Path | None:
        """Where the engine lies, or will. Raises StoreError when the store has no such version."""
        version = self.settings.engine.version
        path = self.settings.engine.path
        if self.engine_store is not None:
            store = self.engine_store
            return active_link(store) if version is None else find_version(store, str(version)).path
        return None if path is None else self.resolve(path)


def load_station(path: Path) -> LoadedConfiguration:
    """station.toml alone, whatever the recipes are like. Raises ConfigurationError with every problem found."""
    return _of_bytes(path, read_toml(path)[0])


def _of_bytes(path: Path, raw: bytes) -> LoadedConfiguration:
    data = parsed(path, raw)
    settings = validated(Configuration, data, path, raw)
    return LoadedConfiguration(path.resolve(), settings, hashlib.sha256(raw).hexdigest(), raw, data)


def load(path: Path, recipe: str | None = None) -> LoadedConfiguration:
    """Reads and checks a configuration file and the active recipe: `recipe`, else the one selected last, else the one
    to start with.

    Raises ConfigurationError with every problem found in the first file that has any.
    """
    station = load_station(path)
    start = station.settings.recipe.active
    if recipe is not None:
        return with_recipe(station, recipe)
    if start is None:
        return _complete(station)
    name, warning = _selected(station, start)
    return replace(with_recipe(station, name), warning=warning)


def with_recipe(station: LoadedConfiguration, recipe: str | int) -> LoadedConfiguration:
    """The same station.toml, as it was read, with a recipe by name or number. Raises ConfigurationError."""
    if station.settings.recipe.active is None and station.recipe is None:
        raise ConfigurationError(station.path, [f'[recipe] active is not set, so there is no recipe "{recipe}"'])
    folder = recipes.folder_of(station.path)
    return _laid_over(
        station, recipes.read(folder, recipe) if isinstance(recipe, str) else recipes.with_number(folder, recipe)
    )


def with_bytes(active: LoadedConfiguration, path: Path, raw: bytes) -> LoadedConfiguration:
    """The active configuration as if one of its two files, station.toml or its recipe, held these bytes.

    Raises ConfigurationError with every problem found.
    """
    recipe = active.recipe
    if recipe is not None and path == recipe.path:
        return _laid_over(active, recipes.of_bytes(path, raw))
    if path != active.path:
        raise ConfigurationError(path, [f"is neither {active.path} nor the active recipe"])
    station = _of_bytes(path, raw)
    if (station.settings.recipe.active is None) != (recipe is None):
        raise ConfigurationError(path, ["[recipe] active: whether there are recipes is decided at the start"])
    return _complete(station) if recipe is None else _laid_over(station, recipe)


def _laid_over(station: LoadedConfiguration, recipe: Recipe) -> LoadedConfiguration:
    settings = validated(Configuration, recipes.layered(station.data, recipe), recipe.path, recipe.raw)
    return _complete(replace(station, settings=settings, recipe=recipe, warning=""))


def _selected(loaded: LoadedConfiguration, start: str) -> tuple[str, str]:
    """The recipe selected last, or the one to start with and the reason for it."""
    try:
        selection = read_selection(loaded.work_dir)
    except SelectionError as problem:
        return start, f'{problem}; started with recipe "{start}"'
    return (start if selection is None else selection.recipe), ""


def _complete(loaded: LoadedConfiguration) -> LoadedConfiguration:
    """What only station.toml and recipe together can be asked."""
    challenge = loaded.settings.challenge
    path = loaded.recipe.path if loaded.recipe else loaded.path
    if challenge.becomes_due and not challenge.parts:
        raise ConfigurationError(path, ["[challenge] becomes due, but there are no master parts: [[challenge.parts]]"])
    if loaded.recipe and "reject" in loaded.recipe.data and loaded.settings.reject.by == "plc":
        raise ConfigurationError(
            path, ['[reject] would do nothing: the PLC tracks ([reject] by = "plc" in station.toml); remove it']
        )
    return loaded


def changed_for_restart(old: Configuration, new: Configuration) -> list[str]:
    """Changed keys that a running station cannot take up, as `section.key`."""
    before, after = _fixed(old), _fixed(new)
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """A key whose value differs; a value may be `NOT_THERE`."""

    path: tuple[str, ...]
    old: Any
    new: Any

    def __str__(self) -> str:
        """`[section] key: old -> new`."""
        return f"[{'.'.join(self.path[:-1])}] {self.path[-1]}: {_shown(self.old)} -> {_shown(self.new)}"


def values_changed(old: Configuration, new: Configuration) -> list[ChangedValue]:
    """Every key whose value differs, in the order of their names; a list is one value."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    return [
        ChangedValue(path, before.get(path, NOT_THERE), after.get(path, NOT_THERE))
        for path in sorted(before.keys() | after.keys())
        if before.get(path, NOT_THERE) != after.get(path, NOT_THERE)
    ]


def changed_values(old: Configuration, new: Configuration) -> list[str]:
    """The same as text."""
    return [str(change) for change in values_changed(old, new)]


def _flat(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    values: dict[tuple[str, ...], Any] = {}
    for key, value in table.items():
        inner = _flat(value, (*above, key)) if isinstance(value, Mapping) else {(*above, key): value}
        values.update(inner)
    return values


def _shown(value: Any) -> str:
    text = "not there" if value is NOT_THERE else json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _fixed(settings: Configuration) -> dict[str, Any]:
    """What needs a restart, by its key."""
    sections = settings.model_dump(exclude={*RELOADABLE, OF_PAGES, OF_PROCESS, *OF_FLEET})
    sections["webhook"] = {"url": settings.webhook.url is not None}  # the rest is the plant process's
    sections["sparkplug"] = {"brokers": bool(settings.sparkplug.brokers)}
    sections["opcua"] = {"enabled": settings.opcua.enabled, "commands": settings.opcua.commands}
    sections["postgres"] = {"host": settings.postgres.host is not None}
    sections["images"] = {"folder": settings.images.is_wanted}
    sections["station"] = settings.station.model_dump(exclude=set(OF_REPORTS))
    sections["cameras"] = {
        name: camera.model_dump(exclude=set(CameraFeatures.model_fields)) for name, camera in settings.cameras.items()
    }
    sections["reject"] = {
        **settings.reject.model_dump(exclude={*RejectDistances.model_fields, "ejectors"}),
        "ejectors": [ejector.model_dump(exclude=set(EjectorAim.model_fields)) for ejector in settings.reject.ejectors],
    }
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
