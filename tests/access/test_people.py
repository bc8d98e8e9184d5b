"""The daemon looks at the roles of the person for whom the pages ask, whatever the pages have looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from station.access import people, rights
from station.access.accounts import PEOPLE_ROLES
from station.access.people import ON_BEHALF, OnBehalf, on_behalf_of
from station.access.roles import Caller, Role, RoleGroups
from station.control import ControlError, request
from station.daemon.control_server import ControlServer, _Server
from station.hmi.rights import ROLES, Right
from station.northbound.opcua.states import EFFECTS, RECIPE_METHODS
from tests.bench.waiting import wait_for

PAGES_SAY = {
    "online": Right.OPERATE,
    "offline": Right.OPERATE,
    "recipe": Right.OPERATE,
    "batch": Right.OPERATE,
    "challenge": Right.OPERATE,
    "clear": Right.CLEAR,
    "settings": Right.SETUP,
    "trigger": Right.SETUP_TRY,
    "points": Right.SETUP_LOOK,
    "teach": Right.MAINTAIN,
    "refresh": Right.MAINTAIN,
    "engine": Right.ENGINES_ACTIVATE,
    "shadow": Right.MAINTAIN,
    "second": Right.ENGINES_LOOK,
    "quarantine": Right.OVERRULE,
}


@pytest.mark.parametrize("role", PEOPLE_ROLES)
@pytest.mark.parametrize("command", PAGES_SAY)
def test_daemon_and_pages_allow_the_same(command: str, role: str) -> None:
    assert OnBehalf("anna", (role,)).may({"command": command}) == (PAGES_SAY[command] in ROLES[role])


def test_every_command_of_the_socket_is_in_the_table_of_people() -> None:
    assert set(people.COMMANDS) == set(rights.COMMANDS)
    assert not OnBehalf("anna", PEOPLE_ROLES).may({"command": "dance"})
    assert not OnBehalf("anna", ("operator",)).may({"command": "challenge", "action": "reset"})
    assert OnBehalf("anna", ("operator", "maintenance")).may({"command": "challenge", "action": "reset"})


@pytest.mark.parametrize(
    "given",
    [
        5,
        {},
        {"name": "", "roles": []},
        {"name": "a\nb", "roles": []},
        {"name": "a", "roles": "x"},
        {"name": "x" * 65, "roles": []},
    ],
)
def test_what_is_no_person_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="on_behalf: a name"):
        on_behalf_of({ON_BEHALF: given})


def test_a_remote_client_is_on_record_beside_the_name() -> None:
    person = on_behalf_of({ON_BEHALF: {"name": "anna", "roles": ["operator"], "client": "OPC UA 10.0.7.9"}})
    assert person is not None
    assert (person.name, person.on_record) == ("anna", "anna (OPC UA 10.0.7.9)")
    for wrong in (5, "a\nb", "x" * 65):
        with pytest.raises(ValueError, match="client is a text"):
            on_behalf_of({ON_BEHALF: {"name": "anna", "roles": [], "client": wrong}})


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[list[Any]]:
    got: list[Any] = []

    def clear(message: Mapping[str, Any]) -> dict[str, Any]:
        got.append(message["user"])
        return {}

    server = ControlServer(tmp_path / "sock", {"clear": clear}, refused=got.append)
    server.start()
    yield got
    server.close()


def test_the_person_is_who_asked_and_a_refusal_is_reported(tmp_path: Path, asked: list[Any]) -> None:
    behalf = {"name": "anna", "roles": ["maintenance"]}
    request(tmp_path / "sock", {"command": "clear", ON_BEHALF: behalf})
    assert asked == ["anna"]
    with pytest.raises(ControlError, match='"clear" is not allowed to ben \\(viewer\\); nothing was changed'):
        request(tmp_path / "sock", {"command": "clear", ON_BEHALF: {"name": "ben", "roles": ["viewer"]}})
    wait_for(lambda: len(asked) == 2, "the report of the refusal")
    assert "not allowed to ben" in asked[1]


def test_who_is_not_the_station_asks_for_nobody_else(tmp_path: Path) -> None:
    server = object.__new__(_Server)
    server.handlers = {"status": lambda _: {}}
    server._refused = lambda _: None
    line = b'{"command": "status", "on_behalf": {"name": "anna", "roles": ["admin"]}}'
    stranger = server.answer(line, Caller("eve", Role.MAINTAIN))
    assert (stranger["ok"], "only the pages" in stranger["error"]) == (False, True)
    assert server.answer(line, Caller("station", Role.MAINTAIN, is_station=True))["ok"]


def test_the_user_of_the_pages_looks_by_himself_and_asks_all_else_for_a_person() -> None:
    server = object.__new__(_Server)
    heard: list[Any] = []

    def hear(asked: Mapping[str, Any]) -> dict[str, Any]:
        heard.append(asked["asker"])
        return {}

    server.handlers = dict.fromkeys(("status", "offline"), hear)
    server.groups, server._refused = RoleGroups(), heard.append
    pages = Caller("station-hmi", Role.LOOK, is_pages=True)
    assert server.answer(b'{"command": "status"}', pages)["ok"]
    assert heard[-1].via == ""
    assert "needs the role operate" in server.answer(b'{"command": "offline"}', pages)["error"]
    line = b'{"command": "offline", "on_behalf": {"name": "anna", "roles": ["%s"]}}'
    assert server.answer(line % b"operator", pages)["ok"]
    assert (heard[-1].name, heard[-1].via) == ("anna", "pages")
    assert "is not allowed to anna" in server.answer(line % b"viewer", pages)["error"]
    nobody = server.answer(b'{"command": "offline", "on_behalf": null}', pages)
    assert "needs the role operate" in nobody["error"], "a person who is not there is none"


PLANT = Caller("station-plant", Role.LOOK, is_plant=True)
FOR_ANNA = {"name": "anna", "roles": list(PEOPLE_ROLES), "client": "OPC UA 10.0.7.9"}


def plant_asks(commands: str, **request: Any) -> tuple[str, list[Any], list[str]]:
    """The error (empty: it was done), who goes on record, and what was refused."""
    server = object.__new__(_Server)
    done: list[Any] = []
    refused: list[str] = []

    def hear(asked: Mapping[str, Any]) -> dict[str, Any]:
        done.append((asked["user"], asked["asker"].via))
        return {}

    server.handlers = dict.fromkeys(rights.COMMANDS, hear)
    server.groups, server._refused = RoleGroups(plant_commands=rights.OF_PLANT[commands]), refused.append
    return str(server.answer(json.dumps(request).encode(), PLANT).get("error", "")), done, refused


@pytest.mark.parametrize("command", rights.COMMANDS)
@pytest.mark.parametrize("commands", rights.OF_PLANT)
def test_the_plant_process_may_what_opcua_commands_says_and_nothing_else(commands: str, command: str) -> None:
    """Whatever roles it claims."""
    error, done, refused = plant_asks(commands, command=command, on_behalf=FOR_ANNA)
    if command in rights.OF_PLANT[commands]:
        assert (error, done, refused) == ("", [("anna (OPC UA 10.0.7.9)", "plant")], [])
    else:
        assert f'"{command}" is refused to station-plant' in error
        assert (done, len(refused)) == ([], 1)
    error, done, _ = plant_asks(commands, command=command)
    assert (error == "", done) == ((True, [("station-plant", "")]) if command == "status" else (False, []))


def test_the_plant_process_asks_all_that_its_methods_cause_and_no_more_with_it() -> None:
    caused = {command for states in EFFECTS.values() for effect in states.values() for command in effect.commands}
    assert rights.OF_PLANT["all"] == caused
    of_recipes = {
        command for name in RECIPE_METHODS for effect in EFFECTS[name].values() for command in effect.commands
    }
    assert rights.OF_PLANT["recipe"] == of_recipes
    error, done, _ = plant_asks("all", command="recipe", recipe="a", without_engine=True, on_behalf=FOR_ANNA)
    assert ("with without_engine" in error, done) == (True, [])
    error, done, _ = plant_asks("all", command="offline", on_behalf={"name": "eve", "roles": ["viewer"]})
    assert ("is not allowed to eve (viewer)" in error, done) == (True, [])
