"""What an engine in the shadow said of the parts that the active one judged: a row a run, and a row a part.

A run is one engine beside another with one configuration. Nothing in these tables was ever shown to the PLC.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal

from station.records.statement import Statement

Purpose = Literal["shadow", "probation"]

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS shadow_runs (
        run INTEGER PRIMARY KEY,  -- ms since the epoch at which it began
        purpose TEXT NOT NULL CHECK (purpose IN ('shadow', 'probation')),
        version TEXT NOT NULL,  -- of the engine store
        engine_id TEXT NOT NULL,
        active_engine_id TEXT NOT NULL,
        recipe TEXT NOT NULL,
        configuration TEXT NOT NULL,  -- its checksum, and that of the recipe
        begun_by TEXT NOT NULL,
        offered INTEGER NOT NULL,
        dropped INTEGER NOT NULL,  -- it was busy
        end_wall_time REAL,  -- NULL: it goes on
        ended_why TEXT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS shadows (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES shadow_runs (run),
        session TEXT NOT NULL,
        acquisition_id INTEGER NOT NULL,
        part_id INTEGER NOT NULL,
        wall_time REAL NOT NULL,  -- of the part
        challenge INTEGER NOT NULL,  -- the run of the challenge test, 0: production
        active_verdict TEXT NOT NULL,
        active_score REAL,
        verdict TEXT NOT NULL,
        score REAL,
        reasons TEXT NOT NULL,
        took_ms REAL NOT NULL,
        UNIQUE (session, acquisition_id, run)
    )""",
    "CREATE INDEX IF NOT EXISTS shadows_by_verdicts ON shadows (run, challenge, active_verdict, verdict)",
    """CREATE INDEX IF NOT EXISTS shadows_that_differ ON shadows (id)
        WHERE (verdict = 'PASS') <> (active_verdict = 'PASS') AND challenge = 0""",
    "CREATE INDEX IF NOT EXISTS shadows_by_time ON shadows (wall_time)",
)
DIFFERS = "(verdict = 'PASS') <> (active_verdict = 'PASS') AND challenge = 0"


@dataclass(frozen=True, slots=True)
class ShadowRun:
    """One engine in the shadow of another, from its begin to its end."""

    run: int
    purpose: Purpose
    version: str
    engine_id: str
    active_engine_id: str
    recipe: str
    configuration: str
    begun_by: str
    offered: int = 0
    """Parts that the active engine has judged meanwhile."""
    dropped: int = 0
    """Of these, parts that came while the shadow was busy."""
    end_wall_time: float | None = None
    ended_why: str = ""


@dataclass(frozen=True, slots=True)
class ShadowRow:
    """What both engines said of one part."""

    run: int
    session: str
    acquisition_id: int
    part_id: int
    wall_time: float
    challenge: int
    active_verdict: str
    active_score: float | None
    verdict: str
    score: float | None
    reasons: str
    """In words; empty where it passes."""
    took_ms: float


_RUN = tuple(field.name for field in fields(ShadowRun))
_ROW = tuple(field.name for field in fields(ShadowRow))
_CHANGING = ("offered", "dropped", "end_wall_time", "ended_why")
_UPSERT_RUN = (
    f"INSERT INTO shadow_runs ({', '.join(_RUN)}) VALUES ({', '.join(f':{name}' for name in _RUN)}) "
    "ON CONFLICT (run) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _CHANGING)
)
_INSERT_ROW = f"INSERT INTO shadows ({', '.join(_ROW)}) VALUES ({', '.join(f':{name}' for name in _ROW)})"


def upsert_run(run: ShadowRun) -> Statement:
    """Enters a run, or brings its row up to date."""
    return Statement(_UPSERT_RUN, asdict(run))


def insert_shadow(row: ShadowRow) -> Statement:
    """Enters what the shadow said of a part."""
    return Statement(_INSERT_ROW, asdict(row))


def has_shadows(connection: sqlite3.Connection) -> bool:
    """False: these records are older than shadows."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'shadows'").fetchone()
    return found is not None


def runs(connection: sqlite3.Connection, newest: int = 20) -> list[ShadowRun]:
    """The newest first."""
    if not has_shadows(connection):
        return []
    query = f"SELECT {', '.join(_RUN)} FROM shadow_runs ORDER BY run DESC LIMIT ?"
    return [ShadowRun(*row) for row in connection.execute(query, [newest])]


def last_run_of(connection: sqlite3.Connection, engine_id: str) -> ShadowRun | None:
    """The newest run of an engine; None: it was never in the shadow."""
    if not has_shadows(connection):
        return None
    query = f"SELECT {', '.join(_RUN)} FROM shadow_runs WHERE engine_id = ? ORDER BY run DESC LIMIT 1"
    row = connection.execute(query, [engine_id]).fetchone()
    return None if row is None else ShadowRun(*row)


def runs_of(connection: sqlite3.Connection, active_engine_id: str, since_s: float) -> list[ShadowRun]:
    """The probation runs of an active engine since its activation, seconds since the epoch; oldest first."""
    if not has_shadows(connection):
        return []
    query = (
        f"SELECT {', '.join(_RUN)} FROM shadow_runs WHERE purpose = 'probation' AND active_engine_id = ? AND run >= ? "
        "ORDER BY run"
    )
    return [ShadowRun(*row) for row in connection.execute(query, (active_engine_id, int(since_s * 1000)))]


def probation_sums(connection: sqlite3.Connection, active_engine_id: str, since_s: float) -> tuple[int, int, int, int]:
    """Of all these runs: parts of production that both have judged; rejected by the active one, by the one before, by
    both.
    """
    parts = rejected = rejected_before = by_both = 0
    for run in runs_of(connection, active_engine_id, since_s):
        for (active, shadow), count in pairs(connection, run.run).items():
            if shadow != "ERROR":
                parts += count
                rejected += count * (active == "FAIL")
                rejected_before += count * (shadow == "FAIL")
                by_both += count * (active == shadow == "FAIL")
    return parts, rejected, rejected_before, by_both


def pairs(connection: sqlite3.Connection, run: int) -> dict[tuple[str, str], int]:
    """How many parts of production had (verdict of the active engine, verdict of the shadow) in this run."""
    query = (
        "SELECT active_verdict, verdict, COUNT(*) FROM shadows WHERE run = ? AND challenge = 0 "
        "GROUP BY active_verdict, verdict"
    )
    return {(active, shadow): count for active, shadow, count in connection.execute(query, [run])}


def differing(connection: sqlite3.Connection, run: int, newest: int) -> list[ShadowRow]:
    """Parts that one of the two passes and the other does not, the newest first."""
    query = f"SELECT {', '.join(_ROW)} FROM shadows WHERE run = ? AND {DIFFERS} ORDER BY id DESC LIMIT ?"
    return [ShadowRow(*row) for row in connection.execute(query, (run, newest))]


def differing_after(connection: sqlite3.Connection, after: int, most: int) -> Sequence[tuple[int, ShadowRow]]:
    """The same of all runs, with their ids, from the one after `after` on."""
    if not has_shadows(connection):
        return []
    query = f"SELECT id, {', '.join(_ROW)} FROM shadows WHERE id > ? AND {DIFFERS} ORDER BY id LIMIT ?"
    return [(row[0], ShadowRow(*row[1:])) for row in connection.execute(query, (after, most))]


def row_of(connection: sqlite3.Connection, row_id: int) -> ShadowRow | None:
    """A row by its id; None: there is none."""
    if not has_shadows(connection):
        return None
    row = connection.execute(f"SELECT {', '.join(_ROW)} FROM shadows WHERE id = ?", [row_id]).fetchone()
    return None if row is None else ShadowRow(*row)


def of_challenge(connection: sqlite3.Connection, run: int, challenge: int) -> list[ShadowRow]:
    """The master parts of a challenge test, in their order."""
    query = f"SELECT {', '.join(_ROW)} FROM shadows WHERE run = ? AND challenge = ? ORDER BY id"
    return [ShadowRow(*row) for row in connection.execute(query, (run, challenge))]


def last_challenge(connection: sqlite3.Connection, run: int) -> int:
    """The last challenge test that a run has seen parts of; 0: none."""
    found = connection.execute("SELECT MAX(challenge) FROM shadows WHERE run = ?", [run]).fetchone()[0]
    return int(found or 0)
