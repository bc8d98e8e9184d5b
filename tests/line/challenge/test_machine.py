"""The challenge test as a machine: driven at random, and its rules one by one."""

from __future__ import annotations

from datetime import datetime, time, timezone

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from station.codes import OfflineReason, ReasonCode, WarningCode
from station.line.challenge.machine import Challenge, ChallengeSettings, ChallengeState
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


# ---- the verdict of a test ------------------------------------------------------------------------------------------


def test_every_part_as_expected_passes() -> None:
    machine = challenge()
    assert run_through(machine, *RIGHT) == [True, True, True]
    assert machine.state is ChallengeState.PASSED
    (run,) = machine.news()
    assert (run.verdict, run.end_s, len(run.steps)) == (RunVerdict.PASSED, NOON, 3)


def test_a_part_that_was_not_inspected_is_put_on_again() -> None:
    machine = challenge()
    run_through(machine, LOST, FAIL, LOST)
    assert (machine.state, machine.step, machine.next_part) == (ChallengeState.RUNNING, 2, "haze")


@pytest.mark.parametrize(
    ("decisions", "escape", "through"),
    [
        ((PASS,), True, False),
        ((FAIL, PASS), True, False),
        ((AREA,), False, False),  # rejected, but for another reason
        ((FAIL, FAIL), False, False),
        ((FAIL, REVIEW, FAIL), False, False),  # a good part rejected
    ],
)
def test_anything_else_fails(decisions: tuple[Decision, ...], escape: bool, through: bool) -> None:
    machine = challenge()
    assert run_through(machine, *decisions)[-1] is through
    assert machine.state is ChallengeState.FAILED
    assert machine.why_off is (OfflineReason.CHALLENGE_FAILED if escape else None)
    assert machine.warnings[WarningCode.CHALLENGE_FAILED]


def test_only_maintenance_ends_a_failure() -> None:
    machine = challenge(stops=True)
    run_through(machine, PASS)
    assert "must reset it" in machine.start("plc")
    machine.mode(True)
    machine.tick(NOON + 1e6)
    machine.configured(ChallengeSettings(), recipe_changed=True)
    assert machine.why_off is OfflineReason.CHALLENGE_FAILED
    assert "must be given" in machine.reset(" ", "")
    assert machine.reset("berta", "lamp exchanged") == ""
    assert not machine.failed
    assert machine.reset("berta", "") == "no challenge test has failed"
    run = machine.news()[-1]
    assert (run.reset_by, run.reset_why) == ("berta", "lamp exchanged")


def test_after_a_reset_a_test_is_due_at_once_and_may_be_made() -> None:
    machine = challenge(stops=True, grace_s=0.0)
    run_through(machine, AREA)
    machine.reset("berta", "")
    assert machine.state is ChallengeState.DUE
    assert machine.why_off is OfflineReason.CHALLENGE_OVERDUE
    assert run_through(machine, *RIGHT)[-1]
    assert (machine.state, machine.why_off) == (ChallengeState.PASSED, None)


def test_a_master_part_whose_test_is_over_is_not_let_through() -> None:
    machine = challenge()
    machine.start("anna")
    machine.drained()
    machine.reset("berta", "wrong parts")
    assert not machine.part_closed(1, 5, PASS)
    assert machine.news()[-1].verdict is RunVerdict.ABORTED


def test_a_test_that_takes_too_long_ends_without_a_verdict() -> None:
    machine = challenge(timeout_s=60.0)
    run_through(machine, FAIL)
    machine.tick(NOON + 59)
    assert machine.state is ChallengeState.RUNNING
    machine.tick(NOON + 60)
    assert machine.state is ChallengeState.PASSED  # the one before still stands
    assert machine.news()[-1].detail == "not done after 1 min"


def test_parts_before_a_test_finish_first() -> None:
    machine = challenge()
    machine.start("anna")
    assert machine.waits
    assert machine.takes_masters == 0
    assert "no challenge test waits" in machine.confirm()  # parts of production are still on their way
    assert machine.part_closed(0, 7, PASS)  # production of before
    machine.drained()
    machine.confirm()
    assert not machine.waits
    assert machine.takes_masters == 1


def test_a_confirmation_is_for_one_part() -> None:
    machine = challenge()
    machine.start("anna")
    machine.drained()
    for result in (LOST, FAIL):  # the first without a frame: it is put on, and confirmed, again
        machine.confirm()
        assert "no challenge test waits" in machine.confirm()
        machine.part_closed(machine.takes_masters, 1, result)  # opened and closed in one turn
        assert (machine.takes_masters, machine.waits) == (0, True)
    machine.confirm()
    machine.master_came()
    assert machine.takes_masters == 0, "the part behind a master part is of production"


def test_part_ids_tell_master_parts_on_a_line_that_goes_on() -> None:
    machine = challenge(part_ids=range(9000, 9100))
    machine.start("anna")
    assert (machine.waits, machine.takes_masters) == (False, 1)
    machine.mode(True)
    machine.mode(False)
    assert (machine.waits, machine.takes_masters, machine.awaits_confirmation) == (False, 1, False)
    for index, decision in enumerate(RIGHT):
        assert machine.part_closed(0, index, PASS)  # production between the master parts
        machine.part_closed(1, index, decision)
    assert machine.state is ChallengeState.PASSED
    machine.mode(True)  # starts another one, marks nothing
    assert (machine.state, machine.waits) == (ChallengeState.RUNNING, False)


def test_challenge_mode_marks_the_parts_of_a_test_that_a_person_started() -> None:
    machine = challenge()
    machine.start("anna")
    machine.drained()
    machine.mode(True)
    assert (machine.waits, machine.takes_masters) == (False, 1)
    machine.mode(False)
    assert (machine.waits, machine.takes_masters) == (True, 0)


def test_challenge_mode_says_which_parts_are_master_parts() -> None:
    machine = challenge()
    machine.mode(True)
    machine.drained()
    assert machine.takes_masters == 1
    machine.mode(False)
    assert (machine.takes_masters, machine.waits) == (0, False)  # production goes on between two master parts
    machine.mode(True)
    assert machine.waits
    machine.drained()
    for index, decision in enumerate(RIGHT):
        machine.part_closed(1, index, decision)
    assert machine.state is ChallengeState.PASSED
    assert machine.waits, "ChallengeMode is still 1: what comes now is neither a test nor production"
    machine.mode(False)
    assert not machine.waits


def test_another_recipe_ends_a_test() -> None:
    machine = challenge(on_recipe_change=True)
    run_through(machine, FAIL)
    machine.tick(NOON + 1)
    machine.configured(ChallengeSettings(parts=PARTS, on_recipe_change=True), recipe_changed=True)
    assert machine.state is ChallengeState.DUE
    assert machine.news()[-1].verdict is RunVerdict.ABORTED


def test_a_part_of_a_test_that_is_over_counts_in_no_other() -> None:
    machine = challenge()
    run_through(machine)
    machine.confirm()
    first = machine.takes_masters
    machine.reset("anna", "wrong part")
    run_through(machine)
    machine.confirm()
    assert machine.takes_masters == first + 1
    assert not machine.part_closed(first, 1, FAIL), "as the first part of the new test should be"
    assert machine.step == 1


def test_a_recipe_that_was_tested_since_its_change_is_due_no_longer() -> None:
    machine = challenge(on_recipe_change=True)
    machine.tick(NOON + 1)
    machine.configured(ChallengeSettings(parts=PARTS, on_recipe_change=True), recipe_changed=True)
    assert machine.due_since_s == NOON + 1
    machine.tick(NOON + 2)
    run_through(machine, *RIGHT)
    assert (machine.state, machine.due_since_s) == (ChallengeState.PASSED, None)


@pytest.mark.parametrize(("back_s", "state"), [(59, ChallengeState.RUNNING), (61, ChallengeState.PASSED)])
def test_a_clock_that_is_set_back_ends_a_test(back_s: int, state: ChallengeState) -> None:
    """Else it would run until the clock has caught up."""
    machine = challenge()
    machine.start("anna")
    machine.tick(NOON - back_s)
    assert machine.state is state


def test_other_master_parts_end_a_test() -> None:
    machine = challenge()
    run_through(machine, FAIL)
    machine.configured(ChallengeSettings(parts=PARTS[:2]), recipe_changed=False)
    assert machine.news()[-1].verdict is RunVerdict.ABORTED


def test_challenge_mode_holds_up_nothing_where_ids_tell_master_parts_from_production() -> None:
    machine = challenge(part_ids=range(9000, 9010))
    machine.mode(True)
    for index, decision in enumerate(RIGHT):
        assert (machine.takes_masters, machine.waits) == (1, False)
        machine.part_closed(1, index, decision)
    assert machine.state is ChallengeState.PASSED
    assert not machine.waits, "ChallengeMode is still 1, and what comes now has an id of production"


def test_a_test_that_passed_begins_the_count_of_parts_anew() -> None:
    machine = challenge(every_parts=2)
    states = []
    for _ in range(2):
        for number in range(2):
            machine.part_closed(0, number, PASS)
            states.append(machine.state)
        run_through(machine, *RIGHT)
        states.append(machine.state)
    assert states == [ChallengeState.PASSED, ChallengeState.DUE, ChallengeState.PASSED] * 2


# ---- when a test is due ---------------------------------------------------------------------------------------------


def test_due_by_time() -> None:
    machine = challenge(every_s=3600.0, grace_s=60.0, stops=True)
    machine.tick(NOON + 3599)
    assert machine.state is ChallengeState.PASSED
    machine.tick(NOON + 3600)
    assert (machine.state, machine.overdue, machine.why_off) == (ChallengeState.DUE, False, None)
    machine.tick(NOON + 3660)
    assert machine.why_off is OfflineReason.CHALLENGE_OVERDUE
    machine.start("anna")
    assert machine.why_off is None  # or nobody could make the test


def test_due_by_shift() -> None:
    machine = challenge(shifts=(time(6), time(14)))
    for at, state in (("13:59", ChallengeState.PASSED), ("14:00", ChallengeState.DUE)):
        machine.tick(datetime.fromisoformat(f"2026-03-02T{at}+00:00").timestamp())
        assert machine.state is state
    next_day = challenge(shifts=(time(6), time(14)), memory=Memory(passed_s=NOON + 3 * 3600))
    next_day.tick(datetime.fromisoformat("2026-03-03T05:59+00:00").timestamp())
    assert next_day.state is ChallengeState.PASSED
    next_day.tick(datetime.fromisoformat("2026-03-03T06:00+00:00").timestamp())
    assert next_day.state is ChallengeState.DUE


def test_due_by_parts_of_production_only() -> None:
    machine = challenge(every_parts=5, memory=Memory(passed_s=NOON, parts_since=3))
    machine.part_closed(0, 1, PASS)
    machine.part_closed(3, 2, FAIL)  # of a test
    assert machine.state is ChallengeState.PASSED
    machine.part_closed(0, 3, FAIL)
    assert machine.state is ChallengeState.DUE
    assert not machine.overdue


@pytest.mark.parametrize("memory", [Memory(), Memory(passed_s=NOON + 7200), ABORTED])
def test_what_is_not_known_is_due(memory: Memory) -> None:
    machine = challenge(memory=memory, every_s=3600.0, stops=True)
    assert machine.overdue
    assert machine.why_off is OfflineReason.CHALLENGE_OVERDUE


def test_without_parts_nothing_is_due() -> None:
    machine = Challenge(ChallengeSettings(every_s=1.0), Memory(), NOON)
    assert machine.state is ChallengeState.NONE
    assert machine.why_off is None
    assert "no challenge test" in machine.start("plc")
    machine.mode(True)
    assert not machine.waits


# ---- at random ------------------------------------------------------------------------------------------------------


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


def test_a_test_that_challenge_mode_has_paused_before_it_began_keeps_no_part_away() -> None:
    machine = challenge()
    machine.mode(True)
    assert machine.waits
    machine.mode(False)
    assert not machine.waits
    assert machine.takes_masters == 0


def test_its_repr_names_the_state_and_the_part_that_comes_next() -> None:
    machine = challenge()
    assert repr(machine) == "<Challenge PASSED>"
    run_through(machine, FAIL)
    assert repr(machine) == "<Challenge RUNNING, part 2: haze>"
