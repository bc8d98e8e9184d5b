"""Where the engines of one product lie, and which one is active.

The configuration and `station status` need a path and no more: this module imports neither what reads an engine
nor what runs one. `EngineStore` changes a store and verifies what is in it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engines.errors import StoreError

ACTIVE = "active"
ID_DIGITS = 12
_NAME = re.compile(rf"(\d{{4,9}})-([0-9a-f]{{{ID_DIGITS}}})")


@dataclass(frozen=True, slots=True)
class Version:
    """An engine in the store."""

    number: int
    path: Path

    @property
    def name(self) -> str:
        """`NNNN-` and the first 12 digits of the engine's id."""
        return self.path.name

    @property
    def id_start(self) -> str:
        """The first `ID_DIGITS` digits of the engine's id."""
        return self.path.name.partition("-")[2]


def version_name(number: int, engine_id: str) -> str:
    """The folder of an engine in a store: `NNNN-` and the first digits of its id."""
    return f"{number:04d}-{engine_id[:ID_DIGITS]}"


def number_of(name: str) -> int | None:
    """The number in the name of a version; None when `name` is no such name."""
    match = _NAME.fullmatch(name)
    return None if match is None else int(match[1])


def active_link(store: Path) -> Path:
    """What a station opens: always a whole engine, or not there."""
    return store / ACTIVE


def is_there(engine: Path) -> bool:
    """Whether an engine lies at this path of a configuration; False: none yet.

    Raises:
        StoreError: the link to the active engine leads out of its store or to a version that is gone, or another link
            leads nowhere. That is no station which waits for its first engine.
    """
    if engine.name == ACTIVE and engine.is_symlink():
        return active_version(engine.parent) is not None
    if engine.is_symlink() and not engine.exists():
        raise StoreError(f'"{engine}" leads to {engine.readlink()}, which is not there; restore it or remove the link')
    return engine.exists()


def active_name(store: Path) -> str | None:
    """Where the link to the active engine leads. Raises StoreError when it is no link."""
    link = active_link(store)
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f'"{link}" is not a link ({error.strerror}); remove it, then activate') from error


def all_versions(store: Path) -> tuple[Version, ...]:
    """All engines of a store, oldest first. Raises StoreError when it cannot be read."""
    try:
        names = [entry.name for entry in os.scandir(store) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StoreError(f'store "{store}" cannot be read: {error.strerror}') from error
    found = (Version(number, store / name) for name in names if (number := number_of(name)) is not None)
    return tuple(sorted(found, key=lambda version: (version.number, version.name)))


def elsewhere(store: Path) -> dict[str, int]:
    """The other products of this store that have engines, and how many. Nothing where that cannot be read."""
    try:
        beside = [entry.path for entry in os.scandir(store.parent) if entry.is_dir() and entry.name != store.name]
        found = {Path(path).name: len(all_versions(Path(path))) for path in sorted(beside)}
    except (OSError, StoreError):
        return {}
    return {name: count for name, count in found.items() if count}


def moved_in_words(store: Path) -> str:
    """What to do where a product has no engines because it has another name now; empty: no other product has any."""
    others = elsewhere(store)
    if not others:
        return ""
    named = ", ".join(f"{name} ({count})" for name, count in others.items())
    example = next(iter(others))
    return (
        f'other products have engines: {named}; if "{store.name}" is the new name of one of them, name it in its '
        f'recipe, so that its engines and their history stay: [engine] product = "{example}"'
    )


def active_version(store: Path) -> Version | None:
    """The active engine of a store. Raises StoreError when the link leads nowhere or elsewhere."""
    name = active_name(store)
    if name is None:
        return None
    for version in all_versions(store):
        if version.name == name:
            return version
    raise StoreError(f'"{active_link(store)}" leads to {name}, which is not in the store; activate another version')


def find_version(store: Path, selector: str) -> Version:
    """A version by number (`3`), by name or the start of its id (at least 4 digits), or `active`, or `latest`.

    Raises:
        StoreError: no version, or more than one; the message names those that there are.
    """
    versions = all_versions(store)
    if not versions:
        moved = moved_in_words(store)
        hint = f"; {moved}" if moved else ""
        raise StoreError(f'store "{store}" holds no engine; add one: station engine import, station refresh{hint}')
    if selector == ACTIVE:
        active = active_version(store)
        if active is None:
            raise StoreError(f'no engine of "{store}" is active; see: station engine list')
        return active
    if selector == "latest":
        return versions[-1]
    found = [v for v in versions if v.name == selector or (selector.isdecimal() and v.number == int(selector))]
    if not found and re.fullmatch(r"[0-9a-f]{4,64}", selector):
        found = [v for v in versions if v.id_start.startswith(selector[:ID_DIGITS])]
    if len(found) == 1:
        return found[0]
    known = ", ".join(version.name for version in versions[-8:])
    problem = "is not in" if not found else f"means {len(found)} versions of"
    raise StoreError(f'version "{selector}" {problem} store "{store}"; there are {known}')
