"""Counts of a selection from rollups: whole quarters of an hour from them, what lies beside those from the rows.

The sum is exactly that of the rows. What rollups do not know (a part's own number, a beginning within a quarter) is
counted from rows, in steps.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from station.records.rollups.taking_in import LAST_OF_A_STEP, MOST_ROWS, QUARTER_S
from station.records.selection import Kind, Selection, Span, conditions_of, counted, kind_of
from station.results import Verdict

MAX_ID = 2**63 - 1
_KINDS: dict[Kind, str] = {
    "minute": f"quarter * {QUARTER_S // 60}",
    "recipe": "recipe",
    "reason": "CASE WHEN codes = '' THEN NULL ELSE CAST(codes AS INTEGER) END",
    "engine": "engine_id",
}
"""The number of the first of several codes is what SQLite reads of "10,13"."""


def counted_with(
    rollups: sqlite3.Connection, records: sqlite3.Connection, selection: Selection, kind: Kind
) -> list[tuple[Any, Verdict, int]]:
    """As `counted`, for minutes to the quarter of an hour. `rollups`: may lack what came since they were opened.

    Raises sqlite3.Error.
    """
    if selection.part_id is not None:
        return counted(records, selection, kind)
    first = -math.inf if selection.since is None else math.ceil(selection.since / QUARTER_S)
    last = math.inf if selection.until is None else math.floor(selection.until / QUARTER_S)
    if first >= last:
        return counted(records, selection, kind)
    found: Counter[tuple[Any, str]] = Counter()
    where, values = _conditions(selection)
    query = f"SELECT {_KINDS[kind]}, verdict, SUM(n) FROM rollups WHERE {where} GROUP BY 1, 2"
    rollups.execute("BEGIN")  # the counts and the last part that is in them, of one moment
    for value, verdict, number in rollups.execute(query, (first, last, *values)):
        found[value, verdict] += number
    seen = rollups.execute("SELECT id FROM seen").fetchone()
    rollups.execute("COMMIT")
    for value, verdict, number in _newer(records, selection, kind, 0 if seen is None else seen[0], (first, last)):
        found[value, verdict] += number
    for beside in _beside(selection, first, last):
        for value, known, number in counted(records, beside, kind):
            found[value, known.name] += number
    order = sorted(found.items(), key=lambda item: (item[0][0] is not None, item[0][0], item[0][1]))
    return [(value, Verdict[verdict], number) for (value, verdict), number in order]


def spans_of(
    rollups: sqlite3.Connection, selection: Selection, *, newer: bool, beyond: float | None, at_least: int
) -> list[Span]:
    """The quarters of an hour that hold parts of the selection, from `beyond` on: newest first, or oldest first with
    `newer`; until they hold at least this number. Parts that are not taken in yet are in none of them.
    """
    where, values = _conditions(selection)
    first = -math.inf if selection.since is None else math.floor(selection.since / QUARTER_S)
    last = math.inf if selection.until is None else math.ceil(selection.until / QUARTER_S)
    if beyond is not None and newer:
        first = max(first, math.floor(beyond / QUARTER_S))
    elif beyond is not None:
        last = min(last, math.floor(beyond / QUARTER_S) + 1)
    order = "ASC" if newer else "DESC"
    query = f"SELECT quarter, SUM(n) FROM rollups WHERE {where} GROUP BY quarter ORDER BY quarter {order}"
    found: list[Span] = []
    reached = 0
    for number, (quarter, count) in enumerate(rollups.execute(query, (first, last, *values))):
        found.append((quarter * QUARTER_S, (quarter + 1) * QUARTER_S))
        reached += count if number else 0  # of the first one some may lie on the other side
        if reached >= at_least:
            break
    return found


def _conditions(selection: Selection) -> tuple[str, list[Any]]:
    """On `rollups`; the first two values are the quarters."""
    conditions = ["quarter >= ? AND quarter < ?"]
    values: list[Any] = []
    if selection.verdicts:
        conditions.append(f"verdict IN ({', '.join('?' * len(selection.verdicts))})")
        values.extend(verdict.name for verdict in selection.verdicts)
    if selection.recipe is not None:
        conditions.append("recipe = ?")
        values.append(selection.recipe)
    if selection.batch is not None:
        conditions.append("batch = ?")
        values.append(selection.batch)
    if selection.engine is not None:
        conditions.append("substr(engine_id, 1, ?) = ?")
        values.extend((len(selection.engine), selection.engine))
    if selection.reason is not None:
        conditions.append("',' || codes || ',' LIKE ?")
        values.append(f"%,{int(selection.reason)},%")
    if selection.production:
        conditions.append("challenge = 0")
    return " AND ".join(conditions), values


def _newer(
    records: sqlite3.Connection, selection: Selection, kind: Kind, seen: int, quarters: tuple[float, float]
) -> Iterator[tuple[Any, str, int]]:
    """Parts of these quarters that the rollups do not hold yet, in steps: nobody may have taken them in for a week."""
    where, values = conditions_of(replace(selection, since=None, until=None))
    first, last = (quarter * QUARTER_S for quarter in quarters)
    query = (
        f"SELECT {kind_of(kind)}, verdict, COUNT(*) FROM parts NOT INDEXED WHERE id > ? AND id <= ? AND {where} "
        "AND wall_time >= ? AND wall_time < ? GROUP BY 1, 2"
    )
    while True:
        step = records.execute(LAST_OF_A_STEP, (seen, MOST_ROWS - 1)).fetchone()
        end = MAX_ID if step is None else step[0]
        yield from records.execute(query, (seen, end, *values, first, last)).fetchall()
        if step is None:
            return
        seen = end


def _beside(selection: Selection, first: float, last: float) -> Iterator[Selection]:
    if selection.since is not None and selection.since < first * QUARTER_S:
        yield replace(selection, until=first * QUARTER_S)
    if selection.until is not None and selection.until > last * QUARTER_S:
        yield replace(selection, since=last * QUARTER_S)
