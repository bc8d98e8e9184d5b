"""Whether name and password are those of a person: the plant process, which cannot read accounts, asks the pages.

    client of OPC UA ──► plant process ──name, password, address──► pages ──► accounts
                                       ◄────────── roles ──────────

Accounts belong to the user of the pages, stored passwords to nobody else. So the plant process asks over a Unix socket
without a file: the kernel says who is at either end, and each side looks. Where the pages run as the user who asks, or
there are none, he opens the accounts himself.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
import socketserver
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from station.access.accounts import Accounts
from station.access.accounts_schema import AccountError
from station.access.roles import peer_of

log = structlog.get_logger()

REPLY_S = 5.0
"""For the pages to look at a password."""
CLIENT_TIMEOUT_S = 2.0
WAITING = 8
"""Clients that may wait: one after the other is looked at, so that passwords cost the pages one processor at most."""
MAX_LINE_BYTES = 4096
_START = "systemctl start station-hmi"


def roles_of(folder: Path, name: str, password: str, address: str) -> tuple[str, ...] | None:
    """The roles of the person with this name and password; None: refused. `folder`: of the accounts.

    A wrong password counts as a wrong try of this name and of `address`. Raises AccountError: nobody can look.
    """
    try:
        owner = folder.stat().st_uid
    except FileNotFoundError:
        owner = os.geteuid()
    except OSError as problem:
        raise AccountError(f'accounts "{folder}" cannot be reached: {problem.strerror or problem}') from problem
    if os.geteuid() in (0, owner):
        return _looked_up(Accounts(folder, idle_s=0.0), name, password, address)
    return _asked(folder, owner, {"name": name, "password": password, "address": address})


@contextmanager
def proving(folder: Path, users: Collection[int]) -> Iterator[None]:
    """Replies to these users, root and the own one until the end of the block, on a thread of its own.

    Where another process has the place, nobody is replied to here; the log says so.
    """
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        server = _Server(folder, {0, os.geteuid(), *users})
    except OSError as problem:
        log.warning("nobody can sign in over OPC UA", why=str(problem), do="are there other pages of this station?")
        yield
        return
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="proving", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def uid_of(user: str) -> set[int]:
    """The number of a user of this computer; none where there is no such user."""
    try:
        return {pwd.getpwnam(user).pw_uid}
    except (KeyError, ValueError):
        number = user.removeprefix("uid ")  # of a user without an account, as the control socket names him
        return {int(number)} if number != user and number.isdecimal() else set()


def _place(folder: Path) -> str:
    """An address without a file: of this folder, whatever name it is reached by."""
    found = folder.stat()
    return f"\0station-accounts:{found.st_dev}:{found.st_ino}"


def _asked(folder: Path, owner: int, message: dict[str, str]) -> tuple[str, ...] | None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(REPLY_S)
            connection.connect(_place(folder))
            uid, _ = peer_of(connection)
            if uid not in (0, owner):  # anybody may take a place without a file: he gets no password
                raise AccountError(f"uid {uid} has the place of the pages, whose user is uid {owner}: end that process")
            connection.sendall(json.dumps(message).encode() + b"\n")
            with connection.makefile("rb") as back:
                line = back.readline(MAX_LINE_BYTES)
    except OSError as problem:
        raise AccountError(f"the pages, which look at passwords, do not reply ({problem}): {_START}") from problem
    try:
        reply = json.loads(line)
        if reply.get("problem"):
            raise AccountError(str(reply["problem"]))
        return None if reply["roles"] is None else tuple(str(role) for role in reply["roles"])
    except (ValueError, KeyError, AttributeError, TypeError) as problem:
        raise AccountError(f"the pages gave no reply ({problem}): see their log; {_START}") from problem


def _looked_up(accounts: Accounts, name: str, password: str, address: str) -> tuple[str, ...] | None:
    if not accounts.is_proven(name, password, address):
        return None
    return next((user.roles for user in accounts.users() if user.name.casefold() == name.casefold()), None)


class _Handler(socketserver.StreamRequestHandler):
    timeout = CLIENT_TIMEOUT_S
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # he went away
            reply = self.server.reply(self.rfile.readline(MAX_LINE_BYTES), peer_of(self.connection)[0])
            self.wfile.write(json.dumps(reply).encode() + b"\n")


class _Server(socketserver.UnixStreamServer):
    request_queue_size = WAITING

    def __init__(self, folder: Path, users: set[int]) -> None:
        self._accounts = Accounts(folder, idle_s=0.0)
        self._users = users
        super().__init__(_place(folder), _Handler)

    def reply(self, line: bytes, uid: int) -> dict[str, Any]:
        if uid not in self._users:
            log.warning("sign-in refused", uid=uid, why="only the plant process asks here")
            return {"problem": f"uid {uid} may not ask: [access] plant_user names who may"}
        try:
            asked = json.loads(line)
            given = [asked[key] for key in ("name", "password", "address")]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"problem": "the request is no name, password and address"}
        if not all(isinstance(one, str) for one in given):
            return {"problem": "the request is no name, password and address"}
        try:
            return {"roles": _looked_up(self._accounts, *given)}
        except AccountError as problem:
            log.error("sign-in failed", problem=str(problem))
            return {"problem": str(problem)}
