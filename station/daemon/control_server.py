"""The control socket of the daemon: takes one JSON object a line and replies with one; the client is station.control.

The station's own user and group can open it (mode 0660). The kernel says who asks, `station.access` what he may ask. A
client that sends nothing is dropped after CLIENT_TIMEOUT_S.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from station.access.asker import NOBODY, PAGES, PLANT, SHELL, Asker
from station.access.people import ON_BEHALF, on_behalf_of
from station.access.rights import needed, refused_to_plant
from station.access.roles import Caller, RoleGroups, peer_of
from station.control import MAX_LINE_BYTES, ControlError, check_socket_path

log = structlog.get_logger()

Handler = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Takes the request, with who sends it, or the person on whose behalf: as `asker`, and for the records as `user`."""
CLIENT_TIMEOUT_S = 2.0
MOST_CLIENTS = 16
"""At the same time; each has a thread."""
_Connection = socket.socket | tuple[bytes, socket.socket]
"""As socketserver declares it."""


class _Handler(socketserver.StreamRequestHandler):
    timeout = CLIENT_TIMEOUT_S
    server: _Server

    def handle(self) -> None:
        try:
            line = self.rfile.readline(MAX_LINE_BYTES)
            answer = self.server.answer(line, self.server.groups.caller(*peer_of(self.connection)))
            self.wfile.write(json.dumps(answer, default=str).encode() + b"\n")
        except OSError as problem:
            log.info("control client went away", detail=str(problem))


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    """Nobody waits for a client at the end."""
    block_on_close = False

    def __init__(
        self, path: Path, handlers: Mapping[str, Handler], groups: RoleGroups, refused: Callable[[str], None]
    ) -> None:
        self.handlers = dict(handlers)
        self.groups = groups
        self._refused = refused
        self.turns = 0
        self._places = threading.BoundedSemaphore(MOST_CLIENTS)
        before = os.umask(0o117)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)

    def service_actions(self) -> None:
        self.turns += 1

    def process_request(self, request: _Connection, client_address: Any) -> None:
        """A thread for the client; where there is none for it, the client is sent away and the next one is served."""
        if not self._places.acquire(blocking=False):
            log.warning("control client sent away", why=f"{MOST_CLIENTS} clients are being served")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError as problem:
            self._places.release()
            log.error("control client sent away", why=str(problem))
            self.shutdown_request(request)

    def process_request_thread(self, request: _Connection, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def answer(self, line: bytes, caller: Caller) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"ok": False, "error": "the request is not a JSON object on one line"}
        command = request.get("command") if isinstance(request, dict) else None
        handler = self.handlers.get(command) if isinstance(command, str) else None
        if handler is None:
            return {"ok": False, "error": f"unknown command {command!r}; known: {', '.join(sorted(self.handlers))}"}
        if why := self._not_allowed(request, caller):
            return {"ok": False, "error": why}
        try:
            asker = self._asker(request, caller)
            return {"ok": True, **handler({**request, "user": asker.user, "asker": asker})}
        except ControlError as problem:
            return {"ok": False, "error": str(problem)}
        except Exception as problem:
            log.exception("control request failed", command=command)
            return {"ok": False, "error": f"{type(problem).__name__}: {problem}"}

    def _not_allowed(self, request: Mapping[str, Any], caller: Caller) -> str:
        """Why who sends the request may not ask it, whoever he names; empty: he may."""
        command = request["command"]
        if caller.is_plant and (why := refused_to_plant(request, self.groups.plant_commands)):
            self._refused(f"{caller.user} asked for {command}: {why}")
            return f'"{command}" is refused to {caller.user}: {why}; nothing was changed'
        role = needed(request)
        if caller.role >= role or ((caller.is_pages or caller.is_plant) and request.get(ON_BEHALF) is not None):
            return ""
        self._refused(f"{caller.user} may {caller.role.name.lower()} and asked for {command}")
        groups = " or ".join(self.groups.of(role)) or "none: see [access]"
        return (
            f'"{command}" needs the role {role.name.lower()}, {caller.user} has {caller.role.name.lower()}. Members of '
            f"these groups have it: {groups} (sudo usermod -aG GROUP {caller.user}, then sign in again)"
        )

    def _asker(self, request: Mapping[str, Any], caller: Caller) -> Asker:
        """Under whose name a request goes on record: the person on whose behalf the pages ask, else who sends it.

        Raises ControlError: the caller may not ask on behalf of anybody, or the roles of that person do not allow it.
        """
        try:
            person = on_behalf_of(request)
        except ValueError as wrong:
            raise ControlError(str(wrong)) from wrong
        if person is None:
            via = NOBODY if caller.asks_for_others else SHELL
            return Asker(caller.user, via, lambda asked: caller.role >= needed(asked))
        if not caller.asks_for_others:
            problem = (
                "only the pages of the station and the plant process, as their own users or the station's, may ask on "
                "behalf of a person"
            )
            self._refused(f"{caller.user}: {problem}")
            raise ControlError(problem)
        if not person.may(request):
            asked = " ".join(str(request[key]) for key in ("command", "action") if key in request)
            roles = ", ".join(person.roles) or "no role"
            problem = f'"{asked}" is not allowed to {person.name} ({roles}); nothing was changed'
            self._refused(problem)
            raise ControlError(problem)
        return Asker(person.name, PLANT if caller.is_plant else PAGES, person.may, person.on_record)


class ControlServer:
    """Owns the socket and its thread, and replies to requests until closed.

    Each client has a thread of its own, so that a slow request hides no status.
    """

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        groups: RoleGroups = RoleGroups(),  # noqa: B008  frozen
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Binds the socket. Raises ControlError when another station runs in the same work folder.

        `groups`: who may do more than look. `refused` hears, on any thread, who asked for what he may not.
        """
        check_socket_path(path)
        if path.exists():
            if _is_in_use(path):
                raise ControlError(f"{path}: another station runs in this work folder; stop it or use another")
            path.unlink()  # left by a station that was killed
        self._path = path
        self._server = _Server(path, handlers, groups, refused)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="control")

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def turns(self) -> int:
        """How often the loop has turned; the supervisor looks at it."""
        return self._server.turns

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and removes the socket. May be called more than once."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


def _is_in_use(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CLIENT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
