"""What a request asks for: the part of its address, the filter, where a page begins. What is wrong is 400 or 404."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from station.configuration.section import did_you_mean
from station.hmi import queries
from station.hmi.api.endpoints import MAX_PARTS, Endpoint
from station.hmi.rendering import site_of
from station.records.parts import PartRow
from station.records.selection import Selection

DEFAULT_LIMIT = 50


def checked(endpoint: Endpoint, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """The same behind a look at the names in the query: one that is mistyped would be no filter at all.

    Raises HTTPException 400 for a name that the endpoint does not know, and for one that comes twice.
    """
    known = {one.name: one.schema.get("type") == "array" for one in endpoint.parameters if one.where == "query"}

    def look(request: Request) -> Response:
        asked = request.query_params
        for name in asked:
            if name not in known:
                allowed = f"allowed: {', '.join(known)}" if known else "it takes none"
                raise HTTPException(400, f'"{name:.40}" is no parameter{did_you_mean(name, list(known))}; {allowed}')
            if len(asked.getlist(name)) > 1 and not known[name]:
                raise HTTPException(400, f"{name} comes more than once")
        return handler(request)

    return look


def part_of(request: Request) -> PartRow:
    """The part of the address. Raises HTTPException 404."""
    session, number = request.path_params["session"], request.path_params["acquisition"]
    row = queries.one(site_of(request), session, number)
    if row is None:
        raise HTTPException(404, "no such part is on record")
    return row


def selection_of(request: Request) -> Selection:
    """The filter. Raises HTTPException 400."""
    try:
        return queries.selection_at(site_of(request), request.query_params, time.time())
    except queries.WrongFilter as problem:
        raise HTTPException(400, str(problem)) from problem


def limit_of(request: Request) -> int:
    """The most that a page holds. Raises HTTPException 400."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_PARTS):
        raise HTTPException(400, f'limit "{text:.20}": 1 to {MAX_PARTS}')
    return int(text)


def after_of(request: Request) -> int | None:
    """Behind which number the page begins; None: it is that of the newest. Raises HTTPException 400."""
    text = request.query_params.get("after")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and int(text[:20]) <= queries.MAX_ID):
        raise HTTPException(400, f'after "{text:.20}": `after` of the page before, 0 to begin')
    return int(text)
