"""What the endpoints return. Each is called on a thread of the pool, behind the guard of `tokens_guard`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from station.hmi import queries
from station.hmi.api.endpoints import BASE, ENDPOINTS, MAX_PARTS, openapi
from station.hmi.api.metrics import metrics_text
from station.hmi.engines.versions import Row, store_at
from station.hmi.health.lines import lines_of
from station.hmi.health.looking import look
from station.hmi.rendering import site_of
from station.hmi.rights import Person
from station.hmi.setup.active import active_of
from station.hmi.words import SOURCE
from station.labels.labels import Label
from station.labels.schema import LabelError
from station.records.parts import PartRow
from station.records.selection import Selection
from station.reports.as_data import count_as_data, part_as_data, views_as_data
from station.reports.counts import By
from station.reports.drawing import jpeg
from station.reports.production.stored import DATA, FOLDER, read_report, stored

BEAT_OLD_S = 2.0
ENDS = (DATA, ".html", ".csv", ".pdf", ".parquet")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LONGEST_COMMENT = 1000
Endpoints = Mapping[str, Callable[[Request], Response]]


def routes() -> list[Route]:
    """By the table of endpoints, and two for watching programs."""
    found = [
        Route(
            BASE + each.path.replace("{acquisition}", "{acquisition:int}"),
            HANDLERS[each.name],
            name=f"api-{each.name}",
            methods=[each.method.upper()],
        )
        for each in ENDPOINTS
    ]
    return [*found, Route("/metrics", metrics, name="api-metrics"), Route("/healthz", healthz, name="api-healthz")]


def status(request: Request) -> Response:
    """As `station status --json`."""
    heard = site_of(request).line.now()
    if heard.status is None:
        raise HTTPException(503, heard.problem)
    return JSONResponse(dict(heard.status))


def health(request: Request) -> Response:
    """The lines of the page Health, in English."""
    site = site_of(request)
    seen = look(site)
    lines = lines_of(seen, active_of(site).settings, site.words[SOURCE])
    shown = [{"name": one.name, "value": one.value, "state": one.state, "todo": one.todo} for one in lines]
    says = "silent" if seen.status is None else "replies"
    return JSONResponse({"station": says, "beat_age_s": seen.beat_age_s, "lines": shown})


def parts(request: Request) -> Response:
    """A page of the filter."""
    site, asked = site_of(request), request.query_params
    limit = asked.get("limit", "50")
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MAX_PARTS):
        raise HTTPException(400, f'limit "{limit:.20}": 1 to {MAX_PARTS}')
    try:
        selection = queries.selection_of(asked, site.calendar, time.time())
        found = queries.newest(site, selection, int(limit), queries.mark_in(asked))
    except queries.WrongFilter as problem:
        raise HTTPException(400, str(problem)) from problem
    shown = [part_as_data(row, site.calendar, said) for row, said in zip(found.rows, found.labels, strict=True)]
    onward = None if found.older is None else f"{found.older[0]!r}_{found.older[1]}"
    return JSONResponse({"parts": shown, "next": onward})


def part(request: Request) -> Response:
    """Everything that is on record of one part."""
    site, row = site_of(request), _part(request)
    found = queries.found(site, row, Selection())
    whole = next((label for label in found.labels if label.camera is None), None)
    return JSONResponse(
        {
            "part": part_as_data(row, site.calendar, whole),
            "views": views_as_data(row.views),
            "labels": [_label(request, label) for label in found.labels],
            "steps": [
                {"name": step.name, "at_ms": step.at_ms, "took_ms": step.took_ms, "spent_on": step.spent_on}
                for step in found.trace.steps
            ],
        }
    )


def image(request: Request) -> Response:
    """A JPEG; by part, camera and kind, never by a path."""
    row, kind = _part(request), request.path_params["kind"]
    seen = site_of(request).eyes.look(row, camera=request.path_params["camera"])
    pixels = None
    if seen.views and kind in ("image", "heat"):
        pixels = seen.views[0].image if kind == "image" else seen.views[0].heated
    if pixels is None:
        raise HTTPException(404, "there is no such picture of this part")
    return Response(jpeg(pixels), media_type="image/jpeg")


def label(request: Request) -> Response:
    """Under the name of the token."""
    site, row = site_of(request), _part(request)
    asked = _body(request)
    word, named, comment = asked.get("label"), asked.get("class"), asked.get("comment", "")
    unknown = sorted(set(asked) - {"label", "class", "comment"})
    if unknown:
        raise HTTPException(400, f'"{unknown[0]:.40}" is no key of a label; allowed: label, class, comment')
    if not isinstance(word, str) or not isinstance(comment, str) or not (named is None or isinstance(named, str)):
        raise HTTPException(400, "label, class and comment are texts")
    if len(comment) > LONGEST_COMMENT:
        raise HTTPException(400, f"comment: at most {LONGEST_COMMENT} letters")
    person = Person(f"token {request.state.token.name}", ("api",))
    try:
        queries.say(site, person, row, word, defect_class=named or "", comment=comment.strip())
        labels = queries.labels_of(site, row)
    except LabelError as problem:
        raise HTTPException(400, str(problem)) from problem
    return JSONResponse({"labels": [_label(request, one) for one in labels]})


def counts(request: Request) -> Response:
    """Groups of the filter."""
    site, asked = site_of(request), request.query_params
    by = asked.get("by", "shift")
    if by not in get_args(By):
        raise HTTPException(400, f'by "{by:.20}": {", ".join(get_args(By))}')
    try:
        selection = queries.selection_of(asked, site.calendar, time.time())
    except queries.WrongFilter as problem:
        raise HTTPException(400, str(problem)) from problem
    groups = queries.counts_of(site, selection, by)  # type: ignore[arg-type]  # looked at above
    shown = []
    for group in groups:
        data = count_as_data(group, by)
        shown.append({"of": data.pop(by), **data})
    return JSONResponse({"by": by, "counts": shown})


def engines(request: Request) -> Response:
    """None where the engine is a plain folder."""
    folder = active_of(site_of(request)).engine_store
    rows = [] if folder is None else store_at(folder).rows
    return JSONResponse({"engines": [_engine(row) for row in rows]})


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
    folder = site.station.work_dir / FOLDER
    for entry in stored(folder, ENDS):
        if entry.stem == request.path_params["name"] and DATA in entry.ends:
            break
    else:
        raise HTTPException(404, "there is no such report with figures")
    found, iso = read_report(folder / f"{entry.stem}{DATA}"), site.calendar.iso
    figures = [
        {"name": one.name, "value": one.value, "interval": one.interval, "of": one.of, "how": one.how}
        for one in found.figures
    ]
    about = {"name": entry.stem, "period": found.period.name, "recipe": found.recipe, "made_by": found.made_by}
    times = {"since": iso(found.period.since), "until": iso(found.period.until), "made": iso(found.made_at)}
    return JSONResponse({**about, **times, "figures": figures})


def description(_request: Request) -> Response:
    """OpenAPI."""
    return JSONResponse(openapi())


def metrics(request: Request) -> Response:
    """For Prometheus."""
    return PlainTextResponse(metrics_text(site_of(request)), media_type=METRICS_TYPE)


def healthz(request: Request) -> Response:
    """200 while the station replies and its signalling turns, else 503; no details, so it needs no token."""
    seen = look(site_of(request))
    well = seen.status is not None and (seen.beat_age_s is None or seen.beat_age_s < BEAT_OLD_S)
    return PlainTextResponse("ok\n" if well else "not ok\n", 200 if well else 503)


HANDLERS: Endpoints = {
    "status": status,
    "health": health,
    "parts": parts,
    "part": part,
    "image": image,
    "label": label,
    "counts": counts,
    "engines": engines,
    "reports": reports,
    "report": report,
    "openapi": description,
}
"""By the name of the endpoint."""


def _part(request: Request) -> PartRow:
    session, number = request.path_params["session"], request.path_params["acquisition"]
    row = queries.one(site_of(request), session, number)
    if row is None:
        raise HTTPException(404, "no such part is on record")
    return row


def _body(request: Request) -> dict[str, Any]:
    """The object that was sent. Raises HTTPException 400."""
    try:
        found = json.loads(request.state.body)
    except (ValueError, RecursionError) as problem:
        raise HTTPException(400, "the body is no JSON") from problem
    if not isinstance(found, dict):
        raise HTTPException(400, "the body is no JSON object")
    return found


def _label(request: Request, label: Label) -> dict[str, Any]:
    return {
        "label": label.label,
        "class": label.defect_class,
        "reviewer": label.reviewer,
        "time": site_of(request).calendar.iso(label.at),
        "camera": label.camera,
    }


def _engine(row: Row) -> dict[str, Any]:
    manifest = row.manifest
    detection = manifest.detection if manifest is not None else None
    return {
        "version": row.name,
        "number": row.version.number,
        "active": row.is_active,
        "engine_id": None if manifest is None else manifest.engine_id,
        "created": None if manifest is None else manifest.created,
        "detector": None if manifest is None else manifest.detector,
        "promise": None if manifest is None else manifest.calibration.promise,
        "finds": [] if detection is None else list(detection.in_words()),
        "images": None if manifest is None else manifest.training.image_count,
        "removed": None if manifest is None else manifest.training.removed_count,
        "problem": row.problem,
    }
