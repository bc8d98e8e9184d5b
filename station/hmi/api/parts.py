"""Parts: lists, one part, its pictures, its trace, its evidence, what is said of it."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from station.hmi import queries
from station.hmi.api.asked import after_of, limit_of, part_of, selection_of
from station.hmi.api.endpoints import MAX_PARTS
from station.hmi.rendering import site_of
from station.hmi.rights import Person
from station.labels.labels import Label
from station.labels.schema import LabelError
from station.records.selection import Selection
from station.reports.as_data import part_as_data, trace_as_data, views_as_data
from station.reports.drawing import jpeg
from station.reports.evidence import file_name

LONGEST_COMMENT = 1000


def parts(request: Request) -> Response:
    """A page of the filter: newest first, or as they were recorded behind `after`."""
    site, asked, limit, after = site_of(request), request.query_params, limit_of(request), after_of(request)
    selection = selection_of(request)
    if after is not None:
        if asked.get("before"):
            raise HTTPException(400, "before goes back in time, after follows what is recorded: give one of them")
        rows, said, reached = queries.recorded(site, selection, after, limit)
        shown = [part_as_data(row, site.calendar, label) for (_, row), label in zip(rows, said, strict=True)]
        return JSONResponse({"parts": shown, "next": None, "after": reached})
    try:
        found = queries.newest(site, selection, limit, queries.mark_in(asked))
    except queries.WrongFilter as problem:
        raise HTTPException(400, str(problem)) from problem
    shown = [part_as_data(row, site.calendar, one) for row, one in zip(found.rows, found.labels, strict=True)]
    onward = None if found.older is None else f"{found.older[0]!r}_{found.older[1]}"
    return JSONResponse({"parts": shown, "next": onward, "after": None})


def parts_by_id(request: Request) -> Response:
    """All parts with an id of the PLC, newest first: a counter may have started anew."""
    site, number = site_of(request), request.path_params["part_id"]
    rows: list[Any] = []
    if number <= queries.MAX_ID:
        found = queries.newest(site, Selection(part_id=number), MAX_PARTS)
        rows = [part_as_data(row, site.calendar, one) for row, one in zip(found.rows, found.labels, strict=True)]
    return JSONResponse({"parts": rows, "next": None, "after": None})


def part(request: Request) -> Response:
    """Everything that is on record of one part."""
    site, row = site_of(request), part_of(request)
    found = queries.found(site, row, Selection())
    whole = next((label for label in found.labels if label.camera is None), None)
    return JSONResponse(
        {
            "part": part_as_data(row, site.calendar, whole),
            "views": views_as_data(row.views),
            "labels": [_label(request, label) for label in found.labels],
            "steps": trace_as_data(found.trace)["steps"],
        }
    )


def trace(request: Request) -> Response:
    """Every step with its time, and the events that concern the part."""
    site, row = site_of(request), part_of(request)
    return JSONResponse(trace_as_data(queries.found(site, row, Selection()).trace))


def image(request: Request) -> Response:
    """A JPEG; by part, camera and kind, never by a path."""
    row, kind = part_of(request), request.path_params["kind"]
    seen = site_of(request).eyes.look(row, camera=request.path_params["camera"])
    pixels = None
    if seen.views and kind in ("image", "heat"):
        pixels = seen.views[0].image if kind == "image" else seen.views[0].heated
    if pixels is None:
        raise HTTPException(404, "there is no such picture of this part")
    return Response(jpeg(pixels), media_type="image/jpeg")


def anomaly_map(request: Request) -> Response:
    """The map as it is stored: grey, `map_low` to `map_high` of the view."""
    site, row = site_of(request), part_of(request)
    view = next((view for view in row.views if view.camera == request.path_params["camera"]), None)
    if view is None or view.map_path is None or view.image_deleted:
        raise HTTPException(404, "there is no map of this view")
    try:
        content = site.eyes.bytes_of(view.map_path)
    except OSError as problem:
        raise HTTPException(404, "the map is gone") from problem
    return Response(content, media_type="image/png")


def evidence(request: Request) -> Response:
    """Everything that is known of a part as one file, with checksums."""
    row = part_of(request)
    content = queries.evidence_of(site_of(request), row, f"token {request.state.token.name}")
    headers = {"Content-Disposition": f'attachment; filename="{file_name(row)}"'}
    return Response(content, media_type="application/zip", headers=headers)


def label(request: Request) -> Response:
    """Under the name of the token."""
    site, row = site_of(request), part_of(request)
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
