"""Brings the images behind the cursor to the store, part by part. What fails comes again; what is gone is counted."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from station.forwarding.progress import Cursors, ForwardingError
from station.northbound.failing import Failing
from station.northbound.images.policy import Budget, Policy, name_of
from station.northbound.images.stores import Store, StoreError
from station.northbound.unsent import Numbered, Source, Unsent
from station.records.images import read_below
from station.records.schema import RecordingError

log = structlog.get_logger()

LOOK_S = 2.0
BATCH = 200
MOST_IMAGES = 20
"""Of one step: it ends within its time, and a stop is not late."""


@dataclass(frozen=True, slots=True)
class What:
    """What is sent."""

    source: Source
    station: str
    policy: Policy
    folder: Path
    """Of the plant process, for the counts of each day."""


class Connector:
    """Owns the place of the images. One thread calls `step`, and waits as long as it returns."""

    def __init__(
        self,
        what: What,
        store: Store,
        cursors: Cursors,
        *,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw`: 0 to 1, so that many stations do not come back at the same moment."""
        self._source = what.source
        self._station = what.station
        self._store = store
        self._policy = what.policy
        self._cursors = cursors
        self._clock = clock
        self._unsent = Unsent(what.source, cursors, clock)
        self._failing = Failing(what.source.name, cursors, clock, draw)
        self._budget = Budget.read(what.folder / "images.json", what.policy)

    def step(self) -> float:
        """Some parts at most; seconds until the next step."""
        try:
            return self._step()
        except (StoreError, RecordingError, ForwardingError, sqlite3.Error, OSError) as problem:
            return self._failing.fails(str(problem))

    def _step(self) -> float:
        look = self._unsent.look(BATCH)
        if look is None:
            return LOOK_S
        if not look.parts:
            if look.progress.failing_since is not None:
                if why := self._store.reach():
                    raise StoreError(why)
                self._cursors.failing(self._source.name, None, "")
            self._failing.works()
            return LOOK_S
        done, images, problem = self._send(look.parts)
        if done:
            self._budget.write()
            self._unsent.taken(look.progress.cursor, done, images)
        if problem is not None:
            raise problem
        self._failing.works()
        return 0.0

    def _send(self, parts: Sequence[Numbered]) -> tuple[list[Numbered], int, StoreError | None]:
        """The parts that are done, how many images went, and what stopped it."""
        done: list[Numbered] = []
        images = 0
        for part in parts:
            if images >= MOST_IMAGES:
                break
            try:
                images += self._images_of(part)
            except StoreError as problem:
                return done, images, problem
            done.append(part)
        return done, images, None

    def _images_of(self, part: Numbered) -> int:
        _, row = part
        if not self._policy.wants(row):
            return 0
        sent = 0
        for view in row.views:
            if view.image_path is None or view.image_deleted or not self._budget.has_room(row):
                continue
            try:
                content = read_below(self._source.records, view.image_path)
            except FileNotFoundError:
                log.warning("an image was deleted before it could be sent", image=view.image_path)
                self._cursors.left_out(self._source.name, 1, self._clock())
                continue
            if self._store.put(name_of(self._station, row, view), content):
                self._budget.count(row)
                sent += 1
        return sent
