"""What a station that starts knows of earlier challenge tests."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import structlog

from station.records.challenge_runs import Memory
from station.records.challenges import runs
from station.records.schema import RecordingError, open_reader

log = structlog.get_logger()


MOST_COUNTED = 1_000_000
"""Parts since the last test that a start counts, as it must not read the records of a year: from there on a test is due
however many parts one is for."""


def read_memory(records: Path, recipe: str, now_s: float) -> Memory:
    """What the records know of earlier tests. Records that cannot be read know nothing: then a test is due."""
    if not records.exists():
        return Memory()
    try:
        with closing(open_reader(records)) as connection:
            return _memory(connection, recipe, now_s)
    except (RecordingError, sqlite3.Error, ValueError, KeyError) as problem:
        log.error("challenge tests of before are not known", problem=str(problem))
        return Memory()


def _memory(connection: sqlite3.Connection, recipe: str, now_s: float) -> Memory:
    last = runs(connection, 1)
    passed = connection.execute(
        "SELECT end_wall_time, recipe FROM challenges WHERE verdict = 'PASSED' "
        "AND json_extract(parts, '$[0].study') IS NULL ORDER BY run DESC LIMIT 1"
    ).fetchone()
    if passed is None:
        return Memory(last[0][0] if last else None)
    passed_s = float(passed["end_wall_time"])
    (since,) = connection.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM parts WHERE challenge IS NULL AND wall_time > ? LIMIT ?)",
        [passed_s, MOST_COUNTED],
    ).fetchone()
    (changed_s,) = connection.execute(
        "SELECT MAX(wall_time) FROM audit WHERE action = 'recipe' AND result = 'done'"
    ).fetchone()
    if passed["recipe"] != recipe and (changed_s is None or changed_s <= passed_s):
        changed_s = now_s  # changed while the station did not run
    return Memory(
        last[0][0] if last else None, passed_s, int(since) if since < MOST_COUNTED else sys.maxsize, changed_s
    )
