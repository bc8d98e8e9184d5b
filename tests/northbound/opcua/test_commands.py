"""A client that is not ours commands: every transition that a method causes, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from station.codes import OfflineReason
from station.northbound.opcua.states import EFFECTS, State, path
from tests.bench.waiting import wait_for
from tests.northbound.opcua.client import STATE_FIELDS, Client, client, papers
from tests.northbound.opcua.system import PASSWORD, Bench

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

MACHINE = "VisionStateMachine"
MODE = f"{MACHINE}/AutomaticModeStateMachine"
CAUSE: list[list[Any]] = [["Int32", 7], ["String", "shift ends"]]
START: list[list[Any]] = [
    ["3015", {"Id": ""}], ["3004", {"Id": ""}], ["3002", {"Id": ""}], ["3003", {"Id": ""}], ["Variant", []],
]  # fmt: skip
RECIPE: list[list[Any]] = [["3002", {"Id": "bolt"}], ["3013", {"Id": ""}]]
METHODS: dict[str, tuple[str, list[list[Any]]]] = {
    "Halt": (MACHINE, CAUSE),
    "Reset": (MACHINE, CAUSE),
    "SelectModeAutomatic": (MACHINE, []),
    "PrepareRecipe": ("RecipeManagement", RECIPE),
    "UnprepareRecipe": ("RecipeManagement", RECIPE),
    "StartSingleJob": (MODE, START),
    "StartContinuous": (MODE, START),
    "Stop": (MODE, CAUSE),
    "Abort": (MODE, CAUSE),
}
TO: dict[State, list[str]] = {
    State.HALTED: ["Halt"],
    State.PREOPERATIONAL: ["Reset"],
    State.INITIALIZED: ["Reset", "SelectModeAutomatic"],
    State.READY: ["Reset", "SelectModeAutomatic", "PrepareRecipe"],
    State.CONTINUOUS_EXECUTION: ["Reset", "SelectModeAutomatic", "PrepareRecipe", "StartContinuous"],
}
"""How a client gets there from anywhere but Halted into Halted."""


@pytest.fixture(scope="module")
def plant(modules: Path, station: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("client")
    mine = papers(folder)
    station.trust(mine.der)
    with client(modules, folder) as opened:
        opened.connect(station.port, mine, user="anna", password=PASSWORD)
        opened.ask("subscribe", fields=STATE_FIELDS)
        yield opened


def called(plant: Client, method: str) -> tuple[str, list[Any]]:
    place, arguments = METHODS[method]
    return plant.call(f"{place}/{method}", *arguments)


def came(plant: Client, transition: str, before: int) -> bool:
    return transition in [event["Transition"] for event in plant.events[before:]]


def brought(station: Bench, plant: Client, state: State) -> None:
    """Into this state, by methods alone; into Error by the station."""
    station.daemon.condition.clear_fault()
    if state is State.ERROR:
        station.daemon.fault()
    else:
        for method in TO[state] if station.vision.state is not state else []:
            assert called(plant, method)[0] == "Good"
    station.look()
    assert station.vision.state is state


@pytest.mark.parametrize("state", [one for one in State if one is not State.SINGLE_EXECUTION])
def test_every_method_in_every_state(station: Bench, plant: Client, state: State) -> None:
    for method in METHODS:
        brought(station, plant, state)
        effect = EFFECTS[method].get(state)
        before = len(plant.events)
        status, outputs = called(plant, method)
        if effect is None:
            assert status == "BadInvalidState", (method, state)
            assert station.vision.state is state
            continue
        assert status == "Good"
        error = outputs[-1]
        assert error == 0, (method, state, outputs)
        assert station.vision.state is effect.after
        top = "Operational" if effect.after.is_operational else effect.after.value
        assert plant.read(f"{MACHINE}/CurrentState") == [top]
        if effect.after.is_operational:
            assert plant.read(f"{MODE}/CurrentState") == [effect.after.value]
        for one in path(state, effect.after, method):
            machine = MODE if one.of_mode else MACHINE
            assert plant.read(f"{machine}/LastTransition", f"{machine}/LastTransition/Number") == [one.name, one.number]
            wait_for(partial(came, plant, one.name, before), one.name)


def test_the_station_is_asked_in_the_name_of_the_person(station: Bench, plant: Client) -> None:
    brought(station, plant, State.READY)
    station.daemon.asked.clear()
    assert called(plant, "StartContinuous")[1][0] == {"Id": "s1"}, "the job is the run of the station"
    assert called(plant, "Stop")[0] == "Good"
    assert called(plant, "PrepareRecipe")[1][0]["Id"] == "bolt"
    assert station.daemon.asked == [("online", "anna"), ("offline", "anna"), ("recipe", "anna")]
    station.daemon.refuses = "no such recipe"
    assert called(plant, "PrepareRecipe")[1][-1] == -1
    station.daemon.refuses = ""
    status, found = plant.call("RecipeManagement/PrepareRecipe", ["3002", {"Id": "a"}], ["3013", {"Id": "b"}])
    assert (status, found[-1]) == ("Good", -1), "two recipes at once"
    assert plant.call(f"{MODE}/Stop")[0] == "BadArgumentsMissing"


def test_what_else_keeps_the_station_off_line_no_client_ends(station: Bench, plant: Client) -> None:
    brought(station, plant, State.CONTINUOUS_EXECUTION)
    station.daemon.condition.engine_is(False)
    station.look()
    assert plant.read(f"{MACHINE}/CurrentState") == ["Preoperational"]
    status, found = called(plant, "SelectModeAutomatic")
    assert (status, found) == ("Good", [-100 - OfflineReason.NO_ENGINE])
    station.daemon.condition.engine_is(True)
    station.daemon.enabled = False
    station.look()
    assert plant.read(f"{MODE}/CurrentState") == ["Ready"]
    assert called(plant, "StartContinuous")[1][-1] == -100 - OfflineReason.BY_PLC, "TriggerEnable is the PLC's"
    station.daemon.enabled = True
    station.daemon.silent = True
    assert called(plant, "Halt")[0] == "BadNoCommunication"
    station.daemon.silent = False
    station.look()


def test_a_person_at_the_line_ends_the_hold_of_a_client(station: Bench, plant: Client) -> None:
    brought(station, plant, State.INITIALIZED)
    station.daemon.condition.set_online(True, OfflineReason.BY_OPERATOR)
    station.look()
    assert station.vision.state is State.CONTINUOUS_EXECUTION
    station.daemon.condition.set_online(False, OfflineReason.BY_OPERATOR)
    station.look()
    assert station.vision.state is State.HALTED, "by a person now"
    brought(station, plant, State.CONTINUOUS_EXECUTION)


def test_a_plc_in_control_keeps_clients_out(station: Bench, plant: Client) -> None:
    brought(station, plant, State.CONTINUOUS_EXECUTION)
    station.vision._has_plc = True
    try:
        station.daemon.asked.clear()
        assert {called(plant, method)[0] for method in METHODS} == {"BadLocked"}
        assert station.daemon.asked == []
    finally:
        station.vision._has_plc = False


@pytest.mark.parametrize("user", ["vera", ""])
def test_who_may_not_is_refused(station: Bench, plant: Client, modules: Path, tmp_path: Path, user: str) -> None:
    brought(station, plant, State.CONTINUOUS_EXECUTION)
    mine = papers(tmp_path, f"urn:plant:{user or 'nobody'}")
    station.trust(mine.der, user or "nobody")
    with client(modules, tmp_path) as other:
        other.connect(station.port, mine, **({"user": user, "password": PASSWORD} if user else {}))
        station.daemon.asked.clear()
        found = {called(other, method)[0] for method in ("Halt", "Stop", "Reset")}
        assert found == {"BadUserAccessDenied"}
        assert station.daemon.asked == []
