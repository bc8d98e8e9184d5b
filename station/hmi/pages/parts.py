"""Parts on record: search, a table of them, one part with everything that is known of it, its pictures, its label."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import cv2
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from engines.overlay import Pixels
from station.codes import ReasonCode
from station.control import ControlError
from station.hmi import queries
from station.hmi.guard import field
from station.hmi.marks import marks_of
from station.hmi.pages.second import waits_or
from station.hmi.rendering import page, person_of, say_of, site_of
from station.hmi.rights import Right
from station.hmi.site import Site
from station.labels.labels import Label
from station.labels.schema import LabelError
from station.records.parts import PartRow
from station.records.selection import Selection
from station.reports import evidence, trace_picture
from station.reports.part_picture import limits_of, regions_in_words
from station.reports.tables import csv_text
from station.results import Verdict

PAGE, CSV_ROWS = 50, 5000
FILTER = ("part", "verdict", "reason", "recipe", "since", "until", "shift", "batch")
JPEG_QUALITY = 88
_HEADER = ("part_id", "session", "acquisition_id", "time", "shift", "verdict", "score", "reject_score",
           "defect_area_mm2", "reasons", "recipe", "engine_id", "batch", "label", "defect_class")  # fmt: skip


def routes() -> list[Route]:
    """Labels and the quarantine are the only things that change."""
    part = "/parts/{session}/{acquisition:int}"
    return [
        Route("/parts", table, name="parts"),
        Route("/parts.csv", as_csv, name="parts-csv"),
        Route(part, detail, name="part"),
        Route(part + "/label", label, name="part-label", methods=["POST"]),
        Route(part + "/evidence.zip", evidence_file, name="part-evidence"),
        Route(part + "/quarantine", quarantine, name="part-quarantine", methods=["POST"]),
        Route(part + "/{camera}/{kind}.jpg", picture, name="part-picture"),
    ]


def table(request: Request) -> Response:
    """The newest parts of the filter that stands in the address, a page at a time."""
    site = site_of(request)
    values: dict[str, Any] = {
        "asked": request.query_params,
        "verdicts": list(Verdict.__members__),
        "reasons": list(ReasonCode),
        "recipes": queries.recipes_of(site),
        "shifts": list(site.calendar.names),
        "filter": _filter(request),
    }
    try:
        selection = queries.selection_at(site, request.query_params, time.time())
        found = queries.newest(site, selection, PAGE, queries.mark_in(request.query_params))
    except queries.WrongFilter as problem:
        empty = queries.Page([], [], None)
        return page(request, "parts.html", status=400, problem=str(problem), found=empty, older="", **values)
    older = ""
    if found.older is not None:
        older = f"{_filter(request, before=f'{found.older[0]!r}_{found.older[1]}')}"
    return page(request, "parts.html", problem="", found=found, older=older, **values)


def as_csv(request: Request) -> Response:
    """The same for a spreadsheet, at most the newest 5,000."""
    site = site_of(request)
    try:
        selection = queries.selection_at(site, request.query_params, time.time())
    except queries.WrongFilter as problem:
        raise HTTPException(400, str(problem)) from problem
    looks = queries.looks_at(site, selection, CSV_ROWS)
    first = next(looks, [])  # what fails at once is a page, and no file that ends
    pieces = (csv_text(None, (_line(site, *one) for one in look)) for look in itertools.chain([first], looks))
    headers = {"Content-Disposition": 'attachment; filename="parts.csv"'}
    return StreamingResponse(
        itertools.chain([csv_text(_HEADER, [])], pieces), media_type="text/csv; charset=utf-8", headers=headers
    )


def _line(site: Site, row: PartRow, said: Label | None) -> tuple[object, ...]:
    """A part as a line of `_HEADER`."""
    return (
        row.part_id, row.session, row.acquisition_id, site.calendar.iso(row.wall_time),
        str(site.calendar.shift_at(row.wall_time)), row.verdict, row.score, row.reject_score, row.defect_area_mm2,
        "; ".join(str(reason) for reason in row.reason_list), row.recipe, row.engine_id, row.batch,
        None if said is None else said.label, None if said is None else said.defect_class,
    )  # fmt: skip


def detail(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """One part: pictures of every view, why, limits, trace, what people said, its neighbours in the filter."""
    site, part = site_of(request), _part(request)
    try:
        selection = queries.selection_at(site, request.query_params, time.time())
    except queries.WrongFilter:
        selection = Selection()
    found = queries.found(site, part, selection)
    seen = site.eyes.look(part)  # what is there, and why not; the pictures come by addresses of their own
    return page(
        request,
        "part.html",
        status=status,
        problem=problem,
        found=found,
        part=part,
        seen=seen,
        when=site.calendar.in_words(part.wall_time, "ms"),
        shift=site.calendar.shift_at(part.wall_time),
        regions_in_words=regions_in_words,
        limits_of=limits_of,
        marks_of=marks_of,
        compared_of=lambda view: site.nearest.compare(part, view.row.camera),
        timeline=Markup(trace_picture.draw(found.trace, say_of(request)).svg()),  # ElementTree has escaped its texts
        filter=_filter(request),
        classes=queries.classes_of(site),
        may_label=person_of(request).may(Right.REVIEW),
        may_keep=person_of(request).may(Right.OVERRULE),
    )


def label(request: Request) -> Response:
    """Good, defective with its class, or taken back."""
    part = _part(request)
    try:
        queries.say(
            site_of(request),
            person_of(request),
            part,
            field(request, "label"),
            defect_class=field(request, "class"),
            comment=field(request, "comment").strip(),
        )
    except LabelError as problem:
        return detail(request, status=400, problem=str(problem))
    return RedirectResponse(f"{request.url.path.removesuffix('/label')}{_filter(request)}", 303)


def quarantine(request: Request) -> Response:
    """Keeps a part as evidence, or lets it go; either needs a reason."""
    part, action = _part(request), field(request, "action")
    if action not in ("keep", "release"):
        return detail(request, status=400, problem=f'"{action:.40}": keep or release')
    reply: Mapping[str, Any] = {}
    why = field(request, "why").strip()
    try:
        if action == "release" and queries.needs_two(site_of(request)):
            reply = queries.ask_release(site_of(request), person_of(request), part, why)
        else:
            queries.keep_or_release(site_of(request), person_of(request), part, keeps=action == "keep", why=why)
    except (LabelError, ControlError) as problem:
        return detail(request, status=400, problem=str(problem))
    return waits_or(request, reply, f"{request.url.path.removesuffix('/quarantine')}{_filter(request)}#record")


def evidence_file(request: Request) -> Response:
    """Everything that is known of a part, as a ZIP with checksums."""
    part = _part(request)
    content = queries.evidence_of(site_of(request), part, person_of(request).name)
    headers = {"Content-Disposition": f'attachment; filename="{evidence.file_name(part)}"'}
    return Response(content, media_type="application/zip", headers=headers)


def picture(request: Request) -> Response:
    """A view as JPEG: `image` as the camera took it, `heat` under its heat map; or one of `Compared.picture`, to
    compare with good parts. By part and view, never by a path.
    """
    site, part, kind, camera = site_of(request), _part(request), *(request.path_params[n] for n in ("kind", "camera"))
    if kind in ("image", "heat"):
        seen = site.eyes.look(part, camera=camera)
        pixels = None
        if seen.views:
            pixels = seen.views[0].image if kind == "image" else seen.views[0].heated
    else:
        pixels = site.nearest.compare(part, camera).picture(kind)
    if pixels is None:
        raise HTTPException(404, "there is no such picture of this part")
    headers = {"Cache-Control": "private, max-age=600"}
    return Response(_jpeg(pixels), media_type="image/jpeg", headers=headers)


def _part(request: Request) -> PartRow:
    """The part of the address. Raises HTTPException 404."""
    session, acquisition_id = request.path_params["session"], request.path_params["acquisition"]
    part = queries.one(site_of(request), session, acquisition_id)
    if part is None:
        raise HTTPException(404, f"no part with acquisition {acquisition_id} of session {session} is on record")
    return part


def _filter(request: Request, **more: str) -> str:
    """The filter of this address, for links to others: empty or `?...`."""
    kept = [(name, value) for name in FILTER for value in request.query_params.getlist(name) if value]
    text = urlencode([*kept, *more.items()])
    return f"?{text}" if text else ""


def _jpeg(pixels: Pixels) -> bytes:
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
