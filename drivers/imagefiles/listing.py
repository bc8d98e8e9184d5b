"""Which files of a folder are its images, and what else lies there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MAX_NAMES = 10
"""In one sentence."""
_OF_SYSTEMS = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder, not looked into its sub-folders."""

    files: tuple[Path, ...]
    """Its images, in the order of their names."""
    hidden: tuple[str, ...] = ()
    """What systems leave behind, such as `._001.png` and `.DS_Store` of a Mac."""
    folders: tuple[str, ...] = ()
    """Sub-folders."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody who counts files should know."""
        said = []
        if self.hidden:
            said.append(f"{len(self.hidden)} hidden files are left out: {some_names(self.hidden)}")
        if self.folders:
            said.append(f"images in {len(self.folders)} sub-folders are not taken: {some_names(self.folders)}")
        return tuple(said)


def list_images(folder: Path) -> Listing:
    """What is in a folder. Raises OSError."""
    files, hidden, folders = [], [], []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if is_hidden(entry.name):
                hidden.append(entry.name)
            elif entry.is_dir():
                folders.append(entry.name)
            elif Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file():
                files.append(folder / entry.name)
    return Listing(tuple(files), tuple(hidden), tuple(folders))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is nobody's image."""
    return name.startswith(".") or name in _OF_SYSTEMS


def some_names(names: tuple[str, ...] | list[str]) -> str:
    """Names for one line: the first ones, printable."""
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES} more"
