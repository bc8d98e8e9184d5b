"""Accounts over HTTP: the first code, signing in and out, wrong tries, the password that is asked once more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.pages import COOKIE, PASSWORD, Client, Pages, serving


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Pages]:
    """A station whose pages nobody has used."""
    with serving(tmp_path) as pages:
        yield pages


def sign_in(client: Client, name: str, password: str, onward: str = "/") -> int:
    return client.post("/login", {"name": name, "password": password, "next": onward}).status


def test_the_first_admin_chooses_a_password_with_the_code_that_the_start_prints(fresh: Pages) -> None:
    code = fresh.site.accounts.first_admin()
    assert code is not None
    client = fresh.client()
    chosen = {"name": "admin", "code": code.lower(), "password": PASSWORD, "again": PASSWORD}
    assert client.get("/users").headers["location"] == "/login?next=%2Fusers"
    assert client.post("/welcome", chosen | {"again": "another one of these"}).status == 400
    assert client.post("/welcome", chosen | {"password": "short", "again": "short"}).status == 400
    assert client.post("/welcome", chosen | {"code": "AAAA-BBBB-CCCC-DDDD"}).status == 400
    got = client.post("/welcome", chosen)
    assert got.status == 303
    assert "HttpOnly" in got.headers["set-cookie"]
    assert "SameSite=strict" in got.headers["set-cookie"]
    assert client.get("/users").status == 200
    assert fresh.client().post("/welcome", chosen).status == 400  # once
    assert fresh.site.accounts.first_admin() is None


def test_signing_in_leads_to_the_page_that_was_wanted_and_to_no_other_station(fresh: Pages) -> None:
    fresh.token("operator")
    for wanted, led in (("/parts?verdict=FAIL", "/parts?verdict=FAIL"), ("//evil.example/", "/"), ("/\\evil", "/")):
        got = fresh.client().post("/login", {"name": "operator", "password": PASSWORD, "next": wanted})
        assert (got.status, got.headers["location"]) == (303, led)


def test_wrong_name_wrong_password_and_locked_look_the_same(fresh: Pages) -> None:
    fresh.token("operator")
    fresh.token("quality")
    fresh.site.accounts.set_locked("quality", "test", locked=True, via="test")
    texts = set()
    for name, password in (("operator", "wrong words here"), ("nobody", PASSWORD), ("quality", PASSWORD)):
        got = fresh.client().post("/login", {"name": name, "password": password, "next": "/"})
        assert got.status == 401
        texts.add(got.text.replace(f'value="{name}"', ""))
    assert len(texts) == 1


def test_after_five_wrong_tries_the_right_password_has_to_wait(fresh: Pages) -> None:
    fresh.token("operator")
    for _ in range(5):
        assert sign_in(fresh.client(), "operator", "wrong words here") == 401
    assert sign_in(fresh.client(), "operator", PASSWORD) == 401


def test_a_login_ends_with_signing_out_and_its_cookie_opens_nothing_any_more(fresh: Pages) -> None:
    client = fresh.client("operator")
    token = client.cookies[COOKIE]
    assert client.get("/parts").status == 503  # signed in; nothing is on record yet
    assert client.post("/logout", {"csrf": client.csrf()}).status == 303
    assert Client(fresh.port, {COOKIE: token}).get("/parts").status == 303


def test_signing_in_never_takes_over_a_token_that_was_there(fresh: Pages) -> None:
    fresh.token("operator")
    client = Client(fresh.port, {COOKIE: "slipped-in"})
    assert sign_in(client, "operator", PASSWORD) == 303
    assert client.cookies[COOKIE] != "slipped-in"
    assert Client(fresh.port, {COOKIE: "slipped-in"}).get("/account").status == 303


def test_a_form_of_one_login_does_nothing_in_another(fresh: Pages) -> None:
    of_another = fresh.client("operator").csrf()
    client = fresh.client("operator")
    assert client.post("/logout", {"csrf": of_another}).status == 403
    assert client.get("/account").status == 200


def test_a_login_from_a_page_elsewhere_is_refused(fresh: Pages) -> None:
    fresh.token("operator")
    got = fresh.client().post(
        "/login", {"name": "operator", "password": PASSWORD, "next": "/"}, Origin="http://evil.example"
    )
    assert got.status == 403


def test_a_change_of_people_asks_the_password_once_more(fresh: Pages) -> None:
    client = fresh.client("admin")
    change = {"csrf": client.csrf(), "action": "invite", "name": "<b>anna</b>", "role-operator": "1"}
    assert client.post("/users/change", change).status == 403
    assert client.post("/users/change", change | {"proof": "wrong words here"}).status == 403
    assert [user.name for user in fresh.site.accounts.users()] == ["admin"]
    got = client.post("/users/change", change | {"proof": PASSWORD})
    assert got.status == 200
    assert "<b>anna" not in got.text  # text, never markup
    assert "&lt;b&gt;anna" in got.text


def test_another_password_ends_all_logins_but_the_new_one(fresh: Pages) -> None:
    client, elsewhere = fresh.client("operator"), fresh.client("operator")
    new = "other words of a test"
    got = client.post("/account", {"csrf": client.csrf(), "old": PASSWORD, "password": new, "again": new})
    assert got.status == 303
    assert client.get("/account").status == 200
    assert elsewhere.get("/account").status == 303
