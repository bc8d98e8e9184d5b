"""What waits for a person: parts in REVIEW, the random sample, what somebody asked about, and what an engine in the
shadow judges otherwise.

```
            ┌──────── undo ─────────┐
            ▼                       │
 taken in ► open ── decided ──► answered          needs = 2: open until the second has decided, blind
            │ └─── unsure ────► unsure   ─┐
            └── two differ ──► disagree  ─┴─ one who may overrule ──► answered
```

The state follows from what was said (a trigger of the schema); here parts enter, and people take them. A lease keeps
two people from one part; it ends by itself, so nothing has to be returned. `version` counts what happened to an item: a
decision names the version it saw.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

from station.labels.schema import LabelError
from station.labels.writing import Reviewer, changing

Why = Literal["review", "sample", "asked", "shadow"]
State = Literal["open", "unsure", "disagree", "answered"]
LEASE_S = 60.0


@dataclass(frozen=True, slots=True)
class NewItem:
    """A part that people should look at."""

    session: str
    acquisition_id: int
    part_id: int
    wall_time: float
    verdict: str
    why: Why
    inclusion: float | None = None
    """Of a sample: the share of its verdict that it was drawn from."""
    due_at: float | None = None
    """When the part is treated as FAIL, whoever has not answered; None: nobody waits for it."""
    needs: int = 1
    """People: 2 look without seeing what the other says."""


@dataclass(frozen=True, slots=True)
class Item:
    """A part in the queue, as it is now."""

    id: int
    session: str
    acquisition_id: int
    part_id: int
    wall_time: float
    verdict: str
    why: Why
    inclusion: float | None
    made_at: float
    due_at: float | None
    needs: int
    state: State
    leased_by: str | None
    leased_until: float | None
    version: int

    @property
    def is_blind(self) -> bool:
        """Whether nobody may see what others said of it."""
        return self.needs > 1 and self.state == "open"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much there is to do for one person."""

    parts: int
    oldest_at: float | None
    """When the oldest of them was taken in."""


_COLUMNS = ", ".join(f"items.{field.name}" for field in fields(Item))
_MINE = """(state = 'open' OR :overrules AND state IN ('unsure', 'disagree'))
    AND NOT (state = 'open' AND EXISTS (
        SELECT 1 FROM standing AS s WHERE s.session = items.session AND s.acquisition_id = items.acquisition_id
            AND s.camera IS NULL AND s.reviewer = :name))"""
"""What a person may decide: nobody looks twice at a part that needs two people."""
_FREE = f"state <> 'answered' AND {_MINE} AND (leased_by IS NULL OR leased_by = :name OR leased_until < :now)"
_FIRST = """CASE WHEN state <> 'open' THEN 1 WHEN due_at IS NULL THEN 2 WHEN due_at > :now THEN 0 ELSE 3 END,
    COALESCE(postponed_at, 0), COALESCE(due_at, made_at), id"""
"""Parts that wait beside the line, the first due first; then what quality settles, samples, and what is overdue."""


def enqueue(connection: sqlite3.Connection, items: Iterable[NewItem], now: float) -> int:
    """Within a transaction: enters the parts that are not there yet; returns how many."""
    names = ", ".join(field.name for field in fields(NewItem))
    places = ", ".join(f":{field.name}" for field in fields(NewItem))
    added = 0
    for item in items:
        values = {field.name: getattr(item, field.name) for field in fields(NewItem)} | {"now": now}
        # what somebody has asked about, or two engines judge differently, belongs to its random sample all the same
        added += connection.execute(
            f"INSERT INTO items ({names}, made_at) VALUES ({places}, :now) ON CONFLICT (session, acquisition_id) "
            "DO UPDATE SET why = excluded.why, inclusion = excluded.inclusion, due_at = excluded.due_at "
            "WHERE items.why IN ('asked', 'shadow') AND excluded.why NOT IN ('asked', 'shadow')",
            values,
        ).rowcount
    return added


def ask(connection: sqlite3.Connection, item: NewItem, now: float) -> Item:
    """Puts a part into the queue because a person wants it to be looked at. Raises LabelError."""
    with changing(connection):
        enqueue(connection, [item], now)
    return find(connection, item.session, item.acquisition_id)


def waiting(connection: sqlite3.Connection, by: Reviewer, *, overrules: bool, now: float) -> Waiting:
    """What this person may decide now, without what others have in hand."""
    values = {"name": by.name, "overrules": overrules, "now": now}
    count, oldest = connection.execute(f"SELECT COUNT(*), MIN(made_at) FROM items WHERE {_FREE}", values).fetchone()
    return Waiting(int(count), oldest)


def upcoming(
    connection: sqlite3.Connection, by: Reviewer, *, overrules: bool, now: float, most: int = 2, but: int | None = None
) -> list[Item]:
    """What this person would get next, without `but`, for a page that loads its pictures early."""
    values = {"name": by.name, "overrules": overrules, "now": now, "most": most, "but": but or 0}
    query = f"SELECT {_COLUMNS} FROM items WHERE {_FREE} AND id <> :but ORDER BY {_FIRST} LIMIT :most"
    return [Item(*row) for row in connection.execute(query, values)]


def take(connection: sqlite3.Connection, by: Reviewer, *, overrules: bool, now: float) -> Item | None:
    """Leases the part that this person has in hand, else the next; None: nothing waits. Raises LabelError."""
    values = {"name": by.name, "overrules": overrules, "now": now, "until": now + LEASE_S}
    mine = "leased_by = :name AND leased_until >= :now"
    with changing(connection):
        row = connection.execute(
            f"SELECT id, {mine} FROM items WHERE {_FREE} ORDER BY NOT COALESCE({mine}, 0), {_FIRST} LIMIT 1", values
        ).fetchone()
        if row is None:
            return None
        if not row[1]:
            _release(connection, values)
        return _lease(connection, int(row[0]), values)


def take_this(
    connection: sqlite3.Connection, item_id: int, by: Reviewer, *, overrules: bool, now: float
) -> Item | None:
    """Leases this part, as after an undo; None: somebody else has it, or may have it. Raises LabelError."""
    values = {
        "name": by.name,
        "overrules": overrules,
        "now": now,
        "until": now + LEASE_S,
        "id": item_id,
        "but": item_id,
    }
    with changing(connection):
        if connection.execute(f"SELECT 1 FROM items WHERE id = :id AND {_FREE}", values).fetchone() is None:
            return None
        _release(connection, values)
        return _lease(connection, item_id, values)


def renew(connection: sqlite3.Connection, item_id: int, by: Reviewer, now: float) -> bool:
    """Keeps a lease; False: somebody else has the part, or it has been decided. Raises LabelError."""
    with changing(connection):
        renewed = connection.execute(
            "UPDATE items SET leased_until = ? WHERE id = ? AND leased_by = ? AND state <> 'answered'",
            (now + LEASE_S, item_id, by.name),
        )
    return renewed.rowcount == 1


def postpone(connection: sqlite3.Connection, item_id: int, by: Reviewer, now: float) -> None:
    """Puts a part that this person has in hand behind the others of its kind. Raises LabelError."""
    with changing(connection):
        connection.execute(
            "UPDATE items SET leased_by = NULL, leased_until = NULL, postponed_at = ? WHERE id = ? AND leased_by = ?",
            (now, item_id, by.name),
        )


def item_of(connection: sqlite3.Connection, item_id: int) -> Item:
    """Raises LabelError: there is none."""
    return _one(connection, "id = ?", (item_id,))


def find(connection: sqlite3.Connection, session: str, acquisition_id: int) -> Item:
    """The item of a part. Raises LabelError: it is not in the queue."""
    return _one(connection, "session = ? AND acquisition_id = ?", (session, acquisition_id))


def _one(connection: sqlite3.Connection, where: str, values: tuple[str | int, ...]) -> Item:
    row = connection.execute(f"SELECT {_COLUMNS} FROM items WHERE {where}", values).fetchone()
    if row is None:
        raise LabelError("this part is not in the review queue; ask for a review on the page of the part")
    return Item(*row)


def _release(connection: sqlite3.Connection, values: dict[str, object]) -> None:
    """Everybody has one part in hand."""
    others = "UPDATE items SET leased_by = NULL, leased_until = NULL WHERE leased_by = :name AND id <> :but"
    connection.execute(others, {"but": 0, **values})


def _lease(connection: sqlite3.Connection, item_id: int, values: dict[str, object]) -> Item:
    """A new holder is another version, so that a page of the old one cannot decide over his head."""
    connection.execute(
        "UPDATE items SET version = version + (leased_by IS NOT :name), leased_by = :name, leased_until = :until "
        "WHERE id = :id",
        {**values, "id": item_id},
    )
    return item_of(connection, item_id)
