"""The table of endpoints, and OpenAPI made from it: an endpoint that is not here does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from station import __version__
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
    """None: an image."""
    parameters: Sequence[Parameter] = ()
    method: Literal["get", "post"] = "get"
    takes: Schema | None = None
    needs: Literal["read", "label", ""] = "read"
    """The right of the token; empty: none."""
    errors: Sequence[int] = ()
    """Beside 401 and 403."""


_SESSION = Parameter("session", schema.TEXT, "of the station's run", "path")
_NUMBER = Parameter("acquisition", of("integer", minimum=0), "the part's number within the run", "path")
_CAMERA = Parameter("camera", schema.TEXT, "", "path")
_FILTER = (
    Parameter("since", schema.TEXT, "06:00, 2026-11-29, 8h, or RFC 3339"),
    Parameter("until", schema.TEXT, "before this time"),
    Parameter("shift", schema.TEXT, "now, last, a name, NAME@2026-11-29"),
    Parameter("verdict", schema.VERDICT, "may be given several times"),
    Parameter("reason", of("integer"), "a code"),
    Parameter("recipe", schema.TEXT),
)
ENDPOINTS: Sequence[Endpoint] = (
    Endpoint("status", "/status", "What the station says of itself now.", schema.STATUS, errors=(503,)),
    Endpoint("health", "/health", "How everything does, and what to do.", schema.HEALTH),
    Endpoint(
        "parts", "/parts", "Parts on record, newest first, a page at a time.", schema.PAGE_OF_PARTS,
        (*_FILTER, Parameter("part", of("integer"), "the PLC's id"),
         Parameter("before", schema.TEXT, "`next` of the page before"),
         Parameter("limit", of("integer", minimum=1, maximum=MAX_PARTS), f"at most {MAX_PARTS}")),
        errors=(400, 503),
    ),
    Endpoint(
        "part", "/parts/{session}/{acquisition}", "One part with its views, labels and steps.", schema.WHOLE_PART,
        (_SESSION, _NUMBER), errors=(404, 503),
    ),
    Endpoint(
        "image", "/parts/{session}/{acquisition}/views/{camera}/{kind}.jpg",
        "A picture of a view: `image` as the camera took it, `heat` under its heat map.", None,
        (_SESSION, _NUMBER, _CAMERA, Parameter("kind", of("string", enum=["image", "heat"]), "", "path")),
        errors=(404, 503),
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
    Endpoint("engines", "/engines", "Versions in the engine store, newest first.", obj(engines=many(schema.ENGINE)),
             errors=(503,)),
    Endpoint("reports", "/reports", "Stored reports, newest first.", obj(reports=many(schema.REPORT)), errors=(503,)),
    Endpoint(
        "report", "/reports/{name}", "The figures of a report.", schema.WHOLE_REPORT,
        (Parameter("name", schema.TEXT, "", "path"),), errors=(404, 503),
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
        {"image/jpeg": {"schema": {"type": "string", "contentMediaType": "image/jpeg"}}}
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
