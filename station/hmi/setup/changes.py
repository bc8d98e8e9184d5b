"""What a person wants to set, as it stands in addresses: `set=decision.reject_score=0.55`; JSON, null takes it out.

So a difference, or what it would have changed, is an address of its own: it outlives a reload and an ended login.
Fields of a form have the path of the key as their name, and text as their value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from station.configuration.decision import LimitsSection
from station.configuration.editing.sets import SET, change_of
from station.configuration.load import LoadedConfiguration
from station.configuration.recipes import layered

MOST_SETS = 200
ZONES = "zones"
_WHOLE = frozenset({"fail_count", "review_count", "k"})
_WORDS = frozenset({"action", "rule"})
_OF_FORMS = ("decision", "quality", "cameras", "views")
LIMITS = tuple(LimitsSection.model_fields)

Path = tuple[str, ...]
Changes = dict[Path, Any]


class WrongChange(ValueError):
    """What was written cannot be understood; the message says what is allowed."""


class Fields(Protocol):
    """Of an address or of a form that was sent."""

    def multi_items(self) -> Sequence[tuple[str, Any]]: ...


def changes_in(fields: Fields, active: LoadedConfiguration) -> Changes:
    """What differs from the settings that hold now. Raises WrongChange."""
    wanted: Changes = {}
    zones: dict[str, dict[str, str]] = {}
    given = [(name, str(value)) for name, value in fields.multi_items()]
    for name, text in given:
        first, _, rest = name.partition(".")
        if name == SET:
            path, value = _of_set(text)
            wanted[path] = value
        elif first in _OF_FORMS and rest:
            wanted[tuple(name.split("."))] = _of_form(name, text.strip())
        elif first.startswith("zone") and first[4:].isdecimal():
            zones.setdefault(first, {})[rest] = text
    where = dict(given).get("zones_of", "")
    if where:
        path = (*where.split("."), ZONES)
        wanted[path] = [zone for each in zones.values() if (zone := _zone(each))]
    if len(wanted) > MOST_SETS:
        raise WrongChange(f"{len(wanted)} changes at once: at most {MOST_SETS}")
    return {path: value for path, value in wanted.items() if not _holds(active, path, value)}


def now(active: LoadedConfiguration, path: Path) -> Any:
    """The value that is written in the files; None: it is in neither, and what is inherited or the default holds."""
    recipe = active.recipe
    value: Any = active.data if recipe is None else layered(active.data, recipe)
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return without_unset(value) if path[-1] == ZONES else value


def zones_on(active: LoadedConfiguration, camera: str) -> list[dict[str, Any]]:
    """The zones that hold for what a camera sees, wherever they are written."""
    decision = active.settings.decision_on(camera)
    return without_unset(decision.model_dump(mode="json")["zones"])


def zones_path(active: LoadedConfiguration, camera: str) -> Path:
    """Where zones of a camera are written: with several cameras each has its own."""
    of_view = ("decision", "views", camera)
    is_own = len(active.settings.cameras) > 1 or bool(now(active, (*of_view, ZONES)))
    return of_view if is_own else ("decision",)


def without_unset(zones: Any) -> list[dict[str, Any]]:
    """Zones with the keys that say something."""
    return [
        {key: value for key, value in zone.items() if value is not None and not (key == "ignore" and value is False)}
        for zone in zones or ()
        if isinstance(zone, Mapping)
    ]


def _holds(active: LoadedConfiguration, path: Path, value: Any) -> bool:
    before = now(active, path)
    if path[-1] == ZONES:
        return without_unset(value) in (before, zones_on(active, path[2]) if len(path) == 4 else before)
    return isinstance(before, bool) == isinstance(value, bool) and bool(before == value)


def _of_set(text: str) -> tuple[Path, Any]:
    try:
        return change_of(text)
    except ValueError as problem:
        raise WrongChange(str(problem)) from problem


def _of_form(name: str, text: str) -> Any:
    """Text of a person: a comma is a point, nothing is nothing."""
    key = name.rpartition(".")[2]
    if not text:
        return None
    if key in _WORDS:
        return text
    return number(name, text, whole=key in _WHOLE)


def number(name: str, text: str, *, whole: bool = False) -> float | int:
    """A number as a person writes it. Raises WrongChange."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise WrongChange(f'{name:.60} = "{text:.40}": a number, as 0.55')
    if not whole:
        return value
    if value != int(value):
        raise WrongChange(f'{name:.60} = "{text:.40}": a whole number')
    return int(value)


def _zone(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """From the fields of the page; None: it is to go, or was left empty."""
    name = fields.get("name", "").strip()
    if fields.get("delete") or not (name or fields.get("polygon", "").strip()):
        return None
    corners = fields.get("polygon", "").split()
    polygon = []
    for corner in corners:
        x, _, y = corner.partition(",")
        polygon.append([number(f"zone {name} corner", x), number(f"zone {name} corner", y)])
    zone: dict[str, Any] = {"name": name, "polygon": polygon}
    if fields.get("ignore"):
        zone["ignore"] = True
    for key in LIMITS:
        if text := fields.get(key, "").strip():
            zone[key] = number(f"zone {name} {key}", text, whole=key in _WHOLE)
    return zone
