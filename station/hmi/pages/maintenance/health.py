"""Health: how everything does, what to do about what does not, and what happened; and the way into maintenance."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.configuration.load import ConfigurationError
from station.hmi.health.kinds import kinds_of_day
from station.hmi.health.lines import lines_of
from station.hmi.health.looking import look
from station.hmi.health.reasons import not_passed
from station.hmi.pages.maintenance.engines import tabs_of
from station.hmi.rendering import page, site_of, words_of
from station.hmi.setup.active import active_of


def routes() -> list[Route]:
    """Nothing is changed here."""
    return [
        Route("/maintenance", way_in, name="maintenance"),
        Route("/health", health, name="maintenance-health"),
    ]


def way_in(request: Request) -> Response:
    """Leads to the first page of maintenance that this person may open."""
    tabs = tabs_of(request)["maintenance_tabs"]
    return RedirectResponse(request.app.url_path_for(tabs[0][0]), 303)


def health(request: Request) -> Response:
    """Shown also while the station does not run: then that is what leads."""
    site = site_of(request)
    problem = ""
    try:
        settings = active_of(site).settings
    except ConfigurationError as wrong:
        settings, problem = site.station.settings, str(wrong)
    seen = look(site)
    return page(
        request,
        "health.html",
        problem=problem,
        lines=lines_of(seen, settings, words_of(request)),
        events=[] if seen.happened is None else seen.happened.events,
        streams=((seen.status or {}).get("monitoring") or {}).get("streams", []),
        kinds=kinds_of_day(site),
        rejected=not_passed(site),
        at=site.calendar.clock(seen.at),
        **tabs_of(request),
    )
