"""Which parts on record people should look at: all in REVIEW, a random sample of those that passed and that failed, and
those that an engine in the shadow judges otherwise.

Whoever opens the queue takes in what is new since the last time, in small steps. The random sample comes from the run
and the number of a part (`station.records.sample`): nobody can choose it, and what people find in it holds for all.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

from station.labels.queue import NewItem, enqueue
from station.labels.writing import changing
from station.records.engines.shadows import differing_after, row_of
from station.records.sample import chance, in_sample
from station.records.selection import FIRST_SINCE

MOST_ROWS = 5000
"""In one read of the records, so that a reader never holds up their writer."""
FIRST_S = 24 * 3600.0
"""The first time, parts of the last day: a queue that begins with a year is never looked at."""
_TWO_LOOK = "two people"


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """What comes into the queue."""

    due_s: float = 3600.0
    pass_share: float = 0.002
    fail_share: float = 0.02
    blind_share: float = 0.05


def take_in(
    labels: sqlite3.Connection,
    records: sqlite3.Connection,
    rules: ReviewRules,
    now: float,
    budget_s: float = math.inf,
) -> tuple[int, bool]:
    """Enters what is new on record, for about this time; returns how many parts, and whether nothing is left.

    Raises LabelError, sqlite3.Error.
    """
    until = time.monotonic() + budget_s
    added = _take_in_shadows(labels, records, now)
    while True:
        seen, since = _place(labels, records, now)
        rows = records.execute(
            "SELECT id, session, acquisition_id, part_id, wall_time, verdict, challenge, (SELECT COUNT(image_path) "
            "FROM views WHERE part = parts.id) AS images FROM parts WHERE id > ? ORDER BY id LIMIT ?",
            (seen, MOST_ROWS),
        ).fetchall()
        if not rows:
            return added, True
        with changing(labels):
            added += enqueue(labels, _chosen(rows, rules, since), now)
            labels.execute("DELETE FROM taken_in")
            last = rows[-1]
            place = (last["id"], last["session"], last["acquisition_id"])
            labels.execute("INSERT INTO taken_in VALUES (?, ?, ?)", place)
        if len(rows) < MOST_ROWS:
            return added, True
        if time.monotonic() > until:
            return added, False


def _take_in_shadows(labels: sqlite3.Connection, records: sqlite3.Connection, now: float) -> int:
    """Parts that an engine in the shadow judges otherwise, since the last time: those alone have to be labelled."""
    last = labels.execute("SELECT * FROM taken_in_of_shadows").fetchone()
    after = 0
    if last is not None:
        there = row_of(records, last["id"])
        if there is not None and (there.session, there.acquisition_id) == (last["session"], last["acquisition_id"]):
            after = int(last["id"])
    found = differing_after(records, after, MOST_ROWS)
    if not found:
        return 0
    items = [
        NewItem(row.session, row.acquisition_id, row.part_id, row.wall_time, row.active_verdict, "shadow")
        for _, row in found
        if row.verdict != "ERROR" and row.wall_time >= now - FIRST_S
    ]
    with changing(labels):
        added = enqueue(labels, items, now)
        labels.execute("DELETE FROM taken_in_of_shadows")
        newest = found[-1][1]
        place = (found[-1][0], newest.session, newest.acquisition_id)
        labels.execute("INSERT INTO taken_in_of_shadows VALUES (?, ?, ?)", place)
    return added


def _place(labels: sqlite3.Connection, records: sqlite3.Connection, now: float) -> tuple[int, float]:
    """(the row that was looked at last, the oldest time that counts). Records that were replaced begin anew."""
    last = labels.execute("SELECT * FROM taken_in").fetchone()
    if last is not None:
        there = records.execute("SELECT session, acquisition_id FROM parts WHERE id = ?", [last["id"]]).fetchone()
        if there is not None and tuple(there) == (last["session"], last["acquisition_id"]):
            return int(last["id"]), 0.0
    first = records.execute(FIRST_SINCE, [now - FIRST_S]).fetchone()[0]
    newest = records.execute("SELECT MAX(id) FROM parts").fetchone()[0] or 0
    return (newest if first is None else int(first) - 1), now - FIRST_S


def _chosen(rows: list[sqlite3.Row], rules: ReviewRules, since: float) -> Iterator[NewItem]:
    shares = {"PASS": rules.pass_share, "FAIL": rules.fail_share}
    for row in rows:
        if row["challenge"] is not None or row["wall_time"] < since:
            continue
        session, number, verdict = row["session"], row["acquisition_id"], row["verdict"]
        part = (session, number, row["part_id"], row["wall_time"], verdict)
        needs = 2 if chance(session, number, _TWO_LOOK) < rules.blind_share else 1
        if verdict == "REVIEW":
            yield NewItem(*part, "review", None, row["wall_time"] + rules.due_s, needs)
        elif verdict in shares and row["images"] and in_sample(session, number, shares[verdict]):
            yield NewItem(*part, "sample", shares[verdict], None, needs)
