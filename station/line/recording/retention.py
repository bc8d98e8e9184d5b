"""The disk budget of the images: the oldest go first, rows stay, and so does what is in the quarantine.

Images lie in day folders; the pictures of one part share a stem (`2026-11-22/101502.123-...`, then `.png`,
`.map.png` and `.heights.png`) that sorts by time. Sizes are summed once at the start and then kept up to date; nothing
is scanned later.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from station.records.images import HEIGHTS_SUFFIX, IMAGE_SUFFIX, MAP_SUFFIX, TEMPORARY_SUFFIX

MB = 1_000_000


class Retention:
    """Owns the list of stored images and deletes the oldest. Used by the recording thread only; never deletes a row."""

    def __init__(self, directory: Path, *, budget_mb: int, min_free_mb: int) -> None:
        self._directory = directory
        self._budget = budget_mb * MB
        self._min_free = min_free_mb * MB
        self._bytes_of: dict[str, int] = {}  # by stem, oldest first
        self._total = 0

    @property
    def total_bytes(self) -> int:
        return self._total

    @property
    def free_mb(self) -> int:
        """Free space on the disk of the images."""
        return shutil.disk_usage(self._directory).free // MB

    @property
    def has_room(self) -> bool:
        """Whether an image may be stored without touching the space that must stay free."""
        return shutil.disk_usage(self._directory).free >= self._min_free

    def scan(self) -> frozenset[str]:
        """Takes stock of what is there and removes half-written files of an earlier process, and images that are empty
        after a power cut. Returns all stems.
        """
        found: dict[str, int] = {}
        empty: set[str] = set()
        for entry in _files(self._directory):
            if entry.name.endswith(TEMPORARY_SUFFIX):
                Path(entry.path).unlink(missing_ok=True)
            elif entry.name.endswith(IMAGE_SUFFIX):
                stem = _stem(Path(entry.path).relative_to(self._directory).as_posix())
                size = entry.stat().st_size
                found[stem] = found.get(stem, 0) + size
                if not size:
                    empty.add(stem)
        for stem in empty:
            self._unlink(stem)
            del found[stem]
        self._bytes_of = dict(sorted(found.items()))
        self._total = sum(found.values())
        return frozenset(found)

    def share_of(self, stems: Collection[str]) -> float:
        """Of the budget, what these images take."""
        return sum(self._bytes_of.get(stem, 0) for stem in stems) / max(self._budget, 1)

    def add(self, stem: str, size: int) -> None:
        """An image (with its map) was stored."""
        self._total += size - self._bytes_of.get(stem, 0)
        self._bytes_of[stem] = size

    @property
    def must_delete(self) -> bool:
        """Budget or free space ask for it."""
        return bool(self._bytes_of) and (self._total > self._budget or not self.has_room)

    def step(self, limit: int = 32, kept: Collection[str] = ()) -> list[str]:
        """Deletes the oldest images while budget or free space ask for it, at most `limit`, but for the stems `kept`.
        Returns the stems that went.
        """
        deleted: list[str] = []
        may_go = (stem for stem in tuple(itertools.islice(self._bytes_of, limit + len(kept))) if stem not in kept)
        for stem in may_go:
            if len(deleted) == limit or not self.must_delete:
                break
            self.remove(stem)
            deleted.append(stem)
        return deleted

    def remove(self, stem: str) -> None:
        """Deletes an image with its map, which may be gone already. Raises OSError."""
        self._unlink(stem)
        self._total -= self._bytes_of.pop(stem, 0)
        self._remove_day_if_last(stem)

    def _unlink(self, stem: str) -> None:
        for suffix in (IMAGE_SUFFIX, MAP_SUFFIX, HEIGHTS_SUFFIX):
            (self._directory / (stem + suffix)).unlink(missing_ok=True)

    def _remove_day_if_last(self, stem: str) -> None:
        day = stem.partition("/")[0]
        following = next(iter(self._bytes_of), "")
        if not following.startswith(f"{day}/"):
            folder = self._directory / day
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _stem(relative_path: str) -> str:
    for suffix in (MAP_SUFFIX, HEIGHTS_SUFFIX, IMAGE_SUFFIX):
        if relative_path.endswith(suffix):
            return relative_path.removesuffix(suffix)
    return relative_path


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    """The files in the day folders."""
    with os.scandir(directory) as days:
        for day in days:
            if day.is_dir(follow_symlinks=False):
                with os.scandir(day) as files:
                    yield from (entry for entry in files if entry.is_file(follow_symlinks=False))
