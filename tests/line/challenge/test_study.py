"""A trial of an agreement study: guided like a challenge test, and neither passed nor failed as one."""

from __future__ import annotations

import pytest

from station.control import ControlError
from station.line.challenge.machine import ChallengeState
from station.line.challenge.messages import StartStudy
from station.records.challenge_runs import MasterPart, Run, RunVerdict
from station.results import Decision, Verdict
from tests.line.challenge.challenge_bench import FAIL, LOST, NOON, PASS, PASSED, REVIEW, challenge, run_through

STUDY = (MasterPart("17", Verdict.PASS), MasterPart("18", Verdict.FAIL), MasterPart("19", Verdict.FAIL))


def shown(*decisions: Decision) -> tuple[list[bool], Run]:
    machine = challenge()
    assert machine.start_study("anna", "s", STUDY) == ""
    machine.drained()
    may_pass = []
    for index, decision in enumerate(decisions):
        assert (machine.awaits_confirmation, machine.takes_masters) == (True, 0)
        assert machine.confirm() == ""
        number = machine.takes_masters
        machine.master_came()
        may_pass.append(machine.part_closed(number, index, decision))
    run = machine.last
    assert run is not None
    return may_pass, run


def test_whatever_the_station_says_counts_and_fails_nothing() -> None:
    may_pass, run = shown(FAIL, PASS, REVIEW)
    assert (run.verdict, run.done, run.study) == (RunVerdict.PASSED, 3, "s")
    assert [step.verdict for step in run.steps] == [Verdict.FAIL, Verdict.PASS, Verdict.REVIEW]
    assert may_pass == [False, False, False]  # the defective part that passed is not let through


def test_a_part_that_was_not_inspected_is_shown_again() -> None:
    _, run = shown(LOST, PASS, LOST)
    assert (run.verdict, run.done, run.parts[run.done].name) == (RunVerdict.RUNNING, 1, "18")


def test_a_trial_is_no_challenge_test_that_was_passed() -> None:
    machine = challenge(every_s=60.0)
    assert machine.start_study("anna", "s", STUDY) == ""
    machine.drained()
    for index, decision in enumerate((PASS, FAIL, FAIL)):
        machine.confirm()
        machine.part_closed(machine.takes_masters, index, decision)
    machine.tick(NOON + 61.0)
    assert machine.state is ChallengeState.DUE


def test_a_challenge_test_comes_first() -> None:
    machine = challenge(every_s=60.0)
    machine.tick(NOON + 61.0)
    assert "comes first" in machine.start_study("anna", "s", STUDY)
    machine = challenge()
    run_through(machine, PASS)
    assert "comes first" in machine.start_study("anna", "s", STUDY)
    assert machine.reset("otto", "lamp") == ""
    assert "comes first" in machine.start_study("anna", "s", STUDY)


def test_a_station_without_master_parts_may_study() -> None:
    machine = challenge()
    machine.configured(type(machine._settings)(), recipe_changed=False)
    assert machine.start_study("anna", "s", STUDY) == ""
    assert "under way" in machine.start_study("anna", "s", STUDY)


def test_time_runs_from_the_last_part() -> None:
    machine = challenge(memory=PASSED, timeout_s=100.0)
    assert machine.start_study("anna", "s", STUDY) == ""
    machine.drained()
    machine.tick(NOON + 90.0)
    machine.confirm()
    machine.part_closed(machine.takes_masters, 1, PASS)
    machine.tick(NOON + 180.0)
    assert machine.state is ChallengeState.RUNNING
    machine.tick(NOON + 191.0)
    assert machine.last is not None
    assert machine.last.verdict is RunVerdict.ABORTED


@pytest.mark.parametrize(
    "request_",
    [
        {"parts": [["17", True]]},
        {"study": "s", "parts": []},
        {"study": "s", "parts": [["17"]]},
        {"study": "s", "parts": [["17", 1]]},
        {"study": "s", "parts": [["\x1b", True]]},
        {"study": "s" * 100, "parts": [["17", True]]},
        {"study": "s", "parts": [["17", True]] * 501},
    ],
)
def test_what_is_asked_is_checked(request_: dict[str, object]) -> None:
    with pytest.raises(ControlError):
        StartStudy.of(request_, "anna")
