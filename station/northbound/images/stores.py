"""Where images lie for all stations: what a store can do, and the store that is a folder. A bucket is in `s3.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from station.records.images import write_atomic

MARK = ".station-images"
"""Lies in a folder that is meant: a share that is not mounted is an empty folder of this computer."""


class StoreError(Exception):
    """Nothing was stored; the message says why and what to do."""


class Store(Protocol):
    """Takes an image under a name once. Used by one thread."""

    @property
    def where(self) -> str:
        """For people."""
        ...

    def put(self, name: str, content: bytes) -> bool:
        """Stores it; False: it is there already. Raises StoreError."""
        ...

    def reach(self) -> str:
        """Why it cannot be used, or empty."""
        ...


class Folder:
    """Of a share, or of this computer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def where(self) -> str:
        return f'"{self._folder}"'

    def put(self, name: str, content: bytes) -> bool:
        if why := self.reach():
            raise StoreError(why)
        path = self._folder / name
        if path.exists():
            return False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
        except OSError as problem:
            raise StoreError(f'"{path}" cannot be written: {problem.strerror or problem}') from problem
        return True

    def reach(self) -> str:
        try:
            (self._folder / MARK).stat()
        except FileNotFoundError:
            return (
                f'"{self._folder}" has no file {MARK}: is the share mounted? If this is the folder: touch '
                f'"{self._folder / MARK}"'
            )
        except OSError as problem:
            return f'"{self._folder}" cannot be used: {problem.strerror or problem}'
        return ""
