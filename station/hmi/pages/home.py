"""The way in, the state of the line for the bar on top, and what a person chooses for his own browser."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from station.hmi.guard import inside
from station.hmi.rendering import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, site_of

A_YEAR_S = 365 * 24 * 3600


def routes() -> list[Route]:
    """Nothing of the station is changed here."""
    return [
        Route("/", home, name="home"),
        Route("/state.json", state, name="state"),
        Route("/appearance", appearance, name="appearance"),
    ]


def home(request: Request) -> Response:
    """Leads to Live."""
    return RedirectResponse(request.app.url_path_for("live"), 303)


def state(request: Request) -> Response:
    """What the daemon says of itself now, for pages that are open."""
    heard = site_of(request).line.now()
    status = heard.status or {}
    return JSONResponse({"state": status.get("state"), "online": status.get("online"), "problem": heard.problem})


def appearance(request: Request) -> Response:
    """`?language=de&theme=dark&back=/parts`: kept in this browser alone."""
    asked = request.query_params
    response = RedirectResponse(inside(asked.get("back", "/")), 303)
    for cookie, allowed in ((LANGUAGE_COOKIE, tuple(site_of(request).words)), (THEME_COOKIE, THEMES)):
        if asked.get(cookie) in allowed:
            response.set_cookie(cookie, asked[cookie], max_age=A_YEAR_S, httponly=True, samesite="strict")
    return response
