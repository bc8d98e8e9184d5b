"""Each guard holds an attack off, and it is this guard that does: with it removed the same attack gets through.

The second half is what makes the first one a test: an attack that fails for another reason would show nothing.
"""

from __future__ import annotations

import functools
import json
import re
import sqlite3
import types
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from station.access.accounts import PEOPLE_ROLES, Accounts
from station.access.asker import PAGES as PEOPLE
from station.access.asker import Asker
from station.access.people import OnBehalf, on_behalf_of
from station.access.roles import Caller, Role, RoleGroups
from station.daemon import control_server
from station.daemon.control_server import _Server
from station.hmi import guard as before_pages
from station.hmi.api.endpoints import BASE
from station.hmi.app import PAGES, build
from station.hmi.guard import MissingRight
from station.hmi.headers import BodyLimit
from station.hmi.rights import OF_PROGRAMS, Person, Right
from tests.bench.pages import COOKIE, HOST, PASSWORD, Client, Pages, serving, some_parts

Patch = pytest.MonkeyPatch
FORGED = "slipped-in"


@contextmanager
def station_in(folder: Path) -> Iterator[Pages]:
    """Pages with what others have written: a recipe that is a script, one that is a formula, a map that is a link."""
    with serving(folder, "open_live = false\n") as pages:
        pages.record(some_parts())
        (pages.site.records.parent / "secret.png").write_bytes(b"\x89PNG secret")
        (pages.site.records / "images" / "x.png").symlink_to(pages.site.records.parent / "secret.png")
        with closing(sqlite3.connect(pages.site.records / "records.db")) as connection:
            connection.execute("UPDATE parts SET recipe = '<script>x</script>' WHERE id = 2")
            connection.execute("UPDATE parts SET recipe = '=1+1' WHERE id = 3")
            connection.execute("UPDATE views SET map_path = 'images/x.png' WHERE part = 4")
            connection.commit()
        yield pages


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with station_in(tmp_path_factory.mktemp("guarded")) as pages:
        yield pages


def token(pages: Pages, *rights: str) -> dict[str, str]:
    tokens = pages.site.tokens
    name = "-".join(rights)
    if name in [one.name for one in tokens.all()]:
        tokens.withdraw(name, "test", via="test")
    return {"Authorization": f"Bearer {tokens.make(name, list(rights), 1, 'test', via='test')}"}


def labels_without_a_token_of_its_login(pages: Pages) -> bool:
    return pages.client("quality").post("/parts/s1/2/label", {"csrf": "wrong", "label": "good"}).status == 303


def labels_from_a_page_elsewhere(pages: Pages) -> bool:
    client = pages.client("quality")
    fields = {"csrf": client.csrf(), "label": "good"}
    return client.post("/parts/s1/2/label", fields, Origin="http://evil.example").status == 303


def reads_under_another_name_of_the_host(pages: Pages) -> bool:
    return pages.client("operator").get("/parts", Host="evil.example").status == 200


def opens_what_his_roles_do_not_allow(pages: Pages) -> bool:
    return pages.client("operator").get("/users").status == 200


def starts_with_a_page_that_stands_in_no_table(pages: Pages) -> bool:
    odd = types.ModuleType("odd")
    odd.routes = lambda: [Route("/odd", lambda _: PlainTextResponse("x"), name="odd")]  # type: ignore[attr-defined]
    try:
        build(pages.site, (*PAGES, odd))
    except MissingRight:
        return False
    return True


def takes_over_a_login_whose_token_he_knows(pages: Pages) -> bool:
    pages.token("operator")
    victim = Client(pages.port, {COOKIE: FORGED})
    victim.post("/login", {"name": "operator", "password": PASSWORD, "next": "/"})
    return Client(pages.port, {COOKIE: FORGED}).get("/account").status == 200


def reads_a_file_through_a_link(pages: Pages) -> bool:
    got = Client(pages.port).get(f"{BASE}/parts/s1/4/views/top/map.png", **token(pages, "read"))
    return b"secret" in got.body


def guesses_passwords_as_fast_as_he_likes(pages: Pages) -> bool:
    code = pages.site.accounts.invite("guessed", ["operator"], "test", via="test")
    pages.site.accounts.welcome("guessed", code, PASSWORD, HOST)

    def tried(password: str) -> int:
        return Client(pages.port).post("/login", {"name": "guessed", "password": password, "next": "/"}).status

    return [*(tried("wrong words here") for _ in range(5)), tried(PASSWORD)][-1] == 303


def changes_people_at_a_login_that_was_left_open(pages: Pages) -> bool:
    client = pages.client("admin")
    fields = {"csrf": client.csrf(), "action": "invite", "name": "eve", "role-admin": "1"}
    return client.post("/users/change", fields).status in (200, 303)


def has_no_policy_for_scripts(pages: Pages) -> bool:
    return "script-src 'self'" not in Client(pages.port).get("/login").headers.get("content-security-policy", "")


def writes_a_script_into_a_page(pages: Pages) -> bool:
    return "<script>x" in pages.client("operator").get("/parts").text


def writes_a_formula_into_a_spreadsheet(pages: Pages) -> bool:
    return re.search(r"(^|,)=1\+1", pages.client("operator").get("/parts.csv").text) is not None


def sends_more_than_a_page_takes(pages: Pages) -> bool:
    return Client(pages.port).post("/login", {"name": "x" * 70_000, "password": "x", "next": "/"}).status != 413


def leads_elsewhere_after_the_login(pages: Pages) -> bool:
    pages.token("operator")
    fields = {"name": "operator", "password": PASSWORD, "next": "//evil.example"}
    return Client(pages.port).post("/login", fields).headers.get("location", "").startswith("//evil")


def labels_with_a_token_that_may_read(pages: Pages) -> bool:
    headers = token(pages, "read") | {"Content-Type": "application/json"}
    got = Client(pages.port).ask("POST", f"{BASE}/parts/s1/2/label", body=b'{"label": "good"}', headers=headers)
    return got.status == 200


def opens_the_api_with_the_cookie_of_a_page(pages: Pages) -> bool:
    return pages.client("quality").get(f"{BASE}/parts").status == 200


def hears(pages: Pages, origin: str, role: str = "") -> bool:
    """Whether the socket of Live sends something."""
    cookie = {"Cookie": f"{COOKIE}={pages.token(role)}"} if role else {}
    address = f"ws://{HOST}:{pages.port}/live/socket"
    try:
        with connect(address, origin=Origin(origin), additional_headers=cookie, proxy=None) as connection:
            connection.send(json.dumps({"state": "", "part": ""}))
            return bool(connection.recv(timeout=20))
    except (InvalidStatus, ConnectionClosed):
        return False


def listens_from_a_page_elsewhere(pages: Pages) -> bool:
    return hears(pages, "http://evil.example", "operator")


def listens_without_a_login(pages: Pages) -> bool:
    return hears(pages, pages.address)


def asked(caller: Caller, tmp: Path, **request: Any) -> bool:
    server = _Server(tmp / "sock", {"clear": lambda _: {}, "offline": lambda _: {}}, RoleGroups(), lambda _: None)
    with closing(server.socket):
        return bool(server.answer(json.dumps(request).encode(), caller)["ok"])


def asks_the_daemon_for_a_person_who_may_not(pages: Pages) -> bool:
    behalf = {"name": "ben", "roles": ["viewer"]}
    return asked(Caller("station", Role.MAINTAIN, is_station=True), short(pages), command="clear", on_behalf=behalf)


def asks_the_daemon_in_the_name_of_another(pages: Pages) -> bool:
    behalf = {"name": "anna", "roles": ["maintenance"]}
    return asked(Caller("eve", Role.MAINTAIN), short(pages), command="clear", on_behalf=behalf)


def takes_the_line_off_with_a_role_that_may_look(pages: Pages) -> bool:
    return asked(Caller("eve", Role.LOOK), short(pages), command="offline")


def short(pages: Pages) -> Path:
    """A folder for a socket."""
    folder = pages.folder / "s"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return folder


def _no_check(*_: Any, **__: Any) -> None:
    return None


def _cookie_opens_the_api(request: Any, name: str, right: Right) -> None:
    before_pages._enter(request, name, Right.EVERYBODY)
    request.state.token = types.SimpleNamespace(name="x", rights=("read",))


@dataclass(frozen=True)
class Guard:
    """What stands before something, the attack it holds off, and how a test takes it away."""

    attack: Callable[[Pages], bool]
    remove: Callable[[Patch], None]


GUARDS: dict[str, Guard] = {
    "the token of a form": Guard(
        labels_without_a_token_of_its_login,
        lambda patch: patch.setattr(before_pages, "hmac", types.SimpleNamespace(compare_digest=lambda *_: True)),
    ),
    "Origin": Guard(labels_from_a_page_elsewhere, lambda patch: patch.setattr(before_pages, "_same_origin", _no_check)),
    "the name of the host": Guard(
        reads_under_another_name_of_the_host, lambda patch: patch.setattr(before_pages, "_own_host", _no_check)
    ),
    "the right of a route": Guard(
        opens_what_his_roles_do_not_allow, lambda patch: patch.setattr(Person, "may", lambda *_: True)
    ),
    "no route without a right": Guard(
        starts_with_a_page_that_stands_in_no_table,
        lambda patch: patch.setattr("station.hmi.app.guarded", lambda routes, *_: list(routes)),
    ),
    "a new token at each login": Guard(
        takes_over_a_login_whose_token_he_knows,
        lambda patch: patch.setattr(
            "station.access.accounts.secrets", types.SimpleNamespace(token_urlsafe=lambda _: FORGED)
        ),
    ),
    "no link is followed": Guard(
        reads_a_file_through_a_link,
        lambda patch: patch.setattr(
            "station.reports.seen.read_below", lambda folder, path: (folder / path).read_bytes()
        ),
    ),
    "slower after wrong tries": Guard(
        guesses_passwords_as_fast_as_he_likes, lambda patch: patch.setattr(Accounts, "_check_tries", _no_check)
    ),
    "the password once more": Guard(
        changes_people_at_a_login_that_was_left_open, lambda patch: patch.setattr(before_pages, "_prove", _no_check)
    ),
    "policy for scripts": Guard(
        has_no_policy_for_scripts, lambda patch: patch.setattr("station.hmi.headers.HEADERS", {})
    ),
    "text is never markup": Guard(
        writes_a_script_into_a_page,
        lambda patch: patch.setattr(
            "station.hmi.rendering.Environment", lambda **how: Environment(**{**how, "autoescape": False})
        ),
    ),
    "a quote before formulas": Guard(
        writes_a_formula_into_a_spreadsheet, lambda patch: patch.setattr("station.reports.tables._FORMULA", ())
    ),
    "bound of a body": Guard(
        sends_more_than_a_page_takes,
        lambda patch: patch.setattr("station.hmi.app.BodyLimit", functools.partial(BodyLimit, most=10**9)),
    ),
    "back to a page of this station": Guard(
        leads_elsewhere_after_the_login,
        lambda patch: patch.setattr("station.hmi.pages.account.inside", lambda path: path),
    ),
    "the right of a token": Guard(
        labels_with_a_token_that_may_read,
        lambda patch: patch.setattr(before_pages, "OF_PROGRAMS", dict.fromkeys(OF_PROGRAMS, "read")),
    ),
    "no cookie for programs": Guard(
        opens_the_api_with_the_cookie_of_a_page,
        lambda patch: patch.setattr(before_pages, "_show_token", _cookie_opens_the_api),
    ),
    "Origin of a socket": Guard(
        listens_from_a_page_elsewhere, lambda patch: patch.setattr(before_pages, "_same_origin", _no_check)
    ),
    "the right of a socket": Guard(
        listens_without_a_login, lambda patch: patch.setattr(Person, "may", lambda *_: True)
    ),
    "the daemon's own table of people": Guard(
        asks_the_daemon_for_a_person_who_may_not, lambda patch: patch.setattr(OnBehalf, "may", lambda *_: True)
    ),
    "only the station asks for others": Guard(
        asks_the_daemon_in_the_name_of_another,
        lambda patch: patch.setattr(
            _Server,
            "_asker",
            lambda _self, request, _caller: Asker(on_behalf_of(request).name, PEOPLE, lambda _: True),  # type: ignore[union-attr]
        ),
    ),
    "roles of the control socket": Guard(
        takes_the_line_off_with_a_role_that_may_look,
        lambda patch: patch.setattr(control_server, "needed", lambda _: Role.LOOK),
    ),
}


@pytest.mark.parametrize("name", GUARDS)
def test_the_attack_fails(guarded: Pages, name: str) -> None:
    assert not GUARDS[name].attack(guarded)


@pytest.mark.parametrize("name", GUARDS)
def test_without_its_guard_the_same_attack_gets_through(tmp_path: Path, monkeypatch: Patch, name: str) -> None:
    GUARDS[name].remove(monkeypatch)
    with station_in(tmp_path) as pages:
        assert GUARDS[name].attack(pages)


@pytest.mark.parametrize("role", ["", *PEOPLE_ROLES])
def test_the_socket_of_live_opens_for_who_has_its_right(guarded: Pages, role: str) -> None:
    person = Person(role, (role,) if role else ())
    assert hears(guarded, guarded.address, role) == person.may(Right.LIVE)
