"""What holds for every page: headers, errors as sentences, languages, the guard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from station.configuration.file import ConfigurationError
from station.configuration.load import load_station
from station.hmi.app import build
from station.hmi.guard import MissingRight
from station.hmi.headers import POLICY
from station.hmi.rights import ROUTES, Right
from station.hmi.site import Site
from station.hmi.words import languages
from tests.bench.pages import Client, Pages, serving, write_configuration


class Odd:
    """A module of pages that fails, and one that changes something."""

    @staticmethod
    def routes() -> list[Route]:
        return [
            Route("/odd/fails", Odd.fails, name="fails"),
            Route("/odd/change", Odd.change, name="change", methods=["POST"]),
            Route("/odd/token", Odd.token, name="token"),
        ]

    @staticmethod
    def fails(_request: Request) -> Response:
        raise ZeroDivisionError("secret detail")

    @staticmethod
    def change(request: Request) -> Response:
        return PlainTextResponse(f"changed {request.state.form['what']}")

    @staticmethod
    def token(request: Request) -> Response:
        return PlainTextResponse(request.state.csrf)


RIGHTS = dict(ROUTES) | dict.fromkeys(("fails", "change", "token"), Right.LOOK)


def with_odd_pages(site: Site) -> object:
    from station.hmi.app import PAGES

    return build(site, (*PAGES, Odd), RIGHTS)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> object:
    with serving(tmp_path_factory.mktemp("odd"), app_of=with_odd_pages) as pages:  # type: ignore[arg-type]
        yield pages


def test_a_page_that_has_no_right_in_the_table_does_not_start(pages: Pages) -> None:
    with pytest.raises(MissingRight, match="change, fails, token"):
        build(pages.site, (Odd,))  # type: ignore[arg-type]


def test_every_response_has_the_policy_and_is_kept_by_no_browser(client: Client) -> None:
    for path in ("/live", "/state.json", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_files_of_the_pages_are_kept_since_their_address_has_their_content(client: Client) -> None:
    (style,) = re.findall(r'href="(/static/station\.css\?v=\w+)"', client.get("/live").text)
    file = client.get(style)
    assert (file.status, "immutable" in file.headers["cache-control"]) == (200, True)
    assert client.get("/static/../app.py").status == 404
    assert client.get("/static/%2e%2e/app.py").status == 404


def test_nothing_on_a_page_is_inline(client: Client) -> None:
    text = client.get("/live").text
    assert not re.findall(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_what_nobody_foresaw_is_a_sentence_with_a_number(odd: Pages) -> None:
    got = odd.client("operator").get("/odd/fails")
    assert got.status == 500
    assert "The page failed. The line is not concerned." in got.text
    assert "secret" not in got.text
    assert "Traceback" not in got.text
    assert got.headers["content-security-policy"] == POLICY


def test_there_is_a_sentence_for_what_is_not_there(client: Client) -> None:
    got = client.get("/nothing", **{"Accept-Language": "de-AT,de;q=0.9"})
    assert (got.status, "Diese Seite gibt es nicht." in got.text) == (404, True)


def test_a_change_needs_the_token_of_the_login_and_a_page_of_this_station(odd: Pages) -> None:
    client = odd.client("operator")
    token = client.get("/odd/token").text
    assert client.post("/odd/change", {"what": "it", "csrf": token}).text == "changed it"
    assert client.post("/odd/change", {"what": "it"}).status == 403
    assert client.post("/odd/change", {"what": "it", "csrf": token[::-1]}).status == 403
    for origin in ("http://evil.example", "null", "", f"https://127.0.0.1:{odd.port}", "http://127.0.0.1"):
        assert client.post("/odd/change", {"what": "it", "csrf": token}, Origin=origin).status == 403


def test_a_page_elsewhere_cannot_let_its_name_point_here(client: Client) -> None:
    assert client.get("/live", Host="evil.example").status == 400
    assert client.get("/live", Host="localhost:1").status == 200


def test_a_body_of_more_than_64_kb_is_refused(odd: Pages) -> None:
    client = odd.client("operator")
    token = client.get("/odd/token").text
    assert client.post("/odd/change", {"what": "x" * 70_000, "csrf": token}).status == 413


def test_language_and_colours_are_kept_in_the_browser(client: Client) -> None:
    assert 'lang="en"' in client.get("/live").text
    got = client.get("/appearance?language=de&theme=dark&back=/live")
    assert (got.status, got.headers["location"]) == (303, "/live")
    text = client.get("/live").text
    assert 'lang="de"' in text
    assert 'data-theme="dark"' in text
    assert client.get("/appearance?language=xx&theme=%22%3E&back=//evil.example").headers["location"] == "/"
    assert 'data-theme="dark"' in client.get("/live").text


def test_without_a_daemon_the_state_is_not_known(client: Client) -> None:
    assert "STATE NOT KNOWN" in client.get("/live").text
    assert '"online":null' in client.get("/state.json").text


def test_an_address_of_the_network_needs_a_certificate(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="passwords would cross the network in clear"):
        load_station(write_configuration(tmp_path, 'host = "0.0.0.0"'))
    with pytest.raises(ConfigurationError, match="belong together"):
        load_station(write_configuration(tmp_path, 'certificate = "c.pem"'))


def test_german_verdicts_have_at_most_seven_letters() -> None:
    words = languages()["de"]
    assert [words.gettext(verdict) for verdict in ("PASS", "FAIL", "REVIEW", "ERROR")] == [
        "IO",
        "NIO",
        "PRÜFEN",
        "FEHLER",
    ]
