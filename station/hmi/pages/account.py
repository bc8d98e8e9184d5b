"""Signing in and out, the first password, another password: what a person does with his own account."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.access.accounts import LOGIN_LASTS_S, PasswordError, Refused
from station.hmi.guard import address_of, cookie_of, field, inside
from station.hmi.rendering import page, person_of, site_of, words_of


def routes() -> list[Route]:
    """All but signing in and choosing the first password need a login."""
    both = ["GET", "POST"]
    return [
        Route("/login", login, name="login", methods=both),
        Route("/welcome", welcome, name="welcome", methods=both),
        Route("/account", account, name="account", methods=both),
        Route("/logout", logout, name="logout", methods=["POST"]),
    ]


def login(request: Request) -> Response:
    """Name and password; where it was wrong, it does not say what."""
    if request.method != "POST":
        return page(request, "login.html", next=inside(request.query_params.get("next", "/")), name="", problem="")
    accounts, onward = site_of(request).accounts, inside(field(request, "next"))
    name = field(request, "name").strip()
    try:
        token = accounts.sign_in(name, field(request, "password"), address_of(request))
    except Refused:
        problem = words_of(request).gettext(
            "Name or password is wrong, or there were too many wrong tries: then wait some minutes."
        )
        return page(request, "login.html", status=401, next=onward, name=name, problem=problem)
    return _signed_in(request, token, onward)


def welcome(request: Request) -> Response:
    """The one-time code and a password of one's own."""
    if request.method != "POST":
        return page(request, "welcome.html", name=request.query_params.get("name", ""), problem="")
    name, words = field(request, "name").strip(), words_of(request)

    def choose() -> str:
        return site_of(request).accounts.welcome(
            name, field(request, "code"), field(request, "password"), address_of(request)
        )

    refused = words.gettext("Name and code do not belong together, or the code is too old: ask for a new one.")
    token, problem = _new_password(request, choose, refused)
    if token is None:
        return page(request, "welcome.html", status=400, name=name, problem=problem)
    return _signed_in(request, token, "/")


def account(request: Request) -> Response:
    """Who one is, and another password."""
    if request.method != "POST":
        return page(request, "account.html", problem="")

    def choose() -> str:
        return site_of(request).accounts.change_password(
            person_of(request).name, field(request, "old"), field(request, "password"), address_of(request)
        )

    token, problem = _new_password(request, choose, words_of(request).gettext("The old password is wrong."))
    if token is None:
        return page(request, "account.html", status=400, problem=problem)
    return _signed_in(request, token, request.url.path)


def logout(request: Request) -> Response:
    """Ends this login, and leads back to Live."""
    name = cookie_of(request)
    site_of(request).accounts.sign_out(request.cookies.get(name, ""))
    response = RedirectResponse("/", 303)
    response.delete_cookie(name, secure=name.startswith("__Host-"), httponly=True, samesite="strict")
    return response


def _new_password(request: Request, choose: Callable[[], str], refused: str) -> tuple[str | None, str]:
    """(token of the login that began, empty) or (None, what is wrong)."""
    words = words_of(request)
    if field(request, "password") != field(request, "again"):
        return None, words.gettext("The two new passwords are not the same.")
    try:
        return choose(), ""
    except PasswordError:
        return None, words.gettext("A password has 10 to 200 letters and is not easy to guess: take several words.")
    except Refused:
        return None, refused


def _signed_in(request: Request, token: str, onward: str) -> Response:
    response = RedirectResponse(onward, 303)
    name = cookie_of(request)
    response.set_cookie(
        name, token, max_age=int(LOGIN_LASTS_S), secure=name.startswith("__Host-"), httponly=True, samesite="strict"
    )
    return response
