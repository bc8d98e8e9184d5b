"""The challenge test as a machine: its rules, one by one."""

from __future__ import annotations

from datetime import datetime, time

import pytest

from station.codes import OfflineReason, WarningCode
from station.line.challenge.machine import Challenge, ChallengeSettings, ChallengeState
from station.records.challenge_runs import Memory, RunVerdict
from station.results import Decision
from tests.line.challenge.challenge_bench import (
    ABORTED,
    AREA,
    FAIL,
    LOST,
    NOON,
    PARTS,
    PASS,
    REVIEW,
    RIGHT,
    challenge,
    run_through,
)

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
