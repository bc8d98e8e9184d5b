"""Puts the pages together: the table of pages, the guard before each, and what is shown when something goes wrong.

No error shows a traceback: each is a page with a sentence, in the person's language. What was not foreseen has a number
under which the log has the whole of it.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from urllib.parse import urlencode

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from engines.errors import EngineError
from station.access.accounts import AccountError, Accounts
from station.access.tokens import Tokens
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.control import ControlError
from station.hmi.api import v1
from station.hmi.guard import guarded
from station.hmi.headers import BodyLimit, Headers
from station.hmi.heads import Heads
from station.hmi.line import LineState
from station.hmi.live.hub import LiveHub
from station.hmi.live.shift import ShiftCounts
from station.hmi.pages import (
    account,
    home,
    limits,
    live,
    parts,
    recipes,
    reports,
    review,
    second,
    settings,
    setup,
    setup_line,
    users,
    what_if,
    zones,
)
from station.hmi.pages.maintenance import (
    agreement,
    challenge,
    comparing,
    engines,
    health,
    process,
    shadow,
    teaching,
    virtual,
    wearing,
)
from station.hmi.rendering import STATIC, Rendering, page, words_of
from station.hmi.review.pictures import KeptPictures
from station.hmi.rights import ROUTES, Right
from station.hmi.setup.pictures import Pictures
from station.hmi.site import Site
from station.hmi.words import LanguageError, check_known, languages
from station.labels.schema import LabelError
from station.live.reading import LiveReader
from station.msa.study import StudyError
from station.records.rollups.keeping import Rollups
from station.records.schema import RecordingError
from station.reports.nearest_good import NearestGood
from station.reports.production.stored import StoredReportError
from station.reports.seen import Eyes
from station.reports.shifts import calendar_of
from station.terminal import one_line

PAGES: tuple[ModuleType, ...] = (
    home,
    live,
    recipes,
    review,
    parts,
    reports,
    setup,
    zones,
    limits,
    what_if,
    settings,
    setup_line,
    health,
    challenge,
    virtual,
    wearing,
    process,
    agreement,
    engines,
    comparing,
    shadow,
    teaching,
    second,
    account,
    users,
    v1,
)
"""A page is a module with `routes()`; here is its place, and in `rights.ROUTES` who may open it."""
FORESEEN = (
    RecordingError,
    AccountError,
    LabelError,
    StudyError,
    ConfigurationError,
    ControlError,
    StoredReportError,
    EngineError,
    sqlite3.Error,
    OSError,
)
"""What a person can set right; the message says what."""
API_BASE = ("/api/", "/metrics", "/healthz", "/readyz")
"""Addresses of programs: their errors are no pages."""
FOLLOW_S, BEHIND_S = 60.0, 0.2
"""Between two looks for what is new to the rollups; of records that are new to them every look is a second long."""
REVIEW_PX = 1200
"""Longer side of a picture on the page Review."""
_KEEP = "public, max-age=31536000, immutable"


def site_of_station(station: LoadedConfiguration) -> Site:
    """What the pages of this station share. Raises ConfigurationError: the texts of a language cannot be had."""
    try:
        words = languages()
        check_known(station.settings.hmi.language, words)
    except LanguageError as problem:
        raise ConfigurationError(station.path, [str(problem)]) from problem
    calendar = calendar_of(station.settings.station)
    eyes = Eyes(station.records_dir, station)
    rollups = Rollups(station.records_dir, own_dir_of(station))
    return Site(
        station=station,
        calendar=calendar,
        eyes=eyes,
        looked_at=KeptPictures(eyes, REVIEW_PX),
        nearest=NearestGood(eyes),
        line=LineState(station.control_socket),
        live=LiveHub(LiveReader(station.runtime_dir), ShiftCounts(station.records_dir, calendar, rollups)),
        pictures=Pictures(station.runtime_dir),
        words=words,
        rendering=Rendering(words),
        accounts=accounts_of(station),
        tokens=Tokens(own_dir_of(station)),
        rollups=rollups,
    )


def own_dir_of(station: LoadedConfiguration) -> Path:
    """The only folder that the process of the pages writes."""
    return station.accounts_dir


def accounts_of(station: LoadedConfiguration) -> Accounts:
    """The accounts of the pages."""
    return Accounts(own_dir_of(station), idle_s=station.settings.hmi.idle_min * 60.0)


def build(site: Site, pages: tuple[ModuleType, ...] = PAGES, rights: Mapping[str, Right] = ROUTES) -> Starlette:
    """The application. Raises MissingRight: a route has no entry in the table of rights."""
    routes: list[BaseRoute] = [route for each in pages for route in each.routes()]
    routes.append(Mount("/static", _Files(directory=STATIC), name="static"))
    app = Starlette(
        routes=guarded(routes, rights, _trouble),
        middleware=[Middleware(Headers, encrypted=site.settings.certificate is not None), Middleware(BodyLimit)],
        exception_handlers={HTTPException: _refused},
        lifespan=_life,
    )
    app.state.site = site
    app.state.rights = rights
    return app


@asynccontextmanager
async def _life(app: Starlette) -> AsyncIterator[None]:
    """While the pages run, the rollups follow the records; at the end nothing that they have started goes on."""
    site = app.state.site
    heads = Heads(site.records, site.own_dir)
    tasks = [asyncio.create_task(_follow(site.rollups)), asyncio.create_task(_keep(heads))]
    yield
    for task in tasks:
        task.cancel()
    app.state.site.works.close()


async def _follow(rollups: Rollups) -> None:
    while True:
        is_whole = await asyncio.to_thread(rollups.follow)
        await asyncio.sleep(FOLLOW_S if is_whole else BEHIND_S)


async def _keep(heads: Heads) -> None:
    while True:
        await asyncio.to_thread(heads.keep)
        await asyncio.sleep(FOLLOW_S)


class _Files(StaticFiles):
    """Files that belong to the pages; their address changes with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _KEEP
        return response


def _refused(request: Request, problem: Exception) -> Response:
    """Not found, not allowed, not signed in."""
    assert isinstance(problem, HTTPException)
    words = words_of(request)
    sentences = {
        400: words.gettext("This request cannot be understood."),
        401: words.gettext("Sign in to see this page."),
        403: words.gettext("Your roles do not allow this."),
        404: words.gettext("There is no such page."),
        405: words.gettext("This page cannot be used that way."),
        409: words.gettext("Somebody else was faster."),
        413: words.gettext("That is more than a page takes."),
    }
    if request.url.path.startswith(API_BASE):
        headers = dict(problem.headers or {})
        if problem.status_code == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return _problem(problem.status_code, str(problem.detail), headers)
    if problem.status_code == 401 and request.method == "GET":
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{request.app.url_path_for('login')}?{urlencode({'next': wanted})}", 303)
    sentence = sentences.get(problem.status_code, words.gettext("This request cannot be answered."))
    detail = "" if problem.detail == _phrase(problem.status_code) else str(problem.detail)
    shown = _error_page(request, problem.status_code, sentence, detail)
    shown.headers.update(problem.headers or {})
    return shown


def _trouble(request: Request, problem: Exception) -> Response:
    """An endpoint has raised it."""
    if isinstance(problem, PermissionError):
        problem = RecordingError(
            f'"{problem.filename}" is closed to the user of the pages ({problem.strerror}): station check says what is '
            "missing"
        )
    if isinstance(problem, FORESEEN):
        if request.url.path.startswith(API_BASE):
            return _problem(503, one_line(problem))
        sentence = words_of(request).gettext("This cannot be shown now.")
        return _error_page(request, 503, sentence, one_line(problem))
    return _failed(request, problem)


def _failed(request: Request, problem: Exception) -> Response:
    """What nobody has foreseen. The log has the traceback under the number that the page shows."""
    number = secrets.token_hex(4)
    structlog.get_logger().error(
        "page failed", number=number, method=request.method, path=request.url.path, exc_info=problem
    )
    if request.url.path.startswith(API_BASE):
        return _problem(500, f"the log names the cause under {number}")
    words = words_of(request)
    sentence = words.gettext("The page failed. The line is not concerned.")
    return _error_page(
        request, 500, sentence, words.gettext("The log names the cause under %(number)s.") % {"number": number}
    )


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error for a program, RFC 9457. `headers`: those that the status needs (405: which methods are allowed)."""
    body = {"type": "about:blank", "title": _phrase(status), "status": status, "detail": detail}
    return JSONResponse(body, status, dict(headers or {}), media_type="application/problem+json")


def _error_page(request: Request, status: int, sentence: str, detail: str) -> HTMLResponse:
    return page(request, "error.html", status=status, title=sentence, detail=detail)


def _phrase(status: int) -> str:
    return str(HTTPException(status).detail)
