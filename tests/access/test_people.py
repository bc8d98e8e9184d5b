"""The daemon looks at the roles of the person for whom the pages ask, whatever the pages have looked at."""

from __future__ import annotations

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
