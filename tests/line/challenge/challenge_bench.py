"""Master parts, decisions and a machine of the challenge test for the tests beside it."""

from __future__ import annotations

from datetime import datetime, timezone

from station.codes import ReasonCode
from station.line.challenge.machine import Challenge, ChallengeSettings
from station.records.challenge_runs import MasterPart, Memory, Run, RunVerdict
from station.results import Decision, Reason, Verdict

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc).timestamp()
PARTS = (
    MasterPart("spot", Verdict.FAIL, ReasonCode.SCORE_ABOVE_LIMIT),
    MasterPart("haze", Verdict.REVIEW),
    MasterPart("good", Verdict.PASS),
)
PASS = Decision(Verdict.PASS)
FAIL = Decision(Verdict.FAIL, (Reason(ReasonCode.SCORE_ABOVE_LIMIT),))
AREA = Decision(Verdict.FAIL, (Reason(ReasonCode.REGION_AREA),))
REVIEW = Decision(Verdict.REVIEW, (Reason(ReasonCode.TOO_DARK),))
LOST = Decision.error(ReasonCode.NO_FRAME)
DECISIONS = (PASS, FAIL, AREA, REVIEW, LOST)
RIGHT = (FAIL, REVIEW, PASS)
PASSED = Memory(passed_s=NOON)
ABORTED = Memory(last=Run(4, "anna", NOON, PARTS, verdict=RunVerdict.ABORTED))


def utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def challenge(now_s: float = NOON, memory: Memory = PASSED, **changes: object) -> Challenge:
    return Challenge(
        ChallengeSettings(parts=PARTS, **changes),  # type: ignore[arg-type]
        memory,
        now_s,
        local=utc,
    )


def run_through(machine: Challenge, *decisions: Decision) -> list[bool]:
    """Starts a test and shows the station parts with these verdicts; which of them might be let through."""
    assert machine.start("anna") == ""
    machine.drained()
    may_pass = []
    for index, decision in enumerate(decisions):
        assert (machine.awaits_confirmation, machine.waits, machine.takes_masters) == (True, True, 0)
        assert machine.confirm() == ""
        number = machine.takes_masters
        assert number
        assert not machine.waits
        machine.master_came()
        may_pass.append(machine.part_closed(number, index, decision))
    return may_pass
