"""What this station said in a study: its trials stand in the records as runs of the challenge test with its name."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from station.msa.storage import Rating
from station.msa.study import STATION, Study
from station.records.challenge_runs import Outcome, Run, RunVerdict
from station.records.challenges import study_runs
from station.records.parts import PartRow, chosen_parts
from station.results import Verdict


@dataclass(frozen=True, slots=True)
class StationTrials:
    """Of one study."""

    runs: Sequence[Run]
    """That are whole, oldest first: the first is trial 1."""
    under_way: Run | None
    given_up: int
    """Runs that ended before every part was shown; they count for nothing."""
    not_inspected: int
    """Parts that were shown and not inspected; the same part was shown again."""
    in_review: int
    """Of all decisions: REVIEW, which counts as rejected."""

    @property
    def ratings(self) -> list[Rating]:
        """PASS accepts; FAIL and REVIEW reject."""
        return [
            Rating(STATION, trial, step.part, step.verdict is Verdict.PASS, run.start_s)
            for trial, run in enumerate(self.runs, start=1)
            for step in run.steps
            if step.outcome is not Outcome.NOT_INSPECTED
        ]


def trials_of_station(connection: sqlite3.Connection, study: Study) -> StationTrials:
    """Reads the runs of this study. Raises sqlite3.Error."""
    runs = study_runs(connection, study.name)
    names = {part.name for part in study.parts}
    whole = [run for run in runs if run.verdict is RunVerdict.PASSED and {part.name for part in run.parts} == names]
    whole = whole[: study.trials]
    steps = [step for run in whole for step in run.steps]
    return StationTrials(
        whole,
        next((run for run in runs if run.verdict is RunVerdict.RUNNING), None),
        sum(run.verdict in (RunVerdict.ABORTED, RunVerdict.FAILED) for run in runs),
        sum(step.outcome is Outcome.NOT_INSPECTED for step in steps),
        sum(step.verdict is Verdict.REVIEW for step in steps),
    )


def shown_as(connection: sqlite3.Connection, trials: StationTrials, part: str) -> list[PartRow]:
    """The rows of a part in each trial of the station, with what there is to see of it. Raises sqlite3.Error."""
    found: list[PartRow] = []
    for run in trials.runs:
        for step in run.steps:
            if step.part == part and step.outcome is not Outcome.NOT_INSPECTED:
                query = "SELECT * FROM parts WHERE challenge = ? AND acquisition_id = ?"
                found += chosen_parts(connection, query, (run.number, step.acquisition_id))
    return found
