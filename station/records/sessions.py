"""The table of sessions: one row for each start of the station, with how it ended; how many parts one had."""

from __future__ import annotations

import sqlite3

from station.records.events import MISSED
from station.records.statement import Statement
from station.results import PartCounts

_START = (
    "INSERT INTO sessions (session, start_wall_time) VALUES (:session, :wall_time) "
    "ON CONFLICT (session) DO UPDATE SET start_wall_time = excluded.start_wall_time"
)
_MARK_KILLED = "UPDATE sessions SET clean = 0 WHERE clean IS NULL AND session <> :session"
_INSERT_KILLED = "INSERT OR IGNORE INTO sessions (session, clean) VALUES (:session, 0)"
_END = "UPDATE sessions SET end_wall_time = :wall_time, clean = 1 WHERE session = :session"


def session_started(session: str, wall_time: float) -> list[Statement]:
    """A station starts. Every other session without an end was killed."""
    return [
        Statement(_START, {"session": session, "wall_time": wall_time}),
        Statement(_MARK_KILLED, {"session": session}),
    ]


def session_killed(session: str) -> Statement:
    """An earlier session that left parts in the journal, and may not have come to write its row."""
    return Statement(_INSERT_KILLED, {"session": session})


def session_ended(session: str, wall_time: float) -> Statement:
    """The station stops in order."""
    return Statement(_END, {"session": session, "wall_time": wall_time})


def unended_sessions(connection: sqlite3.Connection) -> list[str]:
    """Sessions of stations that run, were killed or lost their power, oldest first."""
    found = connection.execute("SELECT session FROM sessions WHERE clean IS NULL ORDER BY start_wall_time")
    return [str(session) for (session,) in found]


def count_parts(connection: sqlite3.Connection, session: str | None = None) -> PartCounts:
    """Counts the parts of one session, or of all."""
    where, values = ("WHERE session = ?", [session]) if session is not None else ("WHERE 1", [])

    def count(query: str) -> dict[str, int]:
        return dict(connection.execute(query, values))

    production = count(f"SELECT verdict, COUNT(*) FROM parts {where} AND challenge IS NULL GROUP BY verdict")
    challenge = count(f"SELECT verdict, COUNT(*) FROM parts {where} AND challenge IS NOT NULL GROUP BY verdict")
    missed = count(f"SELECT kind, COUNT(*) FROM events {where} AND kind = '{MISSED}' GROUP BY kind")
    return PartCounts(
        triggers=sum(production.values()),
        passed=production.get("PASS", 0),
        failed=production.get("FAIL", 0),
        review=production.get("REVIEW", 0),
        error=production.get("ERROR", 0),
        missed=missed.get(MISSED, 0),
        challenge=sum(challenge.values()),
    )
