"""The table of endpoints, and OpenAPI made from it: an endpoint that is not here does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from station import __version__
from station.codes import ReasonCode
from station.hmi.api import schema
from station.hmi.api.schema import Schema, many, obj, of

BASE = "/api/v1"
MAX_PARTS = 1000


@dataclass(frozen=True, slots=True)
class Parameter:
    """Of an address or a query."""

    name: str
    schema: Schema
    text: str = ""
    where: Literal["path", "query"] = "query"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that a program may ask."""

    name: str
    """Of its route, and `operationId`."""
    path: str
    """As OpenAPI writes it: `/parts/{session}`."""
    text: str
    returns: Schema | None
    """None: a file."""
    parameters: Sequence[Parameter] = ()
    method: Literal["get", "post"] = "get"
    takes: Schema | None = None
    needs: Literal["read", "label", "audit", ""] = "read"
    """The right of the token; empty: none."""
    errors: Sequence[int] = ()
    """Beside 401 and 403."""
    files: Sequence[str] = ("image/jpeg",)
    """Media types of what is a file."""


_SESSION = Parameter("session", schema.TEXT, "of the station's run", "path")
_NUMBER = Parameter("acquisition", of("integer", minimum=0), "the part's number within the run", "path")
_CAMERA = Parameter("camera", schema.TEXT, "", "path")
_ID = of("integer", minimum=0, maximum=2**63 - 1)
_AFTER = Parameter("after", _ID, "behind this number, oldest first; without it: the newest")
_LIMIT = Parameter("limit", of("integer", minimum=1, maximum=MAX_PARTS), f"at most {MAX_PARTS}; default 50")
REPORT_FILES = {
    "html": "text/html",
    "csv": "text/csv",
    "pdf": "application/pdf",
    "parquet": "application/vnd.apache.parquet",
}
"""Kinds of files of a report, and what they are."""
_TIMES = (
    Parameter("since", schema.TEXT, "06:00, 2026-11-29, 8h, or RFC 3339"),
    Parameter("until", schema.TEXT, "before this time"),
    Parameter("shift", schema.TEXT, "now, last, a name, NAME@2026-11-29"),
)
_FILTER = (
    *_TIMES,
    Parameter("verdict", many(schema.VERDICT), "may be given several times"),
    Parameter("reason", of("integer", enum=[int(code) for code in ReasonCode]), "a code"),
    Parameter("recipe", schema.TEXT),
    Parameter("engine", schema.TEXT, "the begin of its id"),
    Parameter("part", _ID, "the PLC's id"),
    Parameter("batch", schema.TEXT, "a name, `now` (the open one) or `last`"),
)
ENDPOINTS: Sequence[Endpoint] = (
    Endpoint("status", "/status", "What the station says of itself now.", schema.STATUS, errors=(503,)),
    Endpoint("health", "/health", "How everything does, and what to do.", schema.HEALTH, errors=(503,)),
    Endpoint("cameras", "/cameras", "The cameras, and how each does.", schema.CAMERAS, errors=(503,)),
    Endpoint("recipes", "/recipes", "The recipes, and which one is active.", schema.RECIPES, errors=(503,)),
    Endpoint(
        "parts", "/parts",
        "Parts on record, a page at a time: newest first, or with `after` as they were recorded.", schema.PAGE_OF_PARTS,
        (*_FILTER, Parameter("before", schema.TEXT, "`next` of the page before"),
         Parameter("after", _ID, "`after` of the page before; 0: from the first on"), _LIMIT),
        errors=(400, 503),
    ),
    Endpoint(
        "part-by-id", "/parts/by-id/{part_id}", "All parts with an id of the PLC, newest first.", schema.PAGE_OF_PARTS,
        (Parameter("part_id", of("integer", minimum=0), "", "path"),), errors=(404, 503),
    ),
    Endpoint(
        "part", "/parts/{session}/{acquisition}", "One part with its views, labels and steps.", schema.WHOLE_PART,
        (_SESSION, _NUMBER), errors=(404, 503),
    ),
    Endpoint(
        "trace", "/parts/{session}/{acquisition}/trace", "Every step of a part, and the events that concern it.",
        schema.TRACE, (_SESSION, _NUMBER), errors=(404, 503),
    ),
    Endpoint(
        "image", "/parts/{session}/{acquisition}/views/{camera}/{kind}.jpg",
        "A picture of a view: `image` as the camera took it, `heat` under its heat map.", None,
        (_SESSION, _NUMBER, _CAMERA, Parameter("kind", of("string", enum=["image", "heat"]), "", "path")),
        errors=(404, 503),
    ),
    Endpoint(
        "map", "/parts/{session}/{acquisition}/views/{camera}/map.png",
        "The anomaly map as it is stored: grey 0 to 255 is `map_low` to `map_high` of the view.", None,
        (_SESSION, _NUMBER, _CAMERA), errors=(404, 503), files=("image/png",),
    ),
    Endpoint(
        "evidence", "/parts/{session}/{acquisition}/evidence.zip",
        "Everything that is known of a part, with checksums.", None, (_SESSION, _NUMBER),
        errors=(404, 503), files=("application/zip",),
    ),
    Endpoint(
        "label", "/parts/{session}/{acquisition}/label", "Say what a part was; its verdict stays as it is.",
        obj(labels=many(schema.LABEL)), (_SESSION, _NUMBER), "post", schema.ASKED_LABEL, "label",
        errors=(400, 404, 413, 415, 503),
    ),
    Endpoint(
        "counts", "/counts", "Parts of production in groups.", obj(by=schema.BY, counts=many(schema.COUNT)),
        (Parameter("by", schema.BY, "default: shift"), *_FILTER), errors=(400, 503),
    ),
    Endpoint(
        "batches", "/batches", "Batches, newest first, or with `after` in the order in which they began.",
        obj(batches=many(schema.BATCH), after=schema.AFTER),
        (*_TIMES, Parameter("state", of("string", enum=["open", "ended"])),
         *(Parameter(name, schema.TEXT) for name in ("name", "product", "order", "recipe")), _AFTER, _LIMIT),
        errors=(400, 503),
    ),
    Endpoint(
        "batch", "/batches/{number}", "One batch with its parts; those of challenge tests are not counted.",
        obj(batch=schema.BATCH, counts=schema.COUNT),
        (Parameter("number", of("integer", minimum=0), "", "path"),), errors=(404, 503),
    ),
    Endpoint(
        "metrics-of", "/metrics-of",
        "The six production metrics of a time, a shift (default: the one that runs), a batch, a recipe: 100,000 parts "
        "at most. Review load is that of all parts of the time.", schema.METRICS_OF,
        (*_TIMES, Parameter("batch", schema.TEXT, "a name, `now` or `last`; it has its own time"),
         Parameter("recipe", schema.TEXT)), errors=(400, 503),
    ),
    Endpoint(
        "dispositions", "/dispositions", "What happens to the parts that waited for people.", schema.DISPOSITIONS,
        (Parameter("since", schema.TEXT, "of the trigger; default: a day ago"), _AFTER, _LIMIT), errors=(400, 503),
    ),
    Endpoint(
        "shifts", "/shifts", "The shifts of a time, the one that runs now last.", schema.SHIFTS,
        (Parameter("since", schema.TEXT, "default: 7 days ago"),), errors=(400, 503),
    ),
    Endpoint("events", "/events", "What happened and is no part.", schema.EVENTS, (_AFTER, _LIMIT), errors=(400, 503)),
    Endpoint(
        "audit", "/audit", "Who changed recipe, engine or configuration, and with what result.", schema.CHANGES,
        (_AFTER, _LIMIT), needs="audit", errors=(400, 503),
    ),
    Endpoint(
        "challenges", "/challenges", "Challenge tests with the verdict of every master part.", schema.CHALLENGES,
        (_AFTER, _LIMIT), errors=(400, 503),
    ),
    Endpoint("engines", "/engines", "Versions in the engine store, newest first.", obj(engines=many(schema.ENGINE)),
             errors=(503,)),
    Endpoint("reports", "/reports", "Stored reports, newest first.", obj(reports=many(schema.REPORT)), errors=(503,)),
    Endpoint(
        "report", "/reports/{name}", "The figures of a report.", schema.WHOLE_REPORT,
        (Parameter("name", schema.TEXT, "", "path"),), errors=(404, 503),
    ),
    Endpoint(
        "report-file", "/reports/{name}/file.{kind}", "A file of a report.", None,
        (Parameter("name", schema.TEXT, "", "path"),
         Parameter("kind", of("string", enum=list(REPORT_FILES)), "", "path")),
        errors=(404, 503), files=tuple(REPORT_FILES.values()),
    ),
    Endpoint("openapi", "/openapi.json", "This description.", of("object"), needs=""),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The description of the whole API, OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for each in ENDPOINTS:
        paths.setdefault(each.path, {})[each.method] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Edge inspection station", "version": __version__,
                 "description": "Within v1 fields are only added. Times are RFC 3339."},
        "servers": [{"url": BASE}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }  # fmt: skip


def _operation(each: Endpoint) -> dict[str, Any]:
    good = (
        {file: {"schema": {"type": "string", "contentMediaType": file}} for file in each.files}
        if each.returns is None
        else {"application/json": {"schema": each.returns}}
    )
    refused = {"application/problem+json": {"schema": schema.PROBLEM}}
    errors = (*((400, 401, 403) if each.needs else (400,)), *each.errors)
    found: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.text,
        "security": [{"token": []}] if each.needs else [],
        "parameters": [
            {
                "name": one.name,
                "in": one.where,
                "required": one.where == "path",
                "schema": one.schema,
                **({"description": one.text} if one.text else {}),
            }
            for one in each.parameters
        ],
        "responses": {
            "200": {"description": "done", "content": good},
            **{str(code): {"description": "refused", "content": refused} for code in sorted(set(errors))},
        },
    }
    if each.takes is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": each.takes}}}
    return found
