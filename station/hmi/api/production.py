"""Batches, and the six production metrics of a time, a shift, a batch, a recipe."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from station.hmi import queries
from station.hmi.api.asked import after_of, limit_of
from station.hmi.rendering import site_of
from station.hmi.site import Site
from station.records.batches.rows import BatchFilter, BatchRow
from station.records.selection import Selection
from station.reports.as_data import count_as_data
from station.reports.counts import total
from station.reports.production.making import Order, TooManyParts, read_metrics
from station.reports.production.metrics_of import Metric
from station.reports.production.reading import Period
from station.reports.shifts import TimeError

MOST_PARTS = 100_000
"""Of one request: 1.6 s of a processor. What has more is a report."""
_WAIT_S = 10.0
_ONE_AT_A_TIME = threading.Lock()


def batches(request: Request) -> Response:
    """A page of the filter: the newest ones, or those behind `after`, oldest first."""
    site, after = site_of(request), after_of(request)
    rows = queries.batches_after(site, after, limit_of(request), _filter(request))
    data = [_as_data(row, site) for row in rows]
    return JSONResponse({"batches": data, "after": rows[-1].number if rows else after or 0})


def batch(request: Request) -> Response:
    """One batch with its parts."""
    site, number = site_of(request), request.path_params["number"]
    row = queries.batch_numbered(site, number) if number <= queries.MAX_ID else None
    if row is None:
        raise HTTPException(404, "there is no batch of this number")
    counts = count_as_data(total(queries.counts_of(site, Selection(batch=row.number), "recipe")), "of")
    return JSONResponse({"batch": _as_data(row, site), "counts": counts})


def metrics_of(request: Request) -> Response:
    """What nobody has looked at is null, with the reason."""
    site, now = site_of(request), time.time()
    order = _order(request, now)
    if not _ONE_AT_A_TIME.acquire(timeout=_WAIT_S):
        raise HTTPException(503, "other metrics are being worked out; ask again")
    try:
        metrics, parts = read_metrics(site.records, order, now, MOST_PARTS)
    except TooManyParts as problem:
        raise HTTPException(400, f"{problem}; choose a shorter time, or make a report of it") from problem
    finally:
        _ONE_AT_A_TIME.release()
    period = order.period
    return JSONResponse(
        {
            "period": period.name,
            "since": site.calendar.iso(period.since),
            "until": site.calendar.iso(period.until),
            "recipe": order.recipe,
            "batch": order.batch,
            "parts": parts,
            "confidence": 0.95,
            "metrics": [_metric(one) for one in metrics],
        }
    )


def _order(request: Request, now: float) -> Order:
    """What is asked for: a batch by its name, else a time or a shift, else the shift that runs. Raises 400."""
    site, asked = site_of(request), request.query_params
    recipe, name = asked.get("recipe") or None, asked.get("batch", "").strip()
    if name:
        if any(asked.get(other) for other in ("since", "until", "shift")):
            raise HTTPException(400, "a batch has its own time: leave since, until and shift")
        if (row := queries.batch_of(site, name)) is None:
            raise HTTPException(400, f'batch "{name:.40}": there is none of this name on record')
        return Order(Period(f"batch {row.name}", *queries.time_of_batch(site, row, now)), recipe, row.number)
    try:
        chosen = queries.selection_of(asked, site.calendar, now)
        if chosen.since is None and chosen.until is None:
            shift = site.calendar.find("now", now)
            return Order(Period(f"shift {shift}", shift.start, shift.end), recipe)
    except (queries.WrongFilter, TimeError) as problem:
        raise HTTPException(400, str(problem)) from problem
    if chosen.since is None:
        raise HTTPException(400, "until needs since, or a shift that it ends")
    until = now if chosen.until is None else chosen.until
    if until <= chosen.since:
        raise HTTPException(400, "there is nothing in this period: its begin must be before its end, and before now")
    begin, end = (site.calendar.in_words(moment, "min") for moment in (chosen.since, until))
    return Order(Period(f"{begin} to {end}", chosen.since, until), recipe)


def _filter(request: Request) -> BatchFilter:
    """Raises HTTPException 400."""
    asked = request.query_params
    try:
        times = queries.selection_of(asked, site_of(request).calendar, time.time())
    except queries.WrongFilter as problem:
        raise HTTPException(400, str(problem)) from problem
    if (state := asked.get("state")) not in (None, "open", "ended"):
        raise HTTPException(400, f'state "{state:.20}": open or ended')
    names = {key: asked.get(key) or None for key in ("name", "product", "order", "recipe")}
    return BatchFilter(since=times.since, until=times.until, state=state, **names)


def _as_data(row: BatchRow, site: Site) -> dict[str, Any]:
    iso = site.calendar.iso
    return {
        "number": row.number,
        "name": row.name,
        "product": row.product,
        "order": row.order_no,
        "recipe": row.recipe,
        "start": iso(row.start_s),
        "end": None if row.end_s is None else iso(row.end_s),
        "begun_by": row.begun_by,
        "ended_by": row.ended_by,
    }


def _metric(one: Metric) -> dict[str, Any]:
    return {**asdict(one), "known": one.value is not None, "more": dict(one.more)}
