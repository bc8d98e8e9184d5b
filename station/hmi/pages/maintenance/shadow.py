"""Putting a version into the shadow of the active engine, and ending that; the daemon does it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.control import ControlError
from station.hmi.pages.maintenance import engines
from station.hmi.rendering import person_of, site_of

ASK_S = 30.0


def routes() -> list[Route]:
    """Nothing of a shadow reaches the line, so no password is asked."""
    return [
        Route("/engines/{version}/shadow", begin, name="maintenance-shadow", methods=["POST"]),
        Route("/engines/{version}/shadow/off", end, name="maintenance-shadow-off", methods=["POST"]),
    ]


def begin(request: Request) -> Response:
    """This version judges each part after the active one has."""
    _, row = engines.version_of(request)
    return _ask(request, {"command": "shadow", "version": row.name})


def end(request: Request) -> Response:
    """No engine is in the shadow any more."""
    return _ask(request, {"command": "shadow"})


def _ask(request: Request, message: dict[str, str]) -> Response:
    try:
        site_of(request).ask(person_of(request), message, ASK_S)
    except ControlError as problem:
        return engines.engine(request, status=409, problem=str(problem))
    path = request.app.url_path_for("maintenance-engine", version=request.path_params["version"])
    return RedirectResponse(path, 303)
