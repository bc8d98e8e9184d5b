"""What has happened: events, changes, challenge tests, what became of parts in REVIEW, shifts, reports.

Lists that grow have pages: `after` of one is `after` of the next. Without it a page is that of the newest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from station.hmi import queries
from station.hmi.api.asked import after_of, limit_of
from station.hmi.api.endpoints import REPORT_FILES
from station.hmi.rendering import site_of
from station.reports.as_data import audit_as_data, run_as_data
from station.reports.production.stored import DATA, FOLDER, Entry, read_report, stored
from station.reports.shifts import TimeError

DAY_S = 86_400.0
ENDS = (DATA, *(f".{kind}" for kind in REPORT_FILES))
MAX_SHIFTS = 1000


def events(request: Request) -> Response:
    """What happened and is no part."""
    site, after = site_of(request), after_of(request)
    found = queries.events_of(site, after, limit_of(request))
    shown = [
        {
            "id": number,
            "session": row.session,
            "time": site.calendar.iso(row.wall_time),
            "kind": row.kind,
            "level": row.level,
            "detail": row.detail,
        }
        for number, row in found
    ]
    return _page("events", shown, [number for number, _ in found], after)


def audit(request: Request) -> Response:
    """Who changed recipe, engine or configuration, with what result."""
    site, after = site_of(request), after_of(request)
    found = queries.changes_of(site, after, limit_of(request))
    shown = [{"id": number} | audit_as_data(row, site.calendar) for number, row in found]
    return _page("changes", shown, [number for number, _ in found], after)


def challenges(request: Request) -> Response:
    """Challenge tests; one that runs changes until it has ended."""
    site, after = site_of(request), after_of(request)
    found = queries.runs_of(site, after, limit_of(request))
    shown = [run_as_data(run, recipe, site.calendar) for run, recipe in found]
    return _page("challenges", shown, [run.number for run, _ in found], after)


def dispositions(request: Request) -> Response:
    """What happens to the parts that waited for people."""
    site, after, now = site_of(request), after_of(request), time.time()
    since = _moment(request, "since", now - DAY_S)
    found = queries.dispositions_of(site, since, after or 0, limit_of(request), now)
    shown = [
        {
            "id": number,
            "session": one.session,
            "acquisition_id": one.acquisition_id,
            "part_id": one.part_id,
            "due": site.calendar.iso(one.due_at),
            "treatment": one.treatment,
            "verdict": one.verdict,
        }
        for number, one in found
    ]
    return _page("dispositions", shown, [number for number, _ in found], after or 0)


def shifts(request: Request) -> Response:
    """The shifts of a time, the one that runs now last."""
    site, now = site_of(request), time.time()
    calendar = site.calendar
    start = _moment(request, "since", now - 7 * DAY_S)
    found: list[dict[str, Any]] = []
    while start <= now and len(found) < MAX_SHIFTS:
        shift = calendar.shift_at(start)
        times = {"start": calendar.iso(shift.start), "end": calendar.iso(shift.end)}
        found.append({"name": shift.name, "day": f"{shift.day}", **times})
        start = shift.end
    return JSONResponse({"shifts": found})


def reports(request: Request) -> Response:
    """What is stored."""
    site = site_of(request)
    found = stored(site.station.work_dir / FOLDER, ENDS)
    shown = [
        {"name": one.stem, "files": [end[1:] for end in one.ends], "written": site.calendar.iso(one.written_at)}
        for one in found
    ]
    return JSONResponse({"reports": shown})


def report(request: Request) -> Response:
    """The figures of one, found among those that are there."""
    site = site_of(request)
    entry = _entry(request, DATA)
    found, iso = read_report(site.station.work_dir / FOLDER / f"{entry.stem}{DATA}"), site.calendar.iso
    figures = [
        {"name": one.name, "value": one.value, "interval": one.interval, "of": one.of, "how": one.how}
        for one in found.figures
    ]
    about = {"name": entry.stem, "period": found.period.name, "recipe": found.recipe, "made_by": found.made_by}
    times = {"since": iso(found.period.since), "until": iso(found.period.until), "made": iso(found.made_at)}
    return JSONResponse({**about, **times, "figures": figures})


def report_file(request: Request) -> Response:
    """One of the files of a report, to be kept."""
    end = f".{request.path_params['kind']}"
    entry = _entry(request, end)
    try:
        content = (site_of(request).station.work_dir / FOLDER / f"{entry.stem}{end}").read_bytes()
    except FileNotFoundError as problem:
        raise HTTPException(404, "the file is gone") from problem
    return Response(content, media_type=REPORT_FILES[end[1:]], headers={"Content-Disposition": "attachment"})


def _entry(request: Request, end: str) -> Entry:
    for entry in stored(site_of(request).station.work_dir / FOLDER, ENDS):
        if entry.stem == request.path_params["name"] and end in entry.ends and end in ENDS:
            return entry
    raise HTTPException(404, "there is no such report, or not this file of it")


def _page(name: str, shown: Sequence[dict[str, Any]], numbers: Sequence[int], after: int | None) -> Response:
    """`after`: where the next page begins; as it was asked when nothing is there yet."""
    return JSONResponse({name: shown, "after": numbers[-1] if numbers else after or 0})


def _moment(request: Request, name: str, default: float) -> float:
    """Raises HTTPException 400: no time."""
    text = request.query_params.get(name)
    if not text:
        return default
    try:
        return site_of(request).calendar.moment(text, time.time())
    except TimeError as problem:
        raise HTTPException(400, str(problem)) from problem
