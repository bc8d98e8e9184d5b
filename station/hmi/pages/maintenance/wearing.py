"""Trends: what wears out, when it reaches its limit, what to do about it, and the days as pictures."""

from __future__ import annotations

import time

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.hmi.pages.maintenance.engines import tabs_of
from station.hmi.rendering import page, person_of, site_of
from station.hmi.work import WorkRefused
from station.reports.shifts import Calendar
from station.trends.advice import Trend, advice_of, trend_of
from station.trends.picture import draw
from station.trends.reading import DAY_S, as_series, known_days

KIND = "trends"
SHOWN = 60


def routes() -> list[Route]:
    """Reading the records anew is a work of its own: it may take longer than a page."""
    return [
        Route("/trends", trends, name="trends"),
        Route("/trends/read", read, name="trends-read", methods=["POST"]),
    ]


def trends(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """From what was read of days that are over."""
    site = site_of(request)
    known = known_days(site.records)
    found = [trend_of(series) for series in as_series(known)]
    advice = advice_of(found)
    moving = [one for each in advice for one in each.trends]
    others = sorted((one for one in found if one.days_left is None), key=lambda one: -one.share_gone)
    return page(
        request,
        "trends.html",
        status=status,
        problem=problem,
        advice=[(one, [drawn(trend, site.calendar) for trend in one.trends[:4]]) for one in advice],
        others=[drawn(one, site.calendar) for one in others[: SHOWN - len(moving)]],
        days=len(known),
        until=site.calendar.clock((max(known) + 1) * DAY_S - 1, "min")[:10] if known else "",
        is_old=not known or max(known) < time.time() // DAY_S - 1,
        work=site.works.last,
        **tabs_of(request),
    )


def read(request: Request) -> Response:
    """Reads the days that are not known yet."""
    site = site_of(request)
    arguments = ["trends", f"--config={site.station.path}", "--progress=json"]
    try:
        site.works.start(KIND, "", person_of(request).name, arguments)
    except WorkRefused as refusal:
        return trends(request, status=409, problem=str(refusal))
    return RedirectResponse(request.app.url_path_for("trends"), 303)


def drawn(one: Trend, calendar: Calendar) -> Markup:
    """As SVG; ElementTree has escaped its texts."""
    return Markup(draw(one, calendar).svg())
