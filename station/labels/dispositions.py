"""What happens to the parts in REVIEW: as people said, or FAIL when nobody has said anything in time.

A query, not a job: it holds while no process runs. That a part was treated as FAIL is no label; nothing learns from it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

Treatment = Literal["good", "defective", "timed out", "open"]


@dataclass(frozen=True, slots=True)
class Disposition:
    """What happens to one part."""

    session: str
    acquisition_id: int
    part_id: int
    due_at: float
    treatment: Treatment

    @property
    def verdict(self) -> str | None:
        """PASS or FAIL; None: it still waits."""
        return {"good": "PASS", "defective": "FAIL", "timed out": "FAIL", "open": None}[self.treatment]


_WHAT = """SELECT i.id, i.session, i.acquisition_id, i.part_id, i.due_at, CASE
        WHEN l.label IS NOT NULL AND (
            SELECT MIN(at) FROM decisions AS d
            WHERE d.session = i.session AND d.acquisition_id = i.acquisition_id) <= i.due_at THEN l.label
        WHEN i.due_at <= :now THEN 'timed out'
        ELSE 'open' END
    FROM items AS i LEFT JOIN labels AS l
        ON l.session = i.session AND l.acquisition_id = i.acquisition_id AND l.camera IS NULL
    WHERE i.due_at IS NOT NULL AND i.wall_time >= :since"""


def dispositions(connection: sqlite3.Connection, since: float, until: float, now: float) -> list[Disposition]:
    """Of the parts that waited for people and were triggered in this time, in that order."""
    query = f"{_WHAT} AND i.wall_time < :until ORDER BY i.wall_time, i.id"
    rows = connection.execute(query, {"since": since, "until": until, "now": now})
    return [Disposition(*row[1:]) for row in rows]


def dispositions_after(
    connection: sqlite3.Connection, since: float, after: int, limit: int, now: float
) -> list[tuple[int, Disposition]]:
    """Of the parts triggered since then, in the order in which they came into the queue, behind the item `after`; each
    with its item. One that waits now may be decided later: ask again.
    """
    query = f"{_WHAT} AND i.id > :after ORDER BY i.id LIMIT :limit"
    rows = connection.execute(query, {"since": since, "after": after, "limit": limit, "now": now})
    return [(row[0], Disposition(*row[1:])) for row in rows]
