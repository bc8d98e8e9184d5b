"""Recipes: `recipes/NAME.toml` beside station.toml, and how one is laid over it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.configuration.file import ConfigurationError, parsed, read_toml
from station.configuration.recipe import RECIPE_NAME, RecipeFile, recipe_name
from station.configuration.section import validated

SUFFIX = ".toml"
OWN_KEYS = ("number", "description")
"""What a recipe says of itself; everything else in it is laid over station.toml."""
_PULSE = {"pulse_counts", "pulse_ms"}
_REPLIES = ("variants", "why")
"""About the engine that is named beside them, not about another one."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe that is valid by itself."""

    name: str
    path: Path
    file: RecipeFile
    data: Mapping[str, Any]
    """As written: only what it sets."""
    raw: bytes
    """The file as it is."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.raw).hexdigest()


def folder_of(station_toml: Path) -> Path:
    """Where the recipes of a station lie."""
    return station_toml.parent / "recipes"


def names(folder: Path) -> list[str]:
    """The names of all recipes, sorted; files with other names are none."""
    if not folder.is_dir():
        return []
    stems = (path.stem for path in folder.glob(f"*{SUFFIX}"))
    return sorted(stem for stem in stems if RECIPE_NAME.fullmatch(stem))


def read(folder: Path, name: str) -> Recipe:
    """One recipe. Raises ConfigurationError: no such recipe, or everything that is wrong in its file."""
    path = folder / f"{name}{SUFFIX}"
    try:
        recipe_name(name)
    except ValueError as problem:
        raise ConfigurationError(folder, [str(problem)]) from problem
    if not path.is_file():
        known = ", ".join(names(folder)) or "none"
        raise ConfigurationError(path, [f"there is no such recipe; there are: {known}"])
    return of_bytes(path, read_toml(path)[0])


def of_bytes(path: Path, raw: bytes) -> Recipe:
    """The recipe whose file has these bytes. Raises ConfigurationError with everything that is wrong in them."""
    data = parsed(path, raw)
    return Recipe(path.stem, path, validated(RecipeFile, data, path, raw), data, raw)


def with_number(folder: Path, number: int) -> Recipe:
    """The recipe that the PLC calls by this number. A recipe that cannot be read has none.

    Raises ConfigurationError: no recipe or more than one has it, or the one that has it is wrong.
    """
    numbers = {name: _number(folder, name) for name in names(folder)}
    found = [name for name, other in numbers.items() if other == number]
    if len(found) == 1:
        return read(folder, found[0])
    if found:
        raise ConfigurationError(folder, [f"number {number} is that of several recipes: {', '.join(found)}"])
    known = ", ".join(f"{other} {name}" for name, other in numbers.items() if other is not None)
    without = ", ".join(name for name, other in numbers.items() if other is None)
    problem = f"no recipe has the number {number}; there are: {known or 'none'}"
    raise ConfigurationError(folder, [problem + (f"; without a number that can be read: {without}" if without else "")])


def layered(station: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The content of station.toml with what the recipe sets in its place. Raises ConfigurationError."""
    unknown = [name for name in recipe.data.get("cameras", {}) if name not in station.get("cameras", {})]
    if unknown:
        known = ", ".join(station.get("cameras", {}))
        raise ConfigurationError(
            recipe.path, [f"[cameras.{name}]: station.toml has no such camera; it has: {known}" for name in unknown]
        )
    merged: dict[str, Any] = {**station, "recipe": {"name": recipe.name, "number": recipe.file.number}}
    engine = dict(merged.get("engine", {}))
    for key in _displaced(recipe.file):
        engine.pop(key, None)
    merged["engine"] = engine
    layers = {key: value for key, value in recipe.data.items() if key not in OWN_KEYS}
    if recipe.file.reject.ejectors:
        layers["reject"] = {**layers["reject"], "ejectors": _ejectors(station, recipe)}
    return _over(merged, layers)


def _displaced(recipe: RecipeFile) -> tuple[str, ...]:
    """What station.toml says of the engine and a recipe with an engine of its own makes void."""
    if recipe.engine.path is not None:
        return ("store", "product", "version", *_REPLIES)
    if recipe.engine.product is not None or recipe.engine.version is not None:
        return ("path", *_REPLIES)
    return ()


def _ejectors(station: Mapping[str, Any], recipe: Recipe) -> list[dict[str, Any]]:
    """The ejectors of station.toml, each with what the recipe sets of it. Raises ConfigurationError."""
    wired = station.get("reject", {}).get("ejectors", [])
    aimed = recipe.data["reject"]["ejectors"]
    if len(wired) != len(aimed):
        raise ConfigurationError(
            recipe.path,
            [
                f"[[reject.ejectors]]: {len(aimed)} given, station.toml has {len(wired)}: one for each, in the same "
                "order; an empty one leaves its ejector as it is"
            ],
        )
    return [_aimed(ejector, aim) for ejector, aim in zip(wired, aimed, strict=True)]


def _aimed(wired: Mapping[str, Any], aim: Mapping[str, Any]) -> dict[str, Any]:
    """A pulse in ms takes the place of one in counts, and the other way round."""
    kept = {key: value for key, value in wired.items() if key not in _PULSE} if _PULSE & aim.keys() else wired
    return _over(kept, aim)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables key by key; everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _number(folder: Path, name: str) -> int | None:
    try:
        number = read_toml(folder / f"{name}{SUFFIX}")[1].get("number")
    except ConfigurationError:
        return None
    return number if isinstance(number, int) else None
