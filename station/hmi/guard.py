"""What stands before every page: who asks, may he, and does the request come from a page of this station.

In this order: the name of the host (a page elsewhere may let its own name point here), the login, the right of the
route, and for what changes something the `Origin` and the token that is bound to the login.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from station.configuration.northbound.addresses import is_loopback
from station.hmi.rendering import site_of
from station.hmi.rights import OF_PROGRAMS, STEP_UP, Person, Right

Trouble = Callable[[Request, Exception], Response]
SAFE = ("GET", "HEAD")
TOKEN_FIELD, TOKEN_HEADER = "csrf", "x-csrf"
MAX_FIELDS = 200
WS_REFUSED = 1008
"""Policy violation, RFC 6455 7.4.1."""


class MissingRight(Exception):
    """Routes without an entry in the table of rights."""


def guarded(routes: Sequence[BaseRoute], rights: Mapping[str, Right], trouble: Trouble) -> list[BaseRoute]:
    """The same routes behind the guard. `trouble` makes the page for an exception of an endpoint.

    Raises MissingRight when one has no entry in the table.
    """
    names = [str(getattr(route, "name", "")) for route in routes]
    if missing := sorted(set(names) - set(rights)):
        raise MissingRight(f"routes without a right in station/hmi/rights.py: {', '.join(missing)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise MissingRight(f"routes of the same name: {', '.join(twice)}")
    return [_guarded(route, rights[name], trouble) for route, name in zip(routes, names, strict=True)]


def _guarded(route: BaseRoute, right: Right, trouble: Trouble) -> BaseRoute:
    match route:
        case Mount() if right is Right.EVERYBODY:
            return route
        case Route():
            methods = sorted(route.methods or SAFE)
            guard = _page(route.endpoint, route.name, right, trouble)
            return Route(route.path, guard, methods=methods, name=route.name)
        case WebSocketRoute():
            return WebSocketRoute(route.path, _socket(route.endpoint, route.name, right), name=route.name)
    raise MissingRight(f"{route}: only pages, sockets, and files for everybody can be guarded")


def _page(
    endpoint: Callable[[Request], Response], name: str, right: Right, trouble: Trouble
) -> Callable[[Request], object]:
    async def guard(request: Request) -> Response:
        if right in OF_PROGRAMS:
            await run_in_threadpool(_show_token, request, name, right)
            request.state.body = await _json_body(request) if request.method not in SAFE else b""
        else:
            await run_in_threadpool(_enter, request, name, right)
        if request.method not in SAFE and right not in OF_PROGRAMS:
            request.state.form = await _form(request)
            if right in STEP_UP:
                await run_in_threadpool(_prove, request)
        try:
            return await run_in_threadpool(endpoint, request)
        except HTTPException:
            raise
        except Exception as problem:  # noqa: BLE001  the boundary: a page that fails is a page with a sentence
            return await run_in_threadpool(trouble, request, problem)

    return guard


def _socket(endpoint: Callable[[WebSocket], object], name: str, right: Right) -> Callable[[WebSocket], object]:
    async def guard(socket: WebSocket) -> None:
        try:
            await run_in_threadpool(_enter, socket, name, right)
            _same_origin(socket)
        except HTTPException as refusal:
            await socket.close(WS_REFUSED, str(refusal.detail))
            return
        await endpoint(socket)  # type: ignore[misc]  # Starlette's endpoints are typed as any callable

    return guard


def _enter(connection: HTTPConnection, name: str, right: Right) -> None:
    """Finds out who asks. Raises HTTPException: 400 another host, 401 nobody has signed in, 403 he may not."""
    _own_host(connection)
    connection.state.route = name
    connection.state.person, connection.state.csrf = _login(connection)
    if not connection.state.person.may(right):
        raise HTTPException(403 if connection.state.person.is_signed_in else 401)


def _show_token(request: Request, name: str, right: Right) -> None:
    """A program shows its token: nothing that a browser sends by itself, so no page elsewhere can use it.

    Raises HTTPException: 400 another host, 401 no token or an old one, 403 it may not.
    """
    _own_host(request)
    request.state.route, request.state.person, request.state.csrf = name, Person(""), ""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    token = site_of(request).tokens.of(secret.strip()) if kind.lower() == "bearer" and secret.strip() else None
    if token is None:
        raise HTTPException(401, "Sign in to see this page. Programs show a token: Authorization: Bearer TOKEN")
    if OF_PROGRAMS[right] not in token.rights:
        raise HTTPException(403, f'the token "{token.name}" may not {OF_PROGRAMS[right]}')
    request.state.token = token


async def _json_body(request: Request) -> bytes:
    """What was sent. Raises HTTPException 415: it does not say that it is JSON."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send application/json")
    return await request.body()


def _login(connection: HTTPConnection) -> tuple[Person, str]:
    """Who has signed in, and the token of that login; nobody has an empty one."""
    site = site_of(connection)
    token = connection.cookies.get(cookie_of(connection), "")
    login = site.accounts.login_of(token) if token else None
    if login is None:
        return Person("", open_live=site.settings.open_live), ""
    return Person(login.name, login.roles), login.csrf


def _prove(request: Request) -> None:
    """Raises HTTPException 403: the password that the form asks once more is wrong."""
    if not site_of(request).accounts.is_proven(request.state.person.name, field(request, "proof"), address_of(request)):
        raise HTTPException(403, "the password is wrong; nothing was changed")


def cookie_of(connection: HTTPConnection) -> str:
    """The name of the cookie that carries the login. `__Host-`: a browser takes it from this host alone, encrypted."""
    return "__Host-station" if site_of(connection).settings.certificate is not None else "station"


def address_of(connection: HTTPConnection) -> str:
    """Where the request comes from."""
    return connection.client.host if connection.client is not None else ""


def inside(path: str) -> str:
    """The path, if it leads to a page of this station; else to the first page."""
    is_inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_inside else "/"


def _own_host(connection: HTTPConnection) -> None:
    """Pages that listen on this computer alone are asked by its names alone (DNS rebinding)."""
    settings = site_of(connection).settings
    host = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
    if is_loopback(settings.host) and not is_loopback(host):
        raise HTTPException(400, "the address is not that of this station")


def _same_origin(connection: HTTPConnection) -> None:
    """Raises HTTPException 403: the request comes from a page of another station or site."""
    origin = urlsplit(connection.headers.get("origin", ""))
    encrypted = connection.url.scheme in ("https", "wss")
    if (origin.scheme, origin.netloc) != ("https" if encrypted else "http", connection.headers.get("host", "")):
        raise HTTPException(403, "the request does not come from a page of this station; nothing was changed")


async def _form(request: Request) -> FormData:
    """What was sent, if it comes from a page of this login. Raises HTTPException 403."""
    _same_origin(request)
    form = await request.form(max_files=0, max_fields=MAX_FIELDS)
    given = request.headers.get(TOKEN_HEADER) or form.get(TOKEN_FIELD) or ""
    if not hmac.compare_digest(str(given).encode(), str(request.state.csrf).encode()):
        raise HTTPException(403, "the page is of another login; load it again. Nothing was changed")
    return form


def field(request: Request, name: str) -> str:
    """A field of the form that was sent; empty when it is missing."""
    return str(request.state.form.get(name, ""))
