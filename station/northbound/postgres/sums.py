"""Sums of whole minutes, counted anew from the records whenever a part of such a minute is sent.

A sum is what stands on record up to the last part that was sent, not what was added to another number: sent twice it is
the same. The parts of one key only become more, so of two sums of a key the larger one holds; rows that retention has
deleted since cannot make it smaller.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable

from station.northbound.postgres.rows import Values, clean
from station.northbound.readings import moment
from station.records.parts import PartRow

MINUTE_S = 60
_SUMS = """SELECT session, recipe, engine_id, verdict, COALESCE(json_extract(reasons, '$[0].code'), 0),
        challenge IS NULL, COUNT(*), SUM(late), COUNT(signalled_ms), TOTAL(signalled_ms), MAX(signalled_ms)
    FROM parts WHERE wall_time >= :since AND wall_time < :until AND id <= :last
    GROUP BY 1, 2, 3, 4, 5, 6"""


def minutes_of(rows: Iterable[PartRow]) -> list[int]:
    """The minutes, counted since the epoch, in which these parts were triggered."""
    return sorted({math.floor(row.wall_time / MINUTE_S) for row in rows})


def sums_of(connection: sqlite3.Connection, minutes: Iterable[int], last: int, station: str) -> list[Values]:
    """Rows of the table `minutes` of the fleet: these minutes up to the part in row `last`. Raises sqlite3.Error."""
    found: list[Values] = []
    for minute in minutes:
        of = {"since": minute * MINUTE_S, "until": (minute + 1) * MINUTE_S, "last": last}
        for row in connection.execute(_SUMS, of):
            session, recipe, engine, verdict, reason, production, *numbers = tuple(row)
            key = (clean(station), clean(session), moment(minute * MINUTE_S), clean(recipe), clean(engine), verdict)
            found.append((*key, reason, bool(production), *numbers))
    return found
