"""Challenge tests in the records: every run with what the station said of each part, who reset it, and why."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import structlog

from station.codes import ReasonCode
from station.records.challenge_runs import MasterPart, Memory, Outcome, Run, RunVerdict, Step
from station.records.schema import RecordingError, open_reader
from station.results import Verdict

log = structlog.get_logger()

_COLUMNS = (
    *("run", "recipe", "recipe_checksum", "engine_id", "started_by", "by_mode", "start_wall_time", "end_wall_time"),
    *("verdict", "escaped", "detail", "parts", "steps", "reset_by", "reset_wall_time", "reset_why"),
)
_FIXED = ("run", "recipe", "recipe_checksum", "engine_id")
"""As they were when the run began."""
UPSERT = (
    f"INSERT INTO challenges ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "
    "ON CONFLICT (run) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _FIXED)
)


def values_of(run: Run, *, recipe: str, recipe_checksum: str, engine_id: str) -> dict[str, Any]:
    """The row of a run, as it is now."""
    parts = [{"name": part.name, "expected": part.expected.name, "reason": part.reason} for part in run.parts]
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
    return {
        "run": run.number,
        "recipe": recipe,
        "recipe_checksum": recipe_checksum,
        "engine_id": engine_id,
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


def runs(connection: sqlite3.Connection, newest: int) -> list[tuple[Run, str]]:
    """The newest runs with the recipe that was in force, oldest of them first."""
    rows = connection.execute("SELECT * FROM challenges ORDER BY run DESC LIMIT ?", [newest]).fetchall()
    return [(_run(row), str(row["recipe"])) for row in reversed(rows)]


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
        "SELECT end_wall_time, recipe FROM challenges WHERE verdict = 'PASSED' ORDER BY run DESC LIMIT 1"
    ).fetchone()
    if passed is None:
        return Memory(last[0][0] if last else None)
    passed_s = float(passed["end_wall_time"])
    (since,) = connection.execute(
        "SELECT COUNT(*) FROM parts WHERE challenge IS NULL AND wall_time > ?", [passed_s]
    ).fetchone()
    (changed_s,) = connection.execute(
        "SELECT MAX(wall_time) FROM audit WHERE action = 'recipe' AND result = 'done'"
    ).fetchone()
    if passed["recipe"] != recipe and (changed_s is None or changed_s <= passed_s):
        changed_s = now_s  # changed while the station did not run
    return Memory(last[0][0] if last else None, passed_s, int(since), changed_s)


def _run(row: sqlite3.Row) -> Run:
    parts = tuple(
        MasterPart(
            part["name"], Verdict[part["expected"]], None if part["reason"] is None else ReasonCode(part["reason"])
        )
        for part in json.loads(row["parts"])
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
    )
