"""What the endpoints return. Each is called on a thread of the pool, behind the guard of `tokens_guard`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from station.configuration import recipes as recipe_files
from station.configuration.load import ConfigurationError
from station.hmi import queries
from station.hmi.api import history, parts, production
from station.hmi.api.asked import checked, selection_of
from station.hmi.api.endpoints import BASE, ENDPOINTS, openapi
from station.hmi.api.metrics import metrics_text
from station.hmi.engines.versions import Row, store_at
from station.hmi.health.lines import lines_of
from station.hmi.health.looking import look
from station.hmi.rendering import site_of
from station.hmi.setup.active import active_of
from station.hmi.words import SOURCE
from station.records.schema import RecordingError
from station.reports.as_data import count_as_data
from station.reports.counts import By
from station.terminal import one_line

BEAT_OLD_S = 2.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WHOLE_NUMBERS = ("acquisition", "part_id", "number")
"""Of an address: anything else is another address."""
Endpoints = Mapping[str, Callable[[Request], Response]]


def routes() -> list[Route]:
    """By the table of endpoints, and three for watching programs."""
    found = [
        Route(_address(each.path), checked(each, HANDLERS[each.name]), name=f"api-{each.name}",
              methods=[each.method.upper()])
        for each in ENDPOINTS
    ]  # fmt: skip
    watching = [("/metrics", metrics), ("/healthz", healthz), ("/readyz", readyz)]
    return [*found, *(Route(path, handler, name=f"api-{path[1:]}") for path, handler in watching)]


def _address(path: str) -> str:
    for name in WHOLE_NUMBERS:
        path = path.replace(f"{{{name}}}", f"{{{name}:int}}")
    return BASE + path


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


def cameras(request: Request) -> Response:
    """Those of the configuration, and how each does; `state` null: the station is silent."""
    site = site_of(request)
    now = (site.line.now().status or {}).get("cameras", {})
    shown = [
        {
            "name": name,
            "driver": section.driver,
            "state": now.get(name, {}).get("state"),
            "detail": str(now.get(name, {}).get("detail") or ""),
        }
        for name, section in active_of(site).settings.cameras.items()
    ]
    return JSONResponse({"cameras": shown})


def recipes(request: Request) -> Response:
    """All that are there; one that cannot be read has its problem."""
    site = site_of(request)
    active = (site.line.now().status or {}).get("recipe")
    folder = recipe_files.folder_of(site.station.path)
    found = [_recipe(folder, name, active) for name in recipe_files.names(folder)]
    return JSONResponse({"recipes": found})


def counts(request: Request) -> Response:
    """Groups of the filter."""
    by = request.query_params.get("by", "shift")
    if by not in get_args(By):
        raise HTTPException(400, f'by "{by:.20}": {", ".join(get_args(By))}')
    groups = queries.counts_of(site_of(request), selection_of(request), by)  # type: ignore[arg-type]  # looked at above
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


def readyz(request: Request) -> Response:
    """200 while the records can be read, whether the station runs or not, else 503."""
    try:
        queries.changes_of(site_of(request), None, 1)
    except RecordingError:
        return PlainTextResponse("not ready\n", 503)
    return PlainTextResponse("ready\n")


HANDLERS: Endpoints = {
    "status": status,
    "health": health,
    "cameras": cameras,
    "recipes": recipes,
    "parts": parts.parts,
    "part-by-id": parts.parts_by_id,
    "part": parts.part,
    "trace": parts.trace,
    "image": parts.image,
    "map": parts.anomaly_map,
    "evidence": parts.evidence,
    "label": parts.label,
    "counts": counts,
    "batches": production.batches,
    "batch": production.batch,
    "metrics-of": production.metrics_of,
    "dispositions": history.dispositions,
    "shifts": history.shifts,
    "events": history.events,
    "audit": history.audit,
    "challenges": history.challenges,
    "engines": engines,
    "reports": history.reports,
    "report": history.report,
    "report-file": history.report_file,
    "openapi": description,
}
"""By the name of the endpoint."""


def _recipe(folder: Path, name: str, active: str | None) -> dict[str, Any]:
    about = {"name": name, "active": name == active}
    try:
        recipe = recipe_files.read(folder, name)
    except ConfigurationError as problem:
        return {**about, "number": None, "description": "", "checksum": None, "problem": one_line(problem)}
    file = recipe.file
    return {
        **about, "number": file.number, "description": file.description, "checksum": recipe.checksum, "problem": "",
    }  # fmt: skip


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
