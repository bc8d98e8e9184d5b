"""A change before it is made: the file as it would be, what that means, and whether a running line may take it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.text_file import text_of
from station.configuration.cameras import CameraFeatures
from station.configuration.editing.comments import comments_of
from station.configuration.editing.text import EditError, edited_text
from station.configuration.file import ConfigurationError
from station.configuration.load import (
    ChangedValue,
    LoadedConfiguration,
    changed_for_restart,
    values_changed,
    with_bytes,
)

SETTABLE = ("decision", "quality", "views", "challenge", "review", "cameras", "reject")
"""Sections that set-up may change, as far as a running station takes them up. Engines and recipes have commands."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One file with another content, valid as a whole."""

    path: Path
    text: str
    before: LoadedConfiguration
    after: LoadedConfiguration

    @property
    def changes(self) -> list[ChangedValue]:
        """Of values that hold, whichever file they come from."""
        return values_changed(self.before.settings, self.after.settings)

    @property
    def comments_lost(self) -> list[str]:
        """Comments that are in the old text and not in the new one."""
        left = Counter(comments_of(text_of(bytes_of(self.before, self.path))))
        left.subtract(comments_of(self.text))
        return [comment for comment, count in left.items() if count > 0 and not _is_kept(comment, self.text)]


def target_of(active: LoadedConfiguration) -> Path:
    """The file that changes go to: the recipe, where there is one."""
    return active.path if active.recipe is None else active.recipe.path


def bytes_of(active: LoadedConfiguration, path: Path) -> bytes:
    """A file of the configuration as it was read."""
    recipe = active.recipe
    return recipe.raw if recipe is not None and path == recipe.path else active.raw


def propose(active: LoadedConfiguration, changes: Mapping[tuple[str, ...], Any]) -> Proposal:
    """The configuration with these keys set in its file; None takes a key out, so that what lies below it holds.

    Raises ConfigurationError: a key is not known, a value is not allowed, or a running station cannot take it up.
    """
    path = target_of(active)
    try:
        text = edited_text(text_of(bytes_of(active, path)), changes)
    except (EditError, ValueError) as problem:
        raise ConfigurationError(path, [str(problem)]) from problem
    return propose_text(active, path, text)


def propose_text(active: LoadedConfiguration, path: Path, text: str) -> Proposal:
    """The configuration with this text in one of its files. Raises ConfigurationError, as `propose`."""
    after = with_bytes(active, path, text.encode())
    if refused := not_settable(active, after):
        raise ConfigurationError(path, [f"set-up cannot change {', '.join(refused)}: edit the file, then restart"])
    return Proposal(path, text, active, after)


def not_settable(before: LoadedConfiguration, after: LoadedConfiguration) -> list[str]:
    """Changed keys that are none of set-up's business, or that need a restart, as `section.key`."""
    found = set(changed_for_restart(before.settings, after.settings))
    for change in values_changed(before.settings, after.settings):
        of_camera = change.path[0] == "cameras" and change.path[2] not in CameraFeatures.model_fields
        if change.path[0] not in SETTABLE or of_camera:
            found.add(".".join(change.path[:2]))
    return sorted(found)


def _is_kept(comment: str, text: str) -> bool:
    """As part of a longer one: behind a key that was taken out."""
    return any(comment in other for other in comments_of(text))
