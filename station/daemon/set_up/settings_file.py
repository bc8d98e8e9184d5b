"""A new content for station.toml or the active recipe, as the pages send it: checked, written in one step, put back.

The pages name the content that theirs is based on, and the reason. Whoever was first wins; the other one is refused.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from engines.bundle.files import sync_directory
from station.configuration.editing.proposal import bytes_of, propose_text
from station.configuration.file import read_toml
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.control import ControlError

Kind = Literal["configuration", "recipe"]
MAX_WHY = 200

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """One file with its new text."""

    kind: Kind
    text: str
    bases: Mapping[str, str]
    """Checksums of `configuration` and `recipe` that the text is based on; that of no recipe is empty."""
    why: str

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> SettingsFile:
        """`{"kind": "recipe", "text": "...", "based_on": {"configuration": "..", "recipe": ".."}, "why": ".."}`.

        Raises ControlError.
        """
        kind, text, bases, why = (request.get(key) for key in ("kind", "text", "based_on", "why"))
        if kind not in ("configuration", "recipe"):
            raise ControlError(f"kind = {kind!r}: configuration or recipe")
        if not isinstance(text, str):
            raise ControlError("text is missing: the whole file")
        if not (
            isinstance(bases, Mapping) and all(isinstance(bases.get(each), str) for each in ("configuration", "recipe"))
        ):
            raise ControlError("based_on is missing: the checksums of configuration and recipe")
        if not (isinstance(why, str) and 0 < len(why.strip()) <= MAX_WHY and why.isprintable()):
            raise ControlError(f"why is missing: one line of 1 to {MAX_WHY} letters")
        return cls(kind, text, dict(bases), why.strip())

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def based_on(self, active: LoadedConfiguration) -> str:
        """The checksum of the file that is replaced."""
        return active.checksum if self.kind == "configuration" else active.recipe_checksum

    def checked(self, active: LoadedConfiguration) -> LoadedConfiguration:
        """The configuration with it. Raises ConfigurationError: it is wrong, based on another, or not to be set so."""
        path = self._path(active)
        if (self.bases["configuration"], self.bases["recipe"]) != (active.checksum, active.recipe_checksum):
            raise ConfigurationError(
                path, ["somebody has changed the settings since this was begun; look at the difference anew"]
            )
        for file in (active.path, *([] if active.recipe is None else [active.recipe.path])):
            if read_toml(file)[0] != bytes_of(active, file):
                raise ConfigurationError(file, ["was edited and not taken up: station reload, or put it back"])
        return propose_text(active, path, self.text).after

    def write(self, active: LoadedConfiguration) -> Callable[[], None]:
        """Writes it in one step; returns what puts the old one back. Raises ConfigurationError: the old one stays."""
        path, before = self._path(active), bytes_of(active, self._path(active))
        try:
            replace_file(path, self.text.encode())
        except OSError as problem:
            raise ConfigurationError(
                path,
                [
                    f"cannot be written by the station ({problem.strerror}): its user needs to write in the folder "
                    f"{path.parent}, see docs/integrator.md; or put the new text there by hand, then station reload"
                ],
            ) from problem

        def put_back() -> None:
            try:
                replace_file(path, before)
            except OSError as problem:
                log.error("a refused change stands in the file: put it back", file=str(path), problem=str(problem))

        return put_back

    def _path(self, active: LoadedConfiguration) -> Path:
        if self.kind == "configuration":
            return active.path
        if active.recipe is None:
            raise ConfigurationError(active.path, ["there is no recipe: this file is the only one"])
        return active.recipe.path


def replace_file(path: Path, data: bytes) -> None:
    """The file is the old one or the new one, whole, after a kill or a power cut at any moment; its mode stays.

    Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.new")
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
