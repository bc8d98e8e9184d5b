"""What all pages of one station share: its records, its clock, its languages. One for a process, never changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from station.configuration.load import LoadedConfiguration
from station.configuration.model import HmiSection
from station.hmi.line import LineState
from station.hmi.rendering import Rendering
from station.hmi.words import Words
from station.labels.schema import labels_beside
from station.records.schema import open_reader
from station.reports.seen import Eyes
from station.reports.shifts import Calendar


@dataclass(frozen=True, slots=True)
class Site:
    """Made by `app.site_of`; the pages find it in `request.app.state.site`."""

    station: LoadedConfiguration
    calendar: Calendar
    eyes: Eyes
    """Pictures of parts."""
    line: LineState
    """What the daemon says of itself."""
    words: Mapping[str, Words]
    rendering: Rendering

    @property
    def settings(self) -> HmiSection:
        return self.station.settings.hmi

    @property
    def name(self) -> str:
        """Of the station."""
        return self.station.settings.station.name

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.station.records_dir

    @property
    def labels(self) -> Path:
        """The database of labels."""
        return labels_beside(self.records)

    @property
    def data_dir(self) -> Path:
        """The only folder that this process writes."""
        chosen = self.settings.data_dir
        return self.station.work_dir / "hmi" if chosen is None else self.station.resolve(chosen)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The records, for one short look: an open one holds the write-ahead log of the line. Raises RecordingError."""
        with closing(open_reader(self.records)) as connection:
            yield connection
