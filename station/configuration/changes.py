"""What a running station can take up of a changed configuration, and what needs a restart."""

from __future__ import annotations

from typing import Any

from station.configuration.cameras import CameraFeatures
from station.configuration.load import Configuration
from station.configuration.reject import EjectorAim, RejectDistances

RELOADABLE = ("recipe", "engine", "decision", "quality", "views", "challenge")
"""Sections that `station reload` takes up whole; of cameras and reject, what a recipe may set."""


def changed_for_restart(old: Configuration, new: Configuration) -> list[str]:
    """Changed keys that a running station cannot take up, as `section.key`."""
    before, after = _fixed(old), _fixed(new)
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def _fixed(settings: Configuration) -> dict[str, Any]:
    """What needs a restart, by its key."""
    sections = settings.model_dump(exclude=set(RELOADABLE))
    sections["cameras"] = {
        name: camera.model_dump(exclude=set(CameraFeatures.model_fields)) for name, camera in settings.cameras.items()
    }
    sections["reject"] = {
        **settings.reject.model_dump(exclude={*RejectDistances.model_fields, "ejectors"}),
        "ejectors": [ejector.model_dump(exclude=set(EjectorAim.model_fields)) for ejector in settings.reject.ejectors],
    }
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
