"""Brings what stands behind the cursor to the database of the fleet: one step, one transaction, at least once.

    look ──► rows of the policy, sums of their minutes, engines, events, words of people ──► commit ──► cursor
                                                                         │
                     Trouble: the same again after 1, 2, 4 .. 60 s ◄─────┤
                     Refused: singly, and the one that is refused alone is parked

Without anything new it says every `BEAT_S` that it is there, and so hears that the server is away before it has to.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog

from station.forwarding.progress import Cursors, ForwardingError
from station.labels.schema import LabelError
from station.northbound.failing import Failing
from station.northbound.postgres.database import Database, Waiting
from station.northbound.postgres.others import Others
from station.northbound.postgres.rows import Policy, engines_of, hashes_of, values_of
from station.northbound.postgres.sums import minutes_of, sums_of
from station.northbound.postgres.trouble import Refused, Trouble
from station.northbound.readings import day_of, key_of, moment
from station.northbound.unsent import Look, Numbered, Source, Unsent
from station.records.images import write_atomic
from station.records.schema import RecordingError, open_reader

log = structlog.get_logger()

LOOK_S = 1.0
"""Between two looks at records in which nothing is new."""
FILL_S = 5.0
"""A batch that is not full waits for this time: each transaction is a write to the disk of the server."""
BEAT_S = 30.0
REFUSED_IN_A_ROW = 10
"""More refused parts in a row than this are not the parts' fault."""
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class What:
    """What is sent."""

    source: Source
    station: str
    policy: Policy
    events: bool = True
    labels: bool = True
    batch: int = 1000


class Connector:
    """Owns the place of the rows. One thread calls `step`, and waits as long as it returns."""

    def __init__(
        self,
        what: What,
        database: Database,
        cursors: Cursors,
        *,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw`: 0 to 1, so that many stations do not come back at the same moment."""
        self._what = what
        self._database = database
        self._cursors = cursors
        self._clock = clock
        self._unsent = Unsent(what.source, cursors, clock)
        self._others = Others(what.source.records, what.station, events=what.events, labels=what.labels)
        self._failing = Failing(what.source.name, cursors, clock, draw)
        self._done_at = float("-inf")
        self._is_draining = False
        """There was more than one batch holds."""
        self._singly = 0
        self._refused_in_a_row = 0

    def step(self) -> float:
        """One transaction at most; seconds until the next step."""
        try:
            return self._step()
        except (Trouble, RecordingError, LabelError, ForwardingError, sqlite3.Error, OSError) as problem:
            self._is_draining = False
            return self._failing.fails(str(problem))

    def close(self) -> None:
        """The connection."""
        self._database.close()

    def _step(self) -> float:
        most = 1 if self._singly else self._what.batch
        look = self._unsent.look(most)
        batch = () if look is None else look.parts
        since_s = self._clock() - self._done_at
        if 0 <= since_s < (FILL_S if batch else BEAT_S) and len(batch) < most and not self._is_draining:
            return LOOK_S
        if batch and look is not None:
            return self._send(look, batch)
        others = self._deliver(look, ())
        if look is not None and look.progress.failing_since is not None:
            self._cursors.failing(self._what.source.name, None, "")
        self._failing.works()
        self._is_draining = others
        return 0.0 if others else LOOK_S

    def _send(self, look: Look, batch: Sequence[Numbered]) -> float:
        before = look.progress.cursor
        try:
            more = self._deliver(look, batch)
        except Refused as problem:
            if len(batch) > 1:
                self._singly = len(batch)
                return 0.0
            self._refused_in_a_row += 1
            if self._refused_in_a_row > REFUSED_IN_A_ROW:
                raise Trouble(f"{problem}, for {REFUSED_IN_A_ROW} parts in a row") from problem
            part, name = key_of(batch[0][1]), self._what.source.name
            log.warning("a part was refused and is parked", connector=name, part=part, why=str(problem))
            self._unsent.park(before, batch[0], str(problem))
            self._singly = max(0, self._singly - 1)
            return 0.0
        self._refused_in_a_row = 0
        self._unsent.taken(before, batch, len(batch))
        self._failing.works()
        self._singly = max(0, self._singly - len(batch))
        self._is_draining = more or len(batch) >= self._what.batch or self._singly > 0
        return 0.0 if self._is_draining else LOOK_S

    def _deliver(self, look: Look | None, batch: Sequence[Numbered]) -> bool:
        """One transaction; whether events or words of people are left. Raises Trouble, and what the disk raises."""
        now = self._clock()
        rows = [row for _, row in batch]
        taken = [row for row in rows if self._what.policy.takes(row)]
        hashes = hashes_of(taken, self._what.source.records)
        young_s = now - self._what.source.again_days * _DAY_S
        with self._database.transaction({day_of(row.wall_time) for row in rows}) as at:
            if batch:
                station = self._what.station
                if taken:
                    at.parts([values_of(row, station, at.sequence, hashes) for row in taken])
                with closing(open_reader(self._what.source.records)) as connection:
                    at.sums(sums_of(connection, minutes_of(rows), batch[-1][0], station))
                at.engines(engines_of(rows, station))
            events = self._others.events(at.events, self._what.batch, young_s)
            labels = self._others.labels(at.labels, self._what.batch, young_s)
            at.others(events, labels)
            at.done(self._waiting(look, batch, now))
        self._done_at = now
        return max(len(events.rows), len(labels.rows)) >= self._what.batch

    def _waiting(self, look: Look | None, batch: Sequence[Numbered], now: float) -> Waiting:
        if look is None:
            return Waiting(moment(now))
        last = batch[-1][0] if batch else look.progress.cursor.last_id
        left = max(0, look.newest - last)
        oldest = None
        if left:
            with closing(open_reader(self._what.source.records)) as connection:
                found = connection.execute(
                    "SELECT wall_time FROM parts WHERE id > ? ORDER BY id LIMIT 1", (last,)
                ).fetchone()
            oldest = None if found is None else moment(found[0])
        return Waiting(moment(now), left, oldest, look.progress.left_out)


def instance_of(folder: Path, draw: Callable[[], str]) -> str:
    """The name of this computer's sender, made once: who has the same name of a station is another one.

    Raises OSError.
    """
    file = folder / "instance"
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        name = draw()
        write_atomic(file, f"{name}\n".encode())
        return name
