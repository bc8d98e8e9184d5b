"""A station with records on disk and a real database; the clock is the test's."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import Any

from station.forwarding.progress import Cursor, Cursors, Progress, forwarding_beside
from station.northbound.postgres.connector import Connector, What, instance_of
from station.northbound.postgres.database import Database, Who
from station.northbound.postgres.rows import Policy
from station.northbound.unsent import Source
from station.records.schema import DATABASE_FILE, open_writer
from station.results import InspectionRecord
from tests.bench.postgres import STATION, STATIONS_WORD, PostgresServer
from tests.northbound.sending import record, some

NOON = float(int(datetime.now(timezone.utc).timestamp()) // 86_400 * 86_400 - 43_200)
"""Of yesterday: a day that has a partition."""
Row = tuple[Any, ...]


def parts_at(
    first: int, last: int, at: float = NOON, session: str = "s1", every_s: float = 20.0
) -> list[InspectionRecord]:
    """One each 20 s; of three, one passes, one fails, one goes to review."""
    return [
        replace(one, part=replace(one.part, wall_time=at + every_s * one.part.acquisition_id))
        for one in some(first, last, session)
    ]


def hours_of(records: Path) -> list[Row]:
    """What the function `hours` of the schema says, from the records: hour, parts, hash."""
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        return hashed(
            connection.execute("SELECT CAST(wall_time / 3600 AS INTEGER), session, acquisition_id, verdict FROM parts")
        )


def hashed(rows: Iterable[Row]) -> list[Row]:
    """Number and hash of each hour; `rows`: hour since the epoch, session, acquisition id, verdict."""
    result: list[Row] = []
    for hour, group in groupby(sorted(rows), key=lambda row: row[0]):
        names = [f"{session}/{number}/{verdict}" for _, session, number, verdict in group]
        digest = hashlib.md5(" ".join(names).encode(), usedforsecurity=False).hexdigest()
        result.append((datetime.fromtimestamp(hour * 3600, timezone.utc), len(names), digest))
    return result


@dataclass
class Station:
    """What sends, without its process."""

    folder: Path
    server: PostgresServer
    database: str
    name: str = "ST 04/ü"
    policy: Policy = field(default_factory=lambda: Policy(1))
    batch: int = 1000
    timeout_s: float = 20.0
    login: tuple[str, str] = (STATION, STATIONS_WORD)
    """User of the database, and his password."""
    now: float = NOON + 40_000

    def __post_init__(self) -> None:
        self.records = self.folder / "records"
        self.file = forwarding_beside(self.records)
        self._is_started = False
        self.start()

    def start(self) -> None:
        """A new process: nothing is left of the one before but what is on disk."""
        if self._is_started:
            self.close()
        self._is_started = True
        self.cursors = Cursors(self.file)
        instance = instance_of(self.file.parent, lambda: str(self.folder))
        user, password = self.login
        server = replace(self.server.seen_by_station(self.database, self.timeout_s), user=user, password=password)
        self.sender = Database(server, Who(self.name, instance, "1.2.3"))
        source = Source("postgres", self.records, waits_for_plc=False)
        what = What(source, self.name, self.policy, batch=self.batch)
        self.connector = Connector(what, self.sender, self.cursors, clock=lambda: self.now, draw=lambda: 1.0)

    def close(self) -> None:
        self.connector.close()
        self.cursors.close()

    def record(self, parts: Sequence[InspectionRecord], session: str = "s1") -> None:
        record(self.records, parts, session)

    def drain(self) -> float:
        """Until nothing is left, or it does not go on; the last pause."""
        for _ in range(500):
            self.now += 31.0  # so that it need not wait for a full batch
            pause = self.connector.step()
            if pause:
                return pause
        raise AssertionError("it never comes to an end")

    def ask(self, statement: str, values: object = ()) -> list[Row]:
        return self.server.ask(self.database, statement, values)

    def hours(self) -> list[Row]:
        return sorted(self.ask("SELECT * FROM station_fleet.hours(%s)", (self.name,)))

    def again_from(self, last: int = 0) -> None:
        """As `station plant resend` does."""
        if last == 0:
            self.cursors.place("postgres", Cursor(0))
            return
        with closing(sqlite3.connect(self.records / DATABASE_FILE)) as connection:
            row = connection.execute("SELECT session, acquisition_id FROM parts WHERE id = ?", (last,)).fetchone()
        self.cursors.place("postgres", Cursor(last, *row))

    @property
    def progress(self) -> Progress:
        found = self.cursors.of("postgres")
        assert found is not None
        return found

    def change(self, *statements: str) -> None:
        """The records, as the line or retention does."""
        with closing(open_writer(self.records / DATABASE_FILE)) as connection:
            for statement in statements:
                connection.execute(statement)
