"""Live: what the station decides now."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from station.control import ControlError
from station.hmi import queries
from station.hmi.guard import field
from station.hmi.live.hub import Have, TooMany
from station.hmi.rendering import language_of, page, person_of, site_of, words_of
from station.hmi.rights import Right
from station.hmi.words import Words
from station.results import Verdict
from station.terminal import one_line

VERDICTS = tuple(verdict.name for verdict in Verdict)
SILENT_S = 10.0
"""A page that asks for nothing within this time, or does not take what it asked for, has gone."""
LOGIN_S = 60.0
"""Longest time that a page goes on after its login has ended."""
CONTROL_S = 5.0
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
"""RFC 6455 7.4.1, and the registry of IANA."""
ASKS = ("online", "offline", "clear")


def routes() -> list[BaseRoute]:
    """The page, its socket, and what a person does on it."""
    return [
        Route("/live", live, name="live"),
        WebSocketRoute("/live/socket", socket, name="live-socket"),
        Route("/live/part/{key}", part, name="live-part"),
        Route("/live/batch", batches, name="live-batch"),
        Route("/live/batch/begin", begin_batch, name="live-batch-begin", methods=["POST"]),
        Route("/live/batch/end", end_batch, name="live-batch-end", methods=["POST"]),
        Route("/live/seen", seen, name="live-seen", methods=["POST"]),
        *(Route(f"/live/{what}", _asking(what), name=f"live-{what}", methods=["POST"]) for what in ASKS),
    ]


def live(request: Request) -> Response:
    """The page; everything on it comes through the socket, so that nothing is on it that could be old."""
    person = person_of(request)
    return page(
        request,
        "live.html",
        words=page_words(words_of(request)),
        verdicts=VERDICTS,
        may_operate=person.may(Right.OPERATE),
        may_clear=person.may(Right.CLEAR),
    )


def page_words(words: Words) -> dict[str, str]:
    """What the script of the page says."""
    gettext = words.gettext
    return {
        **{verdict.name: gettext(verdict.name) for verdict in Verdict},
        "old": gettext("OLD"),
        "nodata": gettext("NO DATA"),
        "waiting": gettext("WAITING"),
        "batch": gettext("Batch"),
        "held": gettext("HELD"),
        "held_text": gettext("not the part of now; tap again to let go"),
        "connecting": gettext("connecting"),
        "refused": gettext("the pages are full or you may not look; reload the page later"),
        "noserver": gettext("the pages do not answer"),
        "noserver_action": gettext("check the network and the service station-hmi"),
        "nostation": gettext("the station does not answer"),
        "nostation_action": gettext("it may be starting again; if it stays so: station status"),
        "nopart": gettext("no part yet"),
        "nopart_for": gettext("no part for"),
        "nopicture": gettext("there is no picture of this view"),
        "notkept": gettext("this part is not kept here; look for it under Parts"),
        "asking": gettext("asked, not done yet"),
        "notknown": gettext("not known whether it was done; look at the state"),
        "last": gettext("last part"),
        "part": gettext("part"),
        "acquisition": gettext("acquisition"),
        "challenge": gettext("master part"),
        "ago": gettext("s ago"),
        "was": gettext("was:"),
    }


async def socket(connection: WebSocket) -> None:
    """One message for each that the page asks for, until the page has gone."""
    hub = site_of(connection).live
    language, words = language_of(connection), words_of(connection)
    await connection.accept()
    try:
        async with hub.looking(connection.state.csrf or None):
            until = time.monotonic() + LOGIN_S
            while time.monotonic() < until:
                asked = await asyncio.wait_for(connection.receive_text(), SILENT_S)
                message = await hub.message(Have.of(asked), language, words)
                await asyncio.wait_for(connection.send_bytes(message), SILENT_S)
        await _close(connection)  # the page opens another one at once, and the guard looks at its login again
    except TooMany as problem:
        await _close(connection, TRY_AGAIN_LATER, str(problem))
    except (ValueError, KeyError):
        await _close(connection, POLICY_VIOLATION, "this is not what a page of this station asks")
    except (WebSocketDisconnect, asyncio.TimeoutError):
        await _close(connection)


async def _close(connection: WebSocket, code: int = 1000, why: str = "") -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # closed by the page already
        await connection.close(code, why)


def part(request: Request) -> Response:
    """A part that came a moment ago, to be held."""
    message = site_of(request).live.part(request.path_params["key"], words_of(request))
    if message is None:
        raise HTTPException(404, "this part is not kept here any more")
    return Response(message, media_type="application/octet-stream")


def batches(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """Which batch is open, and the newest ones with their parts."""
    return page(
        request,
        "batch.html",
        status=status,
        problem=problem,
        rows=queries.batches(site_of(request)),
        asked=getattr(request.state, "form", {}),
        may_operate=person_of(request).may(Right.OPERATE),
    )


def begin_batch(request: Request) -> Response:
    """Asks the daemon to begin one; one that is open ends."""
    texts = {key: field(request, key).strip() for key in ("name", "product", "order")}
    return _asked_of_batch(request, {"action": "begin", **texts})


def end_batch(request: Request) -> Response:
    """Asks the daemon to end the open one."""
    return _asked_of_batch(request, {"action": "end"})


def _asked_of_batch(request: Request, asked: dict[str, str]) -> Response:
    try:
        site_of(request).ask(person_of(request), {"command": "batch", **asked}, CONTROL_S)
    except (ControlError, ValueError) as problem:
        return batches(request, status=409, problem=one_line(problem))
    return RedirectResponse(request.app.url_path_for("live-batch"), 303)


def seen(request: Request) -> Response:
    """Somebody has seen what needs a person: what his page showed, and nothing that came later."""
    try:
        keys = json.loads(field(request, "keys"))
    except ValueError as problem:
        raise HTTPException(400, "keys: a list of what was seen") from problem
    if not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise HTTPException(400, "keys: a list of what was seen")
    site_of(request).live.seen(keys, person_of(request).name)
    return _said(request, words_of(request).gettext("noted as seen"))


def _asking(what: str) -> Callable[[Request], Response]:
    """Asks the daemon, and says what it has said: nothing is shown as done before."""

    def asked(request: Request) -> Response:
        words = words_of(request)
        try:
            site_of(request).ask(person_of(request), {"command": what}, CONTROL_S)
        except (ControlError, ValueError) as problem:
            return _said(request, words.gettext("refused: %(why)s") % {"why": problem}, 409)
        return _said(request, words.gettext("done"))

    return asked


def _said(request: Request, said: str, status: int = 200) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"said": said}, status)
    if status != 200:
        raise HTTPException(status, said)
    return RedirectResponse(request.app.url_path_for("live"), 303)
