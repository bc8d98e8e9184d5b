"""A challenge test as it stands in the records: its master parts, what the station said of each, and how it ended.

A trial of an agreement study (`station.msa`) is a run of the same kind that bears the name of the study: whatever the
station says of a part is what the study asks for, so it cannot fail, and it is no challenge test that was passed.

The machine of the line (`station.line.challenge.machine`) makes these; `records.challenges` writes and reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from station.codes import ReasonCode
from station.results import Decision, Verdict


class RunVerdict(Enum):
    """How a run ended."""

    RUNNING = "RUNNING"
    PASSED = "PASSED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


class Outcome(Enum):
    """What a part means for its step."""

    AS_EXPECTED = "as expected"
    NOT_INSPECTED = "not inspected"
    """The step is repeated."""
    WRONG = "wrong"
    ESCAPE = "escape"
    """It had to be rejected, and passed."""


@dataclass(frozen=True, slots=True)
class MasterPart:
    """A part of which it is known what the station must say."""

    name: str
    expected: Verdict
    reason: ReasonCode | None = None
    """Must be among the reasons of the verdict."""

    def outcome(self, decision: Decision) -> Outcome:
        if decision.verdict is Verdict.ERROR:
            return Outcome.NOT_INSPECTED
        if decision.verdict is Verdict.PASS and self.expected is not Verdict.PASS:
            return Outcome.ESCAPE
        found = decision.verdict is self.expected
        why = self.reason is None or self.reason in {reason.code for reason in decision.reasons}
        return Outcome.AS_EXPECTED if found and why else Outcome.WRONG


@dataclass(frozen=True, slots=True)
class Step:
    """What the station said of one part."""

    part: str
    acquisition_id: int
    verdict: Verdict
    reason: ReasonCode
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Run:
    """One challenge test."""

    number: int
    started_by: str
    start_s: float
    parts: tuple[MasterPart, ...]
    by_mode: bool = False
    """Started by ChallengeMode: only parts while that is 1 are master parts."""
    steps: tuple[Step, ...] = ()
    verdict: RunVerdict = RunVerdict.RUNNING
    detail: str = ""
    end_s: float | None = None
    reset_by: str = ""
    reset_s: float | None = None
    reset_why: str = ""
    study: str = ""
    """The agreement study of which this is a trial; empty: a challenge test."""

    @property
    def done(self) -> int:
        """Master parts that were as expected; in a study those that were inspected."""
        if self.study:
            return sum(step.outcome is not Outcome.NOT_INSPECTED for step in self.steps)
        return sum(step.outcome is Outcome.AS_EXPECTED for step in self.steps)

    @property
    def escape(self) -> bool:
        return any(step.outcome is Outcome.ESCAPE for step in self.steps)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of the time before this start."""

    last: Run | None = None
    """The newest run."""
    passed_s: float | None = None
    """When one ended with PASSED."""
    parts_since: int = 0
    """Parts of production since then."""
    recipe_changed_s: float | None = None
