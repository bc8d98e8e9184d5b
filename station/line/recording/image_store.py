"""The images of the views: written beside the rows, kept inside the disk budget, skipped when the disk is full."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import structlog

from station import noted
from station.line.recording.quarantine import QuarantinedImages
from station.line.recording.retention import Retention
from station.records.images import (
    HEIGHTS_SUFFIX,
    IMAGE_SUFFIX,
    MAP_SUFFIX,
    ImageError,
    encode_map,
    write_atomic,
    write_heights,
    write_image,
)
from station.records.parts import PartRow, ViewRow
from station.results import Inspection

log = structlog.get_logger()

IMAGES_FOLDER = "images"
PROBE_INTERVAL_S = 1.0
CROWDED_SHARE = 0.5
"""Of the disk budget: a quarantine that takes more leaves little for new images, and somebody should know."""
_PROBE = bytes(65536)


class ImageStore:
    """Owns the images in day folders below `directory/images`. Used by the recording thread only; a full disk raises
    nothing here.
    """

    def __init__(self, directory: Path, *, budget_mb: int, min_free_mb: int) -> None:
        self._directory = directory
        self._images = directory / IMAGES_FOLDER
        self._min_free_mb = min_free_mb
        self._retention = Retention(self._images, budget_mb=budget_mb, min_free_mb=min_free_mb)
        self._quarantined = QuarantinedImages(directory)
        self._deleted: list[str] = []
        self._probe_at = 0.0
        self.trouble = ""
        """Why images cannot be stored now; empty when they can."""
        self._changes: list[str] = []
        self._warned = False
        self._warnings: list[str] = []

    def make_folder(self) -> None:
        """Raises OSError."""
        self._images.mkdir(parents=True, exist_ok=True)

    def take_stock(self) -> frozenset[str]:
        """Counts what is on disk. Returns the paths of all images, as in `ViewRow.image_path`."""
        try:
            stems = self._retention.scan()
        except OSError as problem:
            self._failed(problem)
            stems = frozenset()
        return frozenset(f"{IMAGES_FOLDER}/{stem}{IMAGE_SUFFIX}" for stem in stems)

    def store(self, row: PartRow, views: Sequence[Inspection]) -> PartRow:
        """Writes frame and map of every view of a part; the row that is returned says where they are, or why not."""
        return replace(
            row, views=tuple(self._store(row, view, seen) for view, seen in zip(row.views, views, strict=True))
        )

    def _store(self, row: PartRow, view: ViewRow, seen: Inspection) -> ViewRow:
        stem = _stem(row, view.camera)
        image, map_image = self._images / (stem + IMAGE_SUFFIX), self._images / (stem + MAP_SUFFIX)
        try:
            self._make_room()
            image.parent.mkdir(parents=True, exist_ok=True)
            size = write_image(image, seen.frame.pixels, seen.frame.heights)
            self._retention.add(stem, size)
            if seen.frame.heights is not None:
                size += write_heights(self._images / (stem + HEIGHTS_SUFFIX), seen.frame.heights)
                self._retention.add(stem, size)
            view = replace(view, image_path=self._relative(image))
            if seen.scores is not None:
                data, scale = encode_map(seen.scores.anomaly_map)
                write_atomic(map_image, data)
                self._retention.add(stem, size + len(data))
                view = replace(view, map_path=self._relative(map_image), map_low=scale.low, map_high=scale.high)
        except ImageError as problem:
            return replace(view, image_skipped=str(problem))
        except OSError as problem:
            return replace(view, image_skipped=self._failed(problem))
        self._works()
        return view

    def remove(self, paths: Sequence[str]) -> None:
        """Deletes images, as in `ViewRow.image_path`, whose rows are about to go."""
        try:
            for path in paths:
                self._retention.remove(_stem_of(path))
        except OSError as problem:
            self._failed(problem)

    def tidy(self) -> list[str]:
        """A small step of housekeeping: the disk budget, and whether a failing disk is back.

        Returns the paths of the images deleted since the last call.
        """
        try:
            self._delete_oldest()
            if self.trouble and time.monotonic() >= self._probe_at:
                self._probe_at = time.monotonic() + PROBE_INTERVAL_S
                self._probe()
        except OSError as problem:
            self._failed(problem)
        deleted, self._deleted = self._deleted, []
        return deleted

    def warnings(self) -> list[str]:
        """What is to be said since the last call, beside `changes`."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def changes(self) -> list[str]:
        """What `trouble` became since the last call: nothing, the last change, or the first and the last one."""
        changes, self._changes = self._changes, []
        return changes[:1] + changes[1:][-1:]

    def _probe(self) -> None:
        self._make_room()
        self.make_folder()
        probe = self._images / "probe"
        write_atomic(probe, _PROBE)
        probe.unlink()
        self._works()

    def _make_room(self) -> None:
        """Raises OSError (ENOSPC) when too little space is free and no image is left to delete."""
        if self._retention.has_room:
            return
        self._delete_oldest()
        if not self._retention.has_room:
            free = f"{self._retention.free_mb} MB free, {self._min_free_mb} MB must stay free"
            raise OSError(errno.ENOSPC, f"disk full: {free}")

    def _delete_oldest(self) -> None:
        if not self._retention.must_delete:
            return
        kept = self._quarantined.paths()
        if kept is None:
            self._warn("no image is deleted, as the labels, where the quarantine stands, cannot be read")
            return
        kept_stems = frozenset(_stem_of(path) for path in kept)
        stems = self._retention.step(kept=kept_stems)
        self._deleted += [f"{IMAGES_FOLDER}/{stem}{IMAGE_SUFFIX}" for stem in stems]
        share = self._retention.share_of(kept_stems)
        crowded = f"images in the quarantine take {share:.0%} of disk_budget_mb: others are deleted early"
        self._warn(crowded if share > CROWDED_SHARE else "")

    def _warn(self, warning: str) -> None:
        """Once, when it begins."""
        if warning and not self._warned:
            self._warnings.append(warning)
        self._warned = bool(warning)

    def _failed(self, problem: OSError) -> str:
        why = f"{problem.strerror or problem}"
        if not self.trouble:
            log.warning("images are not stored", why=why, directory=str(self._images))
            self._changes.append(noted.IMAGES_NOT_STORED(why=why))
        self.trouble = noted.IMAGES_NOT_STORED(why=why)
        return why

    def _works(self) -> None:
        if self.trouble:
            log.info("images are stored again", directory=str(self._images))
            self._changes.append("")
        self.trouble = ""

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._directory).as_posix()


def _stem_of(path: str) -> str:
    """Of an image as in `ViewRow.image_path`."""
    return path.removeprefix(f"{IMAGES_FOLDER}/").removesuffix(IMAGE_SUFFIX)


def _stem(row: PartRow, camera: str) -> str:
    """Where the images of a view lie, without suffix; sorts by time (UTC)."""
    taken = datetime.fromtimestamp(row.wall_time, timezone.utc)
    session, view = (re.sub(r"[^A-Za-z0-9_-]", "_", name)[:40] for name in (row.session, camera))
    time_text = f"{taken:%H%M%S}.{taken.microsecond // 1000:03d}"
    return f"{taken:%Y-%m-%d}/{time_text}-{session}-{row.acquisition_id:06d}-{row.verdict}-{view}"
