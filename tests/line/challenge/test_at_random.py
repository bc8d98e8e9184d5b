"""The challenge test as a machine that is driven at random, with restarts in between."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from station.codes import OfflineReason
from station.line.challenge.machine import Challenge, ChallengeSettings, ChallengeState
from station.records.challenge_runs import Memory, Run, RunVerdict
from station.results import Decision, Verdict
from tests.line.challenge.challenge_bench import DECISIONS, NOON, PARTS, PASS, utc


class ChallengeMachine(RuleBasedStateMachine):
    """Everything that can happen, in any order, with restarts in between."""

    @initialize(stops=st.booleans(), every_parts=st.none() | st.integers(1, 5), numbered=st.booleans())
    def begin(self, stops: bool, every_parts: int | None, numbered: bool) -> None:
        self.settings = ChallengeSettings(
            parts=PARTS,
            every_s=500.0,
            every_parts=every_parts,
            stops=stops,
            grace_s=50.0,
            timeout_s=300.0,
            part_ids=range(9000, 9100) if numbered else None,
        )
        self.now = NOON
        self.machine = Challenge(self.settings, Memory(), self.now, local=utc)
        self.written: dict[int, Run] = {}
        self.production = 0
        self.open: list[int] = []
        self.acquisition = 0

    @rule(seconds=st.floats(0.1, 400))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds
        self.machine.tick(self.now)

    @rule(by_mode=st.booleans())
    def starts(self, by_mode: bool) -> None:
        failed = self.machine.failed
        why_not = self.machine.mode(True) if by_mode else self.machine.start("anna")
        assert not (failed and why_not == "" and self.machine.state is ChallengeState.RUNNING)

    @rule(on=st.booleans())
    def mode(self, on: bool) -> None:
        self.machine.mode(on)

    @rule()
    def confirm(self) -> None:
        waited = self.machine.awaits_confirmation
        assert (self.machine.confirm() == "") == waited

    @rule(of_production=st.booleans())
    def part_triggered(self, of_production: bool) -> None:
        if self.machine.why_off is None and not self.machine.waits:
            number = self.machine.takes_masters
            if of_production and self.settings.part_ids is not None:
                number = 0
            self.open.append(number)
            if number:
                self.machine.master_came()

    @precondition(lambda self: self.open)
    @rule(decision=st.sampled_from(DECISIONS))
    def part_decided(self, decision: Decision) -> None:
        number = self.open.pop(0)
        before = self.machine.last
        expected = (
            before.parts[before.done]
            if before is not None and before.number == number and before.verdict is RunVerdict.RUNNING
            else None
        )
        self.acquisition += 1
        through = self.machine.part_closed(number, self.acquisition, decision)
        if number == 0:
            assert through
        elif decision is PASS:
            assert through == (expected is not None and expected.expected is Verdict.PASS)
            if expected is not None and expected.expected is not Verdict.PASS:
                assert self.machine.failed
                assert self.machine.why_off is OfflineReason.CHALLENGE_FAILED

    @rule()
    def all_parts_have_results(self) -> None:
        if not self.open:
            self.machine.drained()

    @rule()
    def reset(self) -> None:
        self.machine.reset("berta", "why")

    @rule()
    def restart(self) -> None:
        """What was written is all that a new process knows."""
        self.write()
        last = self.written[max(self.written)] if self.written else None
        passed = [run.end_s for run in self.written.values() if run.verdict is RunVerdict.PASSED]
        before = self.machine
        self.machine = Challenge(self.settings, Memory(last, passed[-1] if passed else None), self.now, local=utc)
        assert self.machine.failed == before.failed
        assert self.machine.step == before.step
        assert before.why_off is not OfflineReason.CHALLENGE_FAILED or self.machine.why_off is before.why_off

    @invariant()
    def write(self) -> None:
        for run in self.machine.news():
            old = self.written.get(run.number)
            assert old is None or old.verdict is RunVerdict.RUNNING or (old.reset_by == "" != run.reset_by)
            assert old is None or run.steps[: len(old.steps)] == old.steps, "what was said stays said"
            self.written[run.number] = run

    @invariant()
    def one_state_at_a_time(self) -> None:
        machine = self.machine
        assert (machine.step > 0) == (machine.state is ChallengeState.RUNNING)
        assert machine.takes_masters == 0 or machine.state is ChallengeState.RUNNING
        assert not (machine.takes_masters and machine.waits)
        if machine.state is ChallengeState.PASSED:
            assert any(run.verdict is RunVerdict.PASSED for run in self.written.values())
        if machine.state is ChallengeState.DUE and machine.overdue and self.settings.stops:
            assert machine.why_off is OfflineReason.CHALLENGE_OVERDUE
        passed = [run for run in self.written.values() if run.verdict is RunVerdict.PASSED]
        for run in passed:
            outcomes = [step.part for step in run.steps if step.outcome.value == "as expected"]
            assert outcomes == [part.name for part in PARTS]


ChallengeMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


test_challenge_machine = ChallengeMachine.TestCase
