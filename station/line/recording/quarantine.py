"""What retention must know of the labels: parts that people keep, and the images of those in the quarantine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import structlog

from station.labels.schema import labels_beside
from station.records.old_rows import NEEDED_BY
from station.records.schema import RecordingError, open_reader

log = structlog.get_logger()

_IMAGES = """SELECT image_path FROM quarantined JOIN parts USING (session, acquisition_id) JOIN views ON part = parts.id
    WHERE image_path IS NOT NULL AND NOT image_deleted"""


def records_beside_labels(directory: Path) -> sqlite3.Connection:
    """A reader of the records that also sees what the labels say of each part, whatever their version, or nothing where
    there are none. Close it after use.

    Raises:
        RecordingError, sqlite3.Error: records or labels cannot be read.
    """
    connection = open_reader(directory)
    labels = labels_beside(directory)
    try:
        there: set[str] = set()
        if labels.exists():
            connection.execute("ATTACH ? AS labels", (f"{labels.absolute().as_uri()}?mode=ro",))
            there = {name for (name,) in connection.execute("SELECT name FROM labels.sqlite_master")}
        for table in NEEDED_BY:
            if table not in there:
                connection.execute(f"CREATE TEMP TABLE {table} (session, acquisition_id)")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class QuarantinedImages:
    """Owns which images stay whatever the disk budget says. Used by the recording thread only.

    Labels are read again only when their file has changed. While they cannot be read, what was known last holds, and
    no image is deleted if nothing was ever known.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._labels = labels_beside(directory)
        self._seen: tuple[int, int, int] | None = None
        self._paths: frozenset[str] = frozenset()
        self._trouble = ""

    def paths(self) -> frozenset[str] | None:
        """As `ViewRow.image_path`; None: not known, as the labels cannot be read."""
        state = self._state()
        if state == self._seen:
            return self._paths
        if state is None:
            self._paths = frozenset()
        else:
            try:
                with closing(records_beside_labels(self._directory)) as connection:
                    self._paths = frozenset(path for (path,) in connection.execute(_IMAGES))
            except (sqlite3.Error, RecordingError) as problem:
                return self._unreadable(str(problem))
        self._trouble = ""
        self._seen = state
        return self._paths

    def _state(self) -> tuple[int, int, int] | None:
        """Of the file of the labels; None: there is none."""
        try:
            status = self._labels.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _unreadable(self, problem: str) -> frozenset[str] | None:
        if problem != self._trouble:
            log.warning("the quarantine cannot be read: images of before stay", problem=problem)
        self._trouble = problem
        return None if self._seen is None else self._paths
