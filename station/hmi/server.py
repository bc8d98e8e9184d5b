"""Serves the pages until the process is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from station.configuration.load import LoadedConfiguration
from station.configuration.model import HmiSection

MAX_CONNECTIONS = 100
MAX_SOCKET_BYTES = 64 * 1024
KEEP_ALIVE_S = 20


class ServingError(Exception):
    """The address cannot be taken, or the certificate cannot be used; the message says why."""


def address_of(settings: HmiSection, port: int) -> str:
    """Where a browser finds the pages."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'http' if settings.certificate is None else 'https'}://{host}:{port}/"


def listening(host: str, port: int) -> socket.socket:
    """A socket that has taken the address; who connects now waits for the server. Raises ServingError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen()  # before anyone reads the address, or the first to come is refused
    except OSError as problem:
        taken.close()
        raise ServingError(
            f"[hmi] host = {host}, port = {port} cannot be taken: {problem.strerror or problem}; "
            "choose another port, or stop what has it"
        ) from problem
    return taken


def server_of(app: Starlette, station: LoadedConfiguration, alive: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """A server for the pages of this station; its loop calls `alive` every second. Raises ServingError."""

    async def turned() -> None:
        alive()

    settings = station.settings.hmi
    files = {}
    if settings.certificate is not None and settings.key is not None:
        files = {"ssl_certfile": station.resolve(settings.certificate), "ssl_keyfile": station.resolve(settings.key)}
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws_max_size=MAX_SOCKET_BYTES,
        ws_per_message_deflate=False,  # pictures are compressed already: it costs more than all the rest of a message
        timeout_graceful_shutdown=2,
        callback_notify=turned,
        timeout_notify=1,
        **files,  # type: ignore[arg-type]
    )
    try:
        config.load()
    except OSError as problem:  # of ssl, too
        raise ServingError(f"[hmi] certificate, key: cannot be used: {problem}") from problem
    return uvicorn.Server(config)
