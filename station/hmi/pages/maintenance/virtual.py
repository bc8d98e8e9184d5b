"""The virtual challenge: what the station finds of synthetic defects in recent good pictures, now and over weeks."""

from __future__ import annotations

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.control import ControlError
from station.hmi.engines.virtual_curve import drawn
from station.hmi.pages.maintenance.engines import tabs_of
from station.hmi.rendering import page, person_of, site_of
from station.hmi.rights import Right
from station.records.engines.virtual import VirtualRun, read_runs

SHOWN = 20
"""Rows of the history; the picture has all."""


def routes() -> list[Route]:
    """The daemon makes the challenge, beside the line, and checks the role again."""
    return [
        Route("/virtual", virtual, name="virtual"),
        Route("/virtual/start", start, name="virtual-start", methods=["POST"]),
    ]


def virtual(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """The newest run of the recipe that runs leads."""
    site = site_of(request)
    heard = site.line.now()
    runs: list[VirtualRun] = []
    try:
        runs = read_runs(site.station.work_dir)
    except (ValueError, OSError) as wrong:
        problem = problem or str(wrong)
    state = (heard.status or {}).get("virtual_challenge")
    shown = [run for run in runs if run.shown and not run.of_candidate]
    return page(
        request,
        "virtual.html",
        status=status,
        problem=problem,
        state=state,
        heard_problem=heard.problem,
        last=shown[-1] if shown else None,
        runs=runs[::-1][:SHOWN],
        picture=Markup(drawn(shown, site.calendar)) if len(shown) > 1 else "",
        may_start=person_of(request).may(Right.MAINTAIN),
        **tabs_of(request),
    )


def start(request: Request) -> Response:
    """One now."""
    try:
        site_of(request).ask(person_of(request), {"command": "monitoring", "action": "challenge"})
    except ControlError as refusal:
        return virtual(request, status=409, problem=str(refusal))
    return RedirectResponse(request.app.url_path_for("virtual"), 303)
