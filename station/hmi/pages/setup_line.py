"""Set-up at the line: a picture by a trigger test while off line, the points of the PLC, and the challenge parts."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from station.control import ControlError
from station.hmi.guard import inside
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.rights import Right
from station.hmi.setup.active import active_of
from station.hmi.setup.points import rows_of
from station.terminal import one_line

TRIGGER_S = 75.0
"""Longer than cameras are waited for."""


def routes() -> list[Route]:
    """A trigger test makes no part; the points are only read."""
    return [
        Route("/setup/plc", plc, name="setup-plc"),
        Route("/setup/points.json", points, name="setup-points"),
        Route("/setup/trigger", trigger, name="setup-trigger", methods=["POST"]),
        Route("/setup/challenge", challenge, name="setup-challenge"),
    ]


def plc(request: Request) -> Response:
    """Every point of the map with its value."""
    words = words_of(request)
    rows, wrote, problem = [], None, ""
    try:
        found = site_of(request).ask(person_of(request), {"command": "points"})
        rows, wrote = rows_of(found, words), found["wrote_age_s"]
    except ControlError as wrong:
        problem = one_line(wrong)
    section = active_of(site_of(request)).settings.plc
    return page(request, "setup_plc.html", rows=rows, wrote=wrote, problem=problem, plc=section)


def points(request: Request) -> Response:
    """The same for the script of the page."""
    try:
        found = site_of(request).ask(person_of(request), {"command": "points"})
    except ControlError as problem:
        return JSONResponse({"problem": one_line(problem)}, 503)
    rows = rows_of(found, words_of(request))
    values = {row["id"]: [row["value"], row["words"], row["is_on"]] for row in rows}
    return JSONResponse({"values": values, "wrote_age_s": found["wrote_age_s"]})


def trigger(request: Request) -> Response:
    """One picture of each camera, while the station is off line; it is seen on the page of the cameras."""
    wants_json = "application/json" in request.headers.get("accept", "")
    try:
        found = site_of(request).ask(person_of(request), {"command": "trigger"}, TRIGGER_S)
    except ControlError as problem:
        said = words_of(request).gettext("No picture was taken: %(why)s") % {"why": one_line(problem)}
        if wants_json:
            return JSONResponse({"said": said}, 409)
        raise HTTPException(409, said) from problem
    if wants_json:
        return JSONResponse({"cameras": found["cameras"]})
    back = str(request.state.form.get("back", ""))
    return RedirectResponse(inside(back) if back else request.app.url_path_for("setup"), 303)


def challenge(request: Request) -> Response:
    """The master parts of the recipe in the order in which they are put on, and when the test is due."""
    settings = active_of(site_of(request)).settings.challenge
    person = person_of(request)
    known = request.app.state.rights
    guide = next((name for name in ("maintenance-challenge",) if name in known and person.may(known[name])), "")
    return page(request, "setup_challenge.html", challenge=settings, guide=guide, may_change=person.may(Right.SETUP))
