"""The books of a run: balanced ones have no problem, and each way of not balancing is named."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from station.simulation.accounts.books import Books, settle
from station.simulation.parts.schedule import ScheduledPart
from station.simulation.plant.plc import ID_NOT_ACKNOWLEDGED
from station.simulation.plant.plc_signals import TriggerMode
from station.simulation.run.processes import LineState

PARTS = (ScheduledPart(1, "inspect", "good"), ScheduledPart(2, "inspect", "dent"), ScheduledPart(3, "inspect", "good"))
COUNTED = {"triggers": 3, "pass": 1, "fail": 1, "review": 0, "error": 1, "missed": 0}


def judged(result: str, *, passed: bool) -> dict[str, Any]:
    why = "" if passed else result
    return {"result": result, "passed": passed, "why": why, "at_barrier_s": 1.0, "id_given": True}


def line(**changes: Any) -> LineState:
    """Part 1 passes, part 2 fails, part 3 is an error."""
    state = LineState(
        triggers=3,
        results_read={"PASS": 1, "FAIL": 1, "ERROR": 1},
        ends={1: {"bin": "good"}, 2: {"bin": "reject"}, 3: {"bin": "reject"}},
        judgements={1: judged("PASS", passed=True), 2: judged("FAIL", passed=False), 3: judged("ERROR", passed=False)},
    )
    for name, value in changes.items():
        setattr(state, name, value)
    return state


def late_ids(count: int) -> dict[str, Any]:
    """The last parts were at the barrier before the PLC had an acknowledgement of their ids."""
    judgements = {
        part.serial: judged("PASS" if part.serial == 1 else "ERROR", passed=part.serial == 1) for part in PARTS
    }
    for serial in range(4 - count, 4):
        judgements[serial]["why"] = ID_NOT_ACKNOWLEDGED
    return {"judgements": judgements}


def books(state: LineState | None = None, trigger: TriggerMode = TriggerMode.LINE, **counted: int) -> Books:
    return settle(PARTS, state or line(), COUNTED | counted, trigger)


def test_balanced_books() -> None:
    made = books()
    assert made.problems == ()
    assert (made.good_bin, made.reject_bin) == (1, 2)
    assert made.line == {"triggers": 3, "pass": 1, "fail": 1, "review": 0, "error": 1}
    assert made.good_parts_rejected == {"ERROR": 1}


@pytest.mark.parametrize(
    ("changes", "counted", "problem"),
    [
        ({"ends": {1: {"bin": "good"}, 2: {"bin": "good"}, 3: {"bin": "reject"}}}, {}, "bad parts in the good bin: 2"),
        ({"ends": {1: {"bin": "good"}, 2: {"bin": "good"}, 3: {"bin": "reject"}}}, {}, "without a PASS: 2"),
        ({"ends": {n: {"bin": "reject"} for n in (1, 2, 3)}}, {}, "although their PASS was taken: 1"),
        ({"ends": {1: {"bin": "good"}, 2: {"bin": "reject"}}}, {}, "never left the belt: 3"),
        ({"unexposed": [2, 3]}, {}, "taken too late (this machine is too slow or too busy): 2"),
        ({"misfires": 2}, {}, "fired 2 times with no part"),
        ({}, {"pass": 2}, "does not balance: 3 triggers, 4 verdicts"),
        ({}, {"pass": 0, "triggers": 2}, "the PLC read 1 results pass, the station counted 0"),
        ({"triggers": 4}, {}, "triggered 4 times, the station accounts for 3"),
        ({}, {"missed": 1}, "triggered 3 times, the station accounts for 4"),
        ({"triggers": 4, "faults": Counter({"late-ack": 1})}, {}, "triggered 4 times, the station accounts for 3"),
        ({"faults": Counter({"wrong-part-id": 1})}, {"missed": 1}, "triggered 3 times, the station accounts for 4"),
        (late_ids(1), {"missed": 2}, "triggered 3 times, the station accounts for 5"),
    ],
)
def test_what_must_not_be_is_named(changes: dict[str, Any], counted: dict[str, Any], problem: str) -> None:
    assert any(problem in text for text in books(line(**changes), **counted).problems)


@pytest.mark.parametrize(
    ("state", "counted", "trigger"),
    [
        (line(triggers=4), {"missed": 1}, TriggerMode.LINE),
        (line(triggers=6, unseen=[1, 1], camera_missed=1), {}, TriggerMode.LINE),
        (line(**late_ids(1)), {"missed": 1}, TriggerMode.LINE),
        (line(triggers=0), {}, TriggerMode.PLC),
        (line(results_read={"FAIL": 1}), {}, TriggerMode.LINE),
    ],
)
def test_what_may_be(state: LineState, counted: dict[str, int], trigger: TriggerMode) -> None:
    assert books(state, trigger, **counted).problems == ()
