"""Challenge tests in the records: every run with what the station said of each part, who reset it, and why."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from station.codes import ReasonCode
from station.records.challenge_runs import MasterPart, Outcome, Run, RunVerdict, Step
from station.records.statement import Statement
from station.results import Verdict

TABLE = """CREATE TABLE IF NOT EXISTS challenges (
        run INTEGER PRIMARY KEY,
        recipe TEXT NOT NULL,
        recipe_checksum TEXT NOT NULL,
        engine_id TEXT NOT NULL,
        started_by TEXT NOT NULL,
        by_mode INTEGER NOT NULL,  -- 1: by ChallengeMode
        start_wall_time REAL NOT NULL,
        end_wall_time REAL,
        verdict TEXT NOT NULL CHECK (verdict IN ('RUNNING', 'PASSED', 'FAILED', 'ABORTED')),
        escaped INTEGER NOT NULL,  -- 1: a part that had to be rejected passed
        detail TEXT NOT NULL,
        parts TEXT NOT NULL,  -- JSON: the master parts, in order; with "study" those of an agreement study
        steps TEXT NOT NULL,  -- JSON: what the station said of each
        reset_by TEXT NOT NULL,
        reset_wall_time REAL,
        reset_why TEXT NOT NULL
    )"""
_COLUMNS = (
    "run",
    "recipe",
    "recipe_checksum",
    "engine_id",
    "started_by",
    "by_mode",
    "start_wall_time",
    "end_wall_time",
    "verdict",
    "escaped",
    "detail",
    "parts",
    "steps",
    "reset_by",
    "reset_wall_time",
    "reset_why",
)
_FIXED = ("run", "recipe", "recipe_checksum", "engine_id")
"""As they were when the run began."""
_UPSERT = (
    f"INSERT INTO challenges ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "
    "ON CONFLICT (run) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _FIXED)
)


@dataclass(frozen=True, slots=True)
class ChallengeRow:
    """A run as it is now, with the product and the engine that it tests."""

    run: Run
    recipe: str
    recipe_checksum: str
    engine_id: str


def upsert_challenge(row: ChallengeRow) -> Statement:
    """Enters a run, or brings its row up to date."""
    run = row.run
    of_study = {"study": run.study} if run.study else {}
    parts = [{"name": one.name, "expected": one.expected.name, "reason": one.reason, **of_study} for one in run.parts]
    steps = [
        {
            "part": step.part,
            "acquisition_id": step.acquisition_id,
            "verdict": step.verdict.name,
            "reason": step.reason,
            "outcome": step.outcome.value,
        }
        for step in run.steps
    ]
    values = {
        "run": run.number,
        "recipe": row.recipe,
        "recipe_checksum": row.recipe_checksum,
        "engine_id": row.engine_id,
        "started_by": run.started_by,
        "by_mode": run.by_mode,
        "start_wall_time": run.start_s,
        "end_wall_time": run.end_s,
        "verdict": run.verdict.value,
        "escaped": run.escape,
        "detail": run.detail,
        "parts": json.dumps(parts),
        "steps": json.dumps(steps),
        "reset_by": run.reset_by,
        "reset_wall_time": run.reset_s,
        "reset_why": run.reset_why,
    }
    return Statement(_UPSERT, values)


def runs(connection: sqlite3.Connection, newest: int) -> list[tuple[Run, str]]:
    """The newest runs with the recipe of their time, oldest of them first."""
    rows = connection.execute("SELECT * FROM challenges ORDER BY run DESC LIMIT ?", [newest]).fetchall()
    return [(_run(row), str(row["recipe"])) for row in reversed(rows)]


def runs_after(connection: sqlite3.Connection, after: int | None, limit: int) -> list[tuple[Run, str]]:
    """The runs behind a number with the recipe of their time, oldest first; None: the newest."""
    if after is None:
        return runs(connection, limit)
    rows = connection.execute("SELECT * FROM challenges WHERE run > ? ORDER BY run LIMIT ?", (after, limit))
    return [(_run(row), str(row["recipe"])) for row in rows]


def study_runs(connection: sqlite3.Connection, study: str) -> list[Run]:
    """The trials of an agreement study, oldest first."""
    rows = connection.execute(
        "SELECT * FROM challenges WHERE json_extract(parts, '$[0].study') = ? ORDER BY run", [study]
    )
    return [_run(row) for row in rows]


def _run(row: sqlite3.Row) -> Run:
    known = json.loads(row["parts"])
    parts = tuple(
        MasterPart(
            part["name"], Verdict[part["expected"]], None if part["reason"] is None else ReasonCode(part["reason"])
        )
        for part in known
    )
    steps = tuple(
        Step(
            step["part"],
            step["acquisition_id"],
            Verdict[step["verdict"]],
            ReasonCode(step["reason"]),
            Outcome(step["outcome"]),
        )
        for step in json.loads(row["steps"])
    )
    return Run(
        number=row["run"],
        started_by=row["started_by"],
        start_s=row["start_wall_time"],
        parts=parts,
        by_mode=bool(row["by_mode"]),
        steps=steps,
        verdict=RunVerdict(row["verdict"]),
        detail=row["detail"],
        end_s=row["end_wall_time"],
        reset_by=row["reset_by"],
        reset_s=row["reset_wall_time"],
        reset_why=row["reset_why"],
        study=known[0].get("study", "") if known else "",
    )
