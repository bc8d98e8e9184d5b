"""What waits for a second person: what one has asked, and where the second one confirms it with his own password.

He need not sign in for it: at a panel his name and password beside the login of the first one are enough. The daemon
decides whether he may, and whether it is another person (`station/daemon/second_person/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.control import ControlError
from station.hmi.guard import address_of, field
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.rights import Person
from station.terminal import one_line

CONFIRM_S = 90.0
"""Longer than a change of the running station takes at most."""
MAX_DIGITS = 12


def routes() -> list[Route]:
    """Confirming asks the password of the second person, whoever has signed in."""
    return [
        Route("/second", second, name="second"),
        Route("/second/confirm", confirm, name="second-confirm", methods=["POST"]),
        Route("/second/withdraw", withdraw, name="second-withdraw", methods=["POST"]),
    ]


def second(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """All that waits, with every value that would change."""
    rules: list[str] = []
    waiting: list[Mapping[str, Any]] = []
    try:
        reply = site_of(request).ask(person_of(request), {"command": "second", "action": "list"})
        rules, waiting = reply["rules"], reply["waiting"]
    except ControlError as silent:
        problem = problem or one_line(silent)
        status = max(status, 503) if status == 200 else status
    return page(
        request,
        "second.html",
        status=status,
        problem=problem,
        rules=rules,
        waiting=waiting,
        done=request.query_params.get("done", ""),
        asked=request.query_params.get("asked", ""),
        clock=site_of(request).calendar.clock,
    )


def confirm(request: Request) -> Response:
    """The daemon does it, if it is another person who may; nothing is shown as done before it has said so."""
    site, words = site_of(request), words_of(request)
    name = field(request, "name").strip()
    if not site.accounts.is_proven(name, field(request, "proof"), address_of(request)):
        said = words.gettext(
            "Nothing was changed: name or password is wrong, or there were too many wrong tries. Then wait a while."
        )
        return second(request, status=403, problem=said)
    by = next(user for user in site.accounts.users() if user.name.casefold() == name.casefold())
    asked = {"command": "second", "action": "confirm", "number": _number(request), "digest": field(request, "digest")}
    return _done(request, Person(by.name, by.roles), asked)


def withdraw(request: Request) -> Response:
    """By whoever might have asked for it."""
    return _done(request, person_of(request), {"command": "second", "action": "withdraw", "number": _number(request)})


def waits_or(request: Request, reply: Mapping[str, Any], onward: str) -> Response:
    """Where it goes on after the daemon has taken a request: it waits for a second person, or is done."""
    if (waiting := reply.get("waiting")) is not None:
        onward = f"{request.app.url_path_for('second')}?{urlencode({'asked': waiting['number']})}"
    return RedirectResponse(onward, 303)


def _done(request: Request, by: Person, message: Mapping[str, Any]) -> Response:
    try:
        site_of(request).ask(by, message, CONFIRM_S)
    except ControlError as problem:
        return second(request, status=409, problem=one_line(problem))
    done = urlencode({"done": message["number"]}) if message["action"] == "confirm" else ""
    return RedirectResponse(f"{request.app.url_path_for('second')}{'?' if done else ''}{done}", 303)


def _number(request: Request) -> int:
    given = field(request, "number")
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= MAX_DIGITS else 0
