"""Parts chosen by time, verdict, recipe, batch, reason and id: the newest, page by page, or how many of each kind.

A page goes on at a mark, never at a number of rows: a statement reads what it returns and not what lies before. What
has to read many rows does it in steps, each a read of its own: a reader never holds up the writer of the records.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from station.codes import ReasonCode
from station.records.parts import BATCH_KEY, KIND, PartRow, numbered_parts
from station.results import Verdict

Kind = Literal["minute", "recipe", "reason", "engine"]
Mark: TypeAlias = tuple[float, int]
"""The place of a part in the order of time: seconds since the epoch, and the id of its row."""
Span: TypeAlias = tuple[float, float]
"""From a moment until just before another."""

NEWEST: Mark = (1e300, 0)
"""After every part."""

_LISTED = 8
"""Of the reasons of a part, those that the index knows."""
_CODES = ", ".join(f"'$[{place}].code'" for place in range(_LISTED))
REASON_LIST = f"CASE WHEN json_valid(reasons) THEN json_extract(reasons, {_CODES}) END"
"""The codes of a part's reasons in their order, as `[10,22,null,...]`, in a statement on `parts`; in the words of the
index."""
KIND_OF = f"CASE WHEN json_valid(extra) THEN json_extract(extra, '$.{KIND}') END"
"""The kind of defect that the engine suggests of a part, in a statement on `parts`; in the words of the index."""
INDEXES = (
    "CREATE INDEX IF NOT EXISTS parts_by_id_and_time ON parts (part_id, wall_time)",
    "CREATE INDEX IF NOT EXISTS parts_by_recipe ON parts (recipe, wall_time)",
    "CREATE INDEX IF NOT EXISTS parts_by_verdict ON parts (verdict, wall_time, recipe) WHERE verdict <> 'PASS'",
    f"CREATE INDEX IF NOT EXISTS parts_by_reasons ON parts ({REASON_LIST}, wall_time) WHERE verdict <> 'PASS'",
    f"CREATE INDEX IF NOT EXISTS parts_by_kind ON parts (wall_time, verdict, challenge, {KIND_OF}) "
    "WHERE verdict <> 'PASS'",
    "DROP INDEX IF EXISTS parts_by_part_id",
    "DROP INDEX IF EXISTS parts_not_passed",
)
"""For a part by the PLC's id (a line without ids gives all parts the same), for a rare recipe, and for the few that did
not pass among millions: each verdict by time, with the recipe, so that no row is read that the filter leaves out; each
list of reasons by time; and what the kinds of a day are counted from, without a look at a row. Older stations make the
two that are dropped again, and pass over the others: the way back is open."""
FIRST_SINCE = "SELECT MIN(+id) FROM parts WHERE wall_time >= ?"
"""The first row of parts from a moment on. Without the plus SQLite looks at all rows before it, from the first one."""
STEP_ROWS = 50_000
"""Parts that one statement counts: some 0.1 s."""
_NOT_PASSED = (Verdict.FAIL, Verdict.REVIEW, Verdict.ERROR)
"""Those that have reasons."""
_EVER = (-1e300, 1e300)
_HAS_END = "null"
"""In a list of reasons that the index has as a whole."""
_MOST_LISTS = 100
"""Of reasons that one filter looks up, each by itself; a station has some dozens."""
_LISTS = f"""WITH RECURSIVE lists (codes) AS (
    SELECT '' UNION ALL
    SELECT (SELECT {REASON_LIST} FROM parts WHERE verdict <> 'PASS' AND {REASON_LIST} > codes
            ORDER BY {REASON_LIST} LIMIT 1) FROM lists WHERE codes IS NOT NULL LIMIT 10000)
    SELECT codes FROM lists WHERE codes > '' AND (',' || substr(codes, 2, length(codes) - 2) || ',' LIKE ?
                                                  OR codes NOT LIKE '%{_HAS_END}%')"""
"""From one list of reasons that is on record to the next one, along the index; those with a code, or without an end."""
BATCH = f"CASE WHEN json_valid(extra) THEN json_extract(extra, '$.{BATCH_KEY}') END"
"""The number of a part's batch, in a statement on `parts`; NULL: none. In the words of the index."""

_KINDS: dict[Kind, str] = {
    "minute": "CAST(wall_time / 60 AS INTEGER)",
    "recipe": "recipe",
    "reason": "json_extract(reasons, '$[0].code')",
    "engine": "engine_id",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a part must be to be chosen; unset: anything."""

    since: float | None = None
    """Seconds since the epoch: parts triggered from then on."""
    until: float | None = None
    """And before this."""
    verdicts: tuple[Verdict, ...] = ()
    recipe: str | None = None
    reason: ReasonCode | None = None
    """Among its reasons, at whatever place."""
    production: bool = False
    """Not of a challenge test."""
    part_id: int | None = None
    """The PLC's."""
    batch: int | None = None
    """Number of a batch."""
    engine: str | None = None
    """The begin of the engine's id."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How the parts beside a mark are looked for."""

    newer: bool
    limit: int
    with_views: bool = True


def newest_of(connection: sqlite3.Connection, selection: Selection, newest: int) -> list[PartRow]:
    """The newest parts of the selection, oldest of them first."""
    return [row for _, row in reversed(page_of(connection, selection, newest))]


def page_of(
    connection: sqlite3.Connection,
    selection: Selection,
    limit: int,
    before: Mark | None = None,
    *,
    spans: Sequence[Span] | None = None,
    with_views: bool = True,
) -> list[tuple[Mark, PartRow]]:
    """A page of the selection, newest first; `before`: of those that lie before this mark. `spans`: the times in which
    alone such parts lie, newest first, where that is known.
    """
    return _nearest(connection, selection, before or NEWEST, _Way(False, limit, with_views), spans)


def recorded_after(
    connection: sqlite3.Connection, selection: Selection, after: int, limit: int
) -> tuple[list[tuple[int, PartRow]], int]:
    """The next parts of the selection in the order in which they were recorded, behind the row id `after`; and the row
    up to which was looked: not at more than `STEP_ROWS`, however few of them are of the selection.
    """
    first = connection.execute("SELECT id FROM parts WHERE id > ? ORDER BY id LIMIT 1", (after,)).fetchone()
    newest = connection.execute("SELECT MAX(id) FROM parts").fetchone()[0]
    if first is None:
        return [], after
    until = newest if selection.part_id is not None else min(newest, first[0] + STEP_ROWS)
    where, values = conditions_of(selection)
    by_row = "" if selection.part_id is not None else "NOT INDEXED"  # from the row on, whatever else is asked
    chosen = f"SELECT * FROM parts {by_row} WHERE {where} AND id > ? AND id <= ? ORDER BY id LIMIT ?"
    rows = list(numbered_parts(connection, chosen, [*values, after, until, limit]))
    return rows, rows[-1][0] if len(rows) >= limit else until


def mark_of(connection: sqlite3.Connection, part: PartRow) -> Mark:
    """Where a part of these records stands."""
    query = "SELECT wall_time, id FROM parts WHERE session = ? AND acquisition_id = ?"
    wall_time, number = connection.execute(query, (part.session, part.acquisition_id)).fetchone()
    return wall_time, number


def neighbour(
    connection: sqlite3.Connection,
    selection: Selection,
    mark: Mark,
    *,
    newer: bool,
    spans: Sequence[Span] | None = None,
) -> PartRow | None:
    """The next part of the selection beside this mark; None at the end. `spans` as in `page_of`, the nearest first."""
    return next((row for _, row in _nearest(connection, selection, mark, _Way(newer, 1), spans)), None)


def _nearest(
    connection: sqlite3.Connection, selection: Selection, mark: Mark, way: _Way, spans: Sequence[Span] | None
) -> list[tuple[Mark, PartRow]]:
    is_by_id = selection.part_id is not None or selection.batch is not None
    lists = None if is_by_id else lists_with(connection, selection.reason)
    if spans is None:
        return _beyond(connection, selection, mark, way, lists)
    found: list[tuple[Mark, PartRow]] = []
    for begin, end in spans:
        since = begin if selection.since is None else max(begin, selection.since)
        until = end if selection.until is None else min(end, selection.until)
        piece = replace(selection, since=since, until=until)
        found += _beyond(connection, piece, mark, replace(way, limit=way.limit - len(found)), lists)
        if len(found) >= way.limit:
            break
    return found


def _beyond(
    connection: sqlite3.Connection, selection: Selection, mark: Mark, way: _Way, lists: Sequence[str] | None
) -> list[tuple[Mark, PartRow]]:
    """The parts of the selection next to the mark, the nearest first.

    Of several verdicts that did not pass, and of several lists of reasons, each is looked up by itself: an index is in
    order of time for one of them. Rows are read of those alone that are returned.
    """
    beyond, order = (">", "ASC") if way.newer else ("<", "DESC")
    by_time = f"ORDER BY wall_time {order}, id {order} LIMIT ?"
    pieces, values = [], []
    if lists is not None and not lists:
        return []
    for where, of_selection in (
        [conditions_of(one) for one in _by_verdict(selection)]
        if lists is None
        else [conditions_of(selection, (one,)) for one in lists]
    ):
        piece = f"SELECT wall_time, id FROM parts WHERE {where} AND (wall_time, id) {beyond} (?, ?) {by_time}"
        pieces.append(f"SELECT * FROM ({piece})")
        values += [*of_selection, *mark, way.limit]
    chosen = f"SELECT id FROM ({' UNION ALL '.join(pieces)} {by_time})"
    whole = f"SELECT * FROM parts WHERE id IN ({chosen})"
    rows = numbered_parts(connection, whole, [*values, way.limit], with_views=way.with_views)
    found = [((row.wall_time, number), row) for number, row in rows]
    return sorted(found, key=lambda item: item[0], reverse=not way.newer)


def lists_with(connection: sqlite3.Connection, reason: ReasonCode | None) -> list[str] | None:
    """The lists of reasons on record that may hold this one, as the index has them; None: they cannot be looked up.

    That is without a reason, in records that no station with this index has opened, and where there are too many.
    """
    if (
        reason is None
        or not connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'parts_by_reasons'"
        ).fetchone()
    ):
        return None
    found = [codes for (codes,) in connection.execute(_LISTS, (f"%,{int(reason)},%",))]
    return found if len(found) <= _MOST_LISTS else None


def _by_verdict(selection: Selection) -> list[Selection]:
    """The same parts, in selections of one verdict each where an index helps with that."""
    verdicts = selection.verdicts or (_NOT_PASSED if selection.reason is not None else ())
    is_by_id = selection.part_id is not None or selection.batch is not None
    if is_by_id or Verdict.PASS in verdicts or not verdicts:
        return [selection]
    return [replace(selection, verdicts=(verdict,)) for verdict in dict.fromkeys(verdicts)]


def counted(connection: sqlite3.Connection, selection: Selection, kind: Kind) -> list[tuple[Any, Verdict, int]]:
    """How many parts of the selection there are of each kind and verdict, in the order of the kinds.

    A minute is its number since the epoch, a reason the code of the first reason (None: a part without one).
    """
    found: Counter[tuple[Any, str]] = Counter()
    lists = lists_with(connection, selection.reason)
    if lists is not None and not lists:
        return []
    where, values = conditions_of(replace(selection, since=None, until=None), lists)
    query = (
        f"SELECT {_KINDS[kind]} AS kind, verdict, COUNT(*) FROM parts WHERE {where} "
        "AND wall_time >= ? AND wall_time < ? GROUP BY kind, verdict"
    )
    for span in steps(connection, *time_of(connection, selection), part_id=selection.part_id):
        for value, verdict, number in connection.execute(query, (*values, *span)):
            found[value, verdict] += number
    order = sorted(found.items(), key=lambda item: (item[0][0] is not None, item[0][0], item[0][1]))
    return [(value, Verdict[verdict], number) for (value, verdict), number in order]


def time_of(connection: sqlite3.Connection, selection: Selection) -> tuple[float | None, float | None]:
    """Of a batch, when its first and last part came: it must not be looked for in all parts."""
    if selection.batch is None:
        return selection.since, selection.until
    ends = [
        connection.execute(
            f"SELECT wall_time FROM parts WHERE {BATCH} = ? ORDER BY wall_time {order} LIMIT 1", (selection.batch,)
        ).fetchone()
        for order in ("ASC", "DESC")
    ]
    if ends[0] is None or ends[1] is None:
        return 0.0, 0.0
    first, last = ends[0][0], math.nextafter(ends[1][0], math.inf)
    return (
        first if selection.since is None else max(first, selection.since),
        last if selection.until is None else min(last, selection.until),
    )


def steps(
    connection: sqlite3.Connection,
    since: float | None,
    until: float | None,
    rows: int = STEP_ROWS,
    *,
    part_id: int | None = None,
) -> Iterator[tuple[float, float]]:
    """A time in pieces, oldest first, each with about this number of parts: from `[0]` until just before `[1]`.

    `part_id`: only those that the PLC gave this number; they have an index of their own, so nothing lies between them.
    """
    at, end = (_EVER[0] if since is None else since), (_EVER[1] if until is None else until)
    which, numbers = ("", ()) if part_id is None else ("part_id = ? AND ", (part_id,))
    times = f"FROM parts WHERE {which}wall_time"
    query = f"SELECT wall_time {times} >= ? AND wall_time < ? ORDER BY wall_time LIMIT 1 OFFSET ?"
    while at < end:
        row = connection.execute(query, (*numbers, at, end, rows)).fetchone()
        after = end if row is None else row[0]
        if after <= at:  # a clock that stood still
            later = f"SELECT MIN(wall_time) {times} > ? AND wall_time < ?"
            after = connection.execute(later, (*numbers, at, end)).fetchone()[0] or end
        yield at, after
        at = after


def kind_of(kind: Kind) -> str:
    """In a statement on `parts`."""
    return _KINDS[kind]


def conditions_of(selection: Selection, lists: Sequence[str] | None = None) -> tuple[str, list[Any]]:
    """What a row of `parts` must fulfil, in SQL. A column behind a plus is looked at and not searched by. `lists`: as
    `lists_with` has found them.
    """
    verdicts = selection.verdicts or (_NOT_PASSED if selection.reason is not None else ())
    by_id = selection.part_id is not None or selection.batch is not None
    lists = None if by_id else lists
    is_listed = lists is not None and all(_HAS_END in one for one in lists)
    by_verdict = not by_id and len(verdicts) > 0 and Verdict.PASS not in verdicts
    conditions = ["verdict <> 'PASS'" if by_verdict or lists is not None else "1"]  # the words of the partial indexes
    values: list[Any] = []
    if lists is not None:
        conditions.append(f"{REASON_LIST} IN ({', '.join('?' * len(lists))})")
        values.extend(lists)
    if verdicts:
        one = len(verdicts) == 1
        column = "verdict" if by_verdict and lists is None else "+verdict"
        conditions.append(f"{column} = ?" if one else f"{column} IN ({', '.join('?' * len(verdicts))})")
        values.extend(verdict.name for verdict in verdicts)
    for condition, value in (
        ("wall_time >= ?", selection.since),
        ("wall_time < ?", selection.until),
        ("+recipe = ?" if by_id or by_verdict or lists is not None else "recipe = ?", selection.recipe),
        ("part_id = ?" if selection.batch is None else "+part_id = ?", selection.part_id),
        (f"{BATCH} = ?", selection.batch),
        (
            "EXISTS (SELECT 1 FROM json_each(parts.reasons) WHERE json_extract(value, '$.code') = ?)",
            None if selection.reason is None or is_listed else int(selection.reason),
        ),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if selection.engine is not None:
        conditions.append("substr(engine_id, 1, ?) = ?")
        values.extend((len(selection.engine), selection.engine))
    if selection.production:
        conditions.append("challenge IS NULL")
    return " AND ".join(conditions), values
