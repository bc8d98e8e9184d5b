"""Process values: the last ones, what was found in them, and with which of them the rejects came."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from station.hmi.pages.maintenance.engines import tabs_of
from station.hmi.rendering import page, site_of
from station.process.looking import Now, look, rejects
from station.process.storage import ProcessError
from station.records.schema import RecordingError

HOURS = 24
STRONG = 3.0
"""Standard deviations between low and high from which a value is shown as one that matters."""


def routes() -> list[Route]:
    """Nothing is changed here."""
    return [Route("/process", process, name="process")]


def process(request: Request) -> Response:
    """Of this station's `process.db`; the process that writes it may stand."""
    site, problem = site_of(request), ""
    section, now = site.station.settings.process, time.time()
    seen, found = Now(None, {}, 0.0, (), ()), []
    try:
        seen = look(site.station.work_dir, section)
        with site.reading() as records:
            found = rejects(records, site.station.work_dir, section, now - HOURS * 3600, now)
    except (ProcessError, RecordingError) as wrong:
        problem = str(wrong)
    return page(
        request,
        "process.html",
        problem=problem,
        section=section,
        seen=seen,
        is_old=seen.is_old(section, now),
        rejects=found,
        strong=STRONG,
        hours=HOURS,
        **tabs_of(request),
    )
