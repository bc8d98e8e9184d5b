"""Every route for every role: who may gets the page, who may not gets a refusal, and nobody gets past the guard."""

from __future__ import annotations

import pytest
from starlette.routing import Route

from station.access.accounts import PEOPLE_ROLES
from station.hmi.app import PAGES
from station.hmi.rights import ROLES, ROUTES, Person, Right
from tests.bench.pages import Pages

VALUES = {
    "checksum": "c",
    "session": "s1",
    "study": "none",
    "trial": 1,
    "place": 1,
    "acquisition": 2,
    "camera": "top",
    "kind": "image",
    "item": 1,
    "key": "s1:2",
    "name": "none",
    "version": "0001-0",
    "number": 1,
    "part_id": 1002,
    "file": "none.png",
}
REFUSED = (401, 403)


def paths() -> list[tuple[str, str, str]]:
    """Name, method and path of every route."""
    return [
        (route.name, method, route.path.replace(":int", "").format(**VALUES))
        for each in PAGES
        for route in each.routes()
        if isinstance(route, Route)  # the socket of Live: tests/hmi/live/test_socket.py
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


@pytest.mark.parametrize("role", ["", *PEOPLE_ROLES])
def test_a_route_opens_for_who_has_its_right_and_for_nobody_else(pages: Pages, role: str) -> None:
    person = Person(role, (role,) if role else (), open_live=True)
    client = pages.client(role)
    for name, method, path in paths():
        if method == "GET":
            got = client.get(path)
            at_the_login = got.status == 303 and got.headers["location"].startswith("/login")
            was_refused = got.status in REFUSED or at_the_login
        else:
            # Without the token, which is asked last: 403 either way, but its sentence tells which.
            said = client.post(path, {"csrf": "wrong"}).text
            was_refused = "Your roles do not allow this." in said and "another login" not in said
            was_refused = was_refused or "Sign in to see this page." in said
        assert was_refused == (not person.may(ROUTES[name])), f"{method} {path} as {role or 'nobody'}"
        if name == "logout":
            client = pages.client(role)


def test_the_table_is_that_of_the_design() -> None:
    assert set(ROLES) == set(PEOPLE_ROLES)
    may = {right: {role for role in ROLES if right in ROLES[role]} for right in Right}
    everybody = set(ROLES)
    assert may[Right.LIVE] == everybody
    assert may[Right.LOOK] == everybody - {"viewer"}
    assert may[Right.OPERATE] == everybody - {"viewer", "admin"}
    assert may[Right.REVIEW] == {"operator", "quality", "integrator"}
    assert may[Right.OVERRULE] == {"quality"}
    assert may[Right.SETUP] == {"integrator"}
    assert may[Right.ENGINES_ACTIVATE] == {"maintenance"}
    assert may[Right.USERS] == {"admin"}
    assert may[Right.AUDIT] == {"quality", "integrator", "maintenance", "admin"}


def test_live_is_closed_to_who_has_not_signed_in_where_the_configuration_says_so() -> None:
    assert Person("", open_live=True).may(Right.LIVE)
    assert not Person("").may(Right.LIVE)
    assert Person("").rights == {Right.EVERYBODY}


def test_a_role_that_is_not_known_has_no_rights() -> None:
    assert Person("x", ("root",)).rights == frozenset()
