"""What all pages of one station share: its records, its clock, its languages. One for a process, never changed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from station.access.accounts import Accounts
from station.access.people import ON_BEHALF
from station.access.tokens import Tokens
from station.configuration.load import LoadedConfiguration
from station.configuration.model import HmiSection
from station.control import request
from station.hmi.line import LineState
from station.hmi.live.hub import LiveHub
from station.hmi.rendering import Rendering
from station.hmi.review.pictures import KeptPictures
from station.hmi.rights import Person
from station.hmi.setup.pictures import Pictures
from station.hmi.words import Words
from station.hmi.work import Works
from station.labels.schema import labels_beside
from station.records.rollups.keeping import Rollups
from station.records.schema import RecordingError, open_reader
from station.reports.nearest_good import NearestGood
from station.reports.seen import Eyes
from station.reports.shifts import Calendar

LOOK_S = 1.0
"""A reader that stood still let the write-ahead log grow to 216 MB, and the next commit took 226 ms."""
STEPS = 20_000
"""Of SQLite's virtual machine, between two looks at the clock: some milliseconds."""


@dataclass(frozen=True, slots=True)
class Site:
    """Made by `app.site_of`; the pages find it in `request.app.state.site`."""

    station: LoadedConfiguration
    calendar: Calendar
    eyes: Eyes
    """Pictures of parts."""
    looked_at: KeptPictures
    """The same for Review, where one part follows the other."""
    nearest: NearestGood
    """Good parts that they are compared with."""
    line: LineState
    """What the daemon says of itself."""
    live: LiveHub
    """What Live shows."""
    pictures: Pictures
    """What each camera saw last, for set-up."""
    words: Mapping[str, Words]
    rendering: Rendering
    accounts: Accounts
    tokens: Tokens
    """Of programs, for the API."""
    rollups: Rollups
    """What the pages have counted of the records."""
    works: Works = field(default_factory=Works)
    """What takes longer than a page may."""

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
    def own_dir(self) -> Path:
        """The folder that the process of the pages writes."""
        return self.station.accounts_dir

    @property
    def labels(self) -> Path:
        """The database of labels."""
        return labels_beside(self.records)

    def ask(self, person: Person, message: Mapping[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
        """Asks the daemon on behalf of a person, whose roles it checks again. Raises ControlError: it refused."""
        behalf = {"name": person.name, "roles": list(person.roles)}
        try:
            return request(self.station.control_socket, {**message, ON_BEHALF: behalf}, timeout_s)
        finally:
            self.line.forget()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The records, for one short look: a reader that stands still holds the write-ahead log of the line.

        Raises RecordingError, also for a look that takes longer than `LOOK_S`.
        """
        end = time.monotonic() + LOOK_S
        with closing(open_reader(self.records)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
            try:
                yield connection
            except sqlite3.OperationalError as problem:
                if "interrupt" not in str(problem):
                    raise
                raise RecordingError(
                    f"looking through the records took more than {LOOK_S:g} s and was given up; choose a shorter time"
                ) from problem
