"""Rows that are old enough to go: which of the oldest may, and how they are deleted, in small batches."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from station.records.statement import Statement

INDEXES = (
    "CREATE INDEX IF NOT EXISTS events_by_time ON events (wall_time)",
    "CREATE INDEX IF NOT EXISTS ejections_by_time ON ejections (wall_time)",
)

NEEDED_BY = ("decisions", "quarantined")
"""Tables and views of the labels: a part that people have said something of stays, and one in the quarantine."""
_MAY_GO = " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.session = parts.session "
    f"AND {table}.acquisition_id = parts.acquisition_id)"
    for table in NEEDED_BY
)
"""Of a row of `parts`: whether nobody needs it any more."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """Parts that a connector has not sent yet, as far as they stay for it."""

    after_id: int
    """Row id of the last part that was sent."""
    since: float
    """Older ones do not stay. Seconds since the epoch."""


NOTHING_UNSENT = Unsent(2**63 - 1, float("inf"))


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest rows after a place, as far as they were looked at."""

    parts: Sequence[int]
    """Row ids of parts that may go."""
    kept: int
    """Parts as old that must stay."""
    last: tuple[float, int]
    """Time and row id of the last part that was looked at: where the next batch goes on."""
    images: Sequence[str]
    """Those of the parts that may go, as `ViewRow.image_path`."""
    events: Sequence[int]
    ejections: Sequence[int]
    waiting: int = 0
    """Of `kept`: those that stay since they were not sent."""
    unsent: int = 0
    """Of `parts`: those that go without having been sent."""

    @property
    def is_empty(self) -> bool:
        """Nothing as old is left."""
        return not (self.parts or self.kept or self.events or self.ejections)


def oldest(
    connection: sqlite3.Connection,
    before: float,
    after: tuple[float, int],
    limit: int,
    unsent: Unsent = NOTHING_UNSENT,
) -> Batch:
    """At most `limit` rows of each table, older than `before` (seconds since the epoch), of parts those behind `after`.

    `connection`: a reader of the records that also sees `NEEDED_BY`.
    """
    where = "(wall_time, id) > (?, ?) AND wall_time < ? ORDER BY wall_time, id LIMIT ?"
    found = connection.execute(
        f"SELECT id, wall_time, {_MAY_GO} FROM parts WHERE {where}", (*after, before, limit)
    ).fetchall()
    free = [(id_, wall_time) for id_, wall_time, may_go in found if may_go]
    parts = [id_ for id_, wall_time in free if id_ <= unsent.after_id or wall_time < unsent.since]
    images = connection.execute(
        "SELECT image_path FROM views WHERE part IN (SELECT value FROM json_each(?)) AND image_path IS NOT NULL "
        "AND NOT image_deleted",
        (json.dumps(parts),),
    )
    events, ejections = (
        connection.execute(
            f"SELECT id FROM {table} WHERE wall_time < ? ORDER BY wall_time LIMIT ?", (before, limit)
        ).fetchall()
        for table in ("events", "ejections")
    )
    return Batch(
        parts=parts,
        kept=len(found) - len(parts),
        last=(found[-1][1], found[-1][0]) if found else after,
        images=[path for (path,) in images],
        events=[id_ for (id_,) in events],
        ejections=[id_ for (id_,) in ejections],
        waiting=len(free) - len(parts),
        unsent=sum(id_ > unsent.after_id for id_ in parts),
    )


def deleted(batch: Batch) -> list[Statement]:
    """Deletes the rows of a batch, and what a shadow said of its parts."""
    of_shadows = (
        "DELETE FROM shadows WHERE (session, acquisition_id) IN (SELECT session, acquisition_id FROM parts "
        "WHERE id IN (SELECT value FROM json_each(:ids)))"
    )
    shadows = [Statement(of_shadows, {"ids": json.dumps(batch.parts)})] if batch.parts else []
    return shadows + [
        Statement(
            f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(:ids))", {"ids": json.dumps(ids)}
        )
        for table, column, ids in (
            ("views", "part", batch.parts),
            ("parts", "id", batch.parts),
            ("events", "id", batch.events),
            ("ejections", "id", batch.ejections),
        )
        if ids
    ]


def used_bytes(connection: sqlite3.Connection) -> int:
    """What the rows take of the file; it does not shrink, new rows fill what is free in it."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
