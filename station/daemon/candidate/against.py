"""What speaks against an engine on probation beside its sums, as the records say it: so a restart finds it again.

A failed challenge test alone does not say whose fault it is: the lamp may have failed. The engine before has judged the
same master part in the shadow; only where it has judged it rightly the new engine is to blame.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from station.codes import ERRORS, ErrorCode
from station.records import challenges
from station.records.challenge_runs import Outcome, Run
from station.records.engines.shadows import of_challenge, runs_of
from station.reports.candidate.probation import Finding
from station.results import Verdict

_MOST_RUNS = 200
_FAILED = """SELECT run FROM challenges WHERE engine_id = ? AND start_wall_time >= ? AND verdict = 'FAILED'
    AND reset_by = '' ORDER BY run DESC LIMIT 1"""
_HUNG = "SELECT detail FROM events WHERE kind = 'fault' AND wall_time >= ? AND detail LIKE ? LIMIT 1"


@dataclass(frozen=True, slots=True)
class Against:
    """A reason to end a probation."""

    finding: Finding
    why: str
    is_certain: bool = True
    """False: the one before judges alike, or it is not known what it says; then nothing goes back."""


def against(connection: sqlite3.Connection, engine_id: str, since_s: float) -> Against | None:
    """What is on record since the activation, seconds since the epoch; None: nothing. Raises sqlite3.Error."""
    hung = connection.execute(_HUNG, (since_s, f"{ERRORS[ErrorCode.ENGINE_HANGS].text}%")).fetchone()
    if hung is not None:
        return Against(Finding.FAULT, str(hung[0]))
    row = connection.execute(_FAILED, (engine_id, since_s)).fetchone()
    test = None if row is None else _test(connection, row[0])
    if test is None:
        return None
    said = _said_before(connection, test, engine_id, since_s)
    part = next((one for one in test.parts if one.name == test.steps[-1].part), None)
    is_right = said is not None and part is not None and (said == Verdict.PASS.name) == (part.expected is Verdict.PASS)
    return Against(
        Finding.CHALLENGE,
        f"test {test.number}, {test.detail}; the one before says {'nothing' if said is None else said} of it",
        is_right,
    )


def is_known(connection: sqlite3.Connection, number: int, engine_id: str, since_s: float) -> bool:
    """Whether the engine before has said what it makes of the part that a challenge test failed on."""
    test = _test(connection, number)
    return test is not None and _said_before(connection, test, engine_id, since_s) is not None


def _said_before(connection: sqlite3.Connection, test: Run, engine_id: str, since_s: float) -> str | None:
    wrong = [step.acquisition_id for step in test.steps if step.outcome in (Outcome.WRONG, Outcome.ESCAPE)][-1:]
    for run in runs_of(connection, engine_id, since_s):
        for row in of_challenge(connection, run.run, test.number):
            if row.acquisition_id in wrong:
                return row.verdict
    return None


def _test(connection: sqlite3.Connection, number: int) -> Run | None:
    found = (run for run, _ in challenges.runs(connection, _MOST_RUNS) if run.number == number and not run.study)
    return next(found, None)
