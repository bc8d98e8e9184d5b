"""The vision state machine as a table: every way is one of the specification, and what is not allowed is refused."""

from __future__ import annotations

import itertools

import pytest

from drivers.opcua.vision_machines import AUTOMATIC_MODE, STATE_MACHINE
from station.codes import OfflineReason
from station.northbound.opcua.states import (
    EFFECTS,
    OF_REASON,
    OPERATIONAL,
    TAKEN,
    TRANSITIONS,
    Refusal,
    Seen,
    State,
    asked,
    path,
    seen_of,
    state_of,
    still_held,
)

REACHED = [state for state in State if state is not State.SINGLE_EXECUTION]
"""A station starts no single job."""
HALTED_BY_PERSON = Seen(OfflineReason.BY_OPERATOR, has_plc=False)


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(REACHED, 2)))
def test_every_change_of_a_station_is_a_way_of_the_specification(source: State, target: State) -> None:
    way = path(source, target)
    assert way, "a state that cannot be reached would never be shown"
    assert all(not one.cause for one in way), "nobody has called a method"
    at = source
    for place, one in enumerate(way):
        after = target if place == len(way) - 1 else State(one.target)
        assert one.leads(at, after)
        at = after
    between = [State(one.target) for one in way[:-1]]
    assert not {State.ERROR, State.HALTED, State.CONTINUOUS_EXECUTION} & set(between), "it was never there"


def test_a_station_that_stays_takes_no_transition() -> None:
    assert [path(state, state) for state in State] == [()] * len(State)


@pytest.mark.parametrize("method", list(EFFECTS))
@pytest.mark.parametrize("state", list(State))
def test_a_method_goes_the_way_it_causes_or_is_refused(method: str, state: State) -> None:
    """All methods in all states, against the transitions of the specification."""
    caused = [one for one in TRANSITIONS if one.cause == method and one.source in {state.value, top_of(state)}]
    effect = EFFECTS[method].get(state)
    if effect is None:
        assert not caused or state is State.SINGLE_EXECUTION or method == "StartSingleJob", "the specification has it"
        return
    way = path(state, effect.after, method)
    if way:
        assert way[0] in caused
        assert len(way) == 1
    else:  # Reset is always executable; a recipe is prepared once more
        assert (method, state) in {("Reset", State.PREOPERATIONAL), ("PrepareRecipe", State.READY)}


def top_of(state: State) -> str:
    return "Operational" if state in OPERATIONAL else state.value


def test_what_the_specification_has_and_a_station_takes() -> None:
    in_tables = len(STATE_MACHINE.of("Transition")) + len(AUTOMATIC_MODE.of("Transition"))
    assert len(TRANSITIONS) == in_tables == 35
    assert len({one.number for one in TRANSITIONS}) == 35
    used = {one for pair in itertools.permutations(REACHED, 2) for one in path(*pair)}
    used |= {
        one
        for method, effects in EFFECTS.items()
        for state, effect in effects.items()
        for one in path(state, effect.after, method)
    }
    assert {one.name for one in TAKEN} - {one.name for one in used} == set()


def test_every_reason_has_its_state() -> None:
    assert set(OF_REASON) == set(OfflineReason)
    assert state_of(Seen(OfflineReason.NONE, enabled=True), None) is State.CONTINUOUS_EXECUTION
    assert state_of(Seen(OfflineReason.NONE), None) is State.READY
    assert state_of(Seen(OfflineReason.FAULT), State.READY) is State.ERROR, "a fault is never hidden by a client"
    assert state_of(Seen(None), State.READY) is State.HALTED
    assert state_of(Seen(OfflineReason.NONE, enabled=True, is_stopping=True), None) is State.HALTED


@pytest.mark.parametrize("held", [State.READY, State.INITIALIZED, State.PREOPERATIONAL, State.HALTED])
def test_a_client_holds_a_station_until_somebody_sets_it_on_line(held: State) -> None:
    assert state_of(HALTED_BY_PERSON, held) is held
    assert still_held(Seen(OfflineReason.NONE), held) is None
    assert still_held(Seen(OfflineReason.STARTING), held) is None, "a daemon that was started anew is not held"
    assert still_held(Seen(OfflineReason.FAULT), held) is held


@pytest.mark.parametrize("allowed", ["none", "recipe", "all"])
@pytest.mark.parametrize("method", list(EFFECTS))
def test_commands_are_off_by_default_and_refused_while_the_plc_holds_control(allowed: str, method: str) -> None:
    may = allowed == "all" or (allowed == "recipe" and method == "PrepareRecipe")
    for seen in (Seen(OfflineReason.NONE, enabled=True), Seen(OfflineReason.BY_PLC)):
        assert asked(method, seen, None, allowed=allowed) is (Refusal.LOCKED if may else Refusal.OFF)
    silent = asked(method, Seen(None, has_plc=False), None, allowed=allowed)
    assert silent is (Refusal.SILENT if may else Refusal.OFF)


def test_what_a_daemon_says_is_read_with_care() -> None:
    assert seen_of(None, has_plc=True) == Seen(None)
    known = {"offline_code": 0, "trigger_enable": True, "state": "continuous_execution"}
    assert seen_of(known, has_plc=True) == Seen(OfflineReason.NONE, enabled=True)
    assert state_of(seen_of({"offline_code": 99}, has_plc=True), None) is State.PREOPERATIONAL
    assert state_of(seen_of({}, has_plc=True), None) is State.PREOPERATIONAL
    assert state_of(seen_of({"offline_code": 0, "state": "halted"}, has_plc=True), None) is State.HALTED
