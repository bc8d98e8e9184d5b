"""The door of the station for other processes: one JSON object a line over a unix stream socket in the work folder.

Here is the side that asks, for `station status` and its siblings; `station/daemon/control_server.py` is the side that
replies. Loads nothing but the standard library, since every short command pays for it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 64 * 1024
LONGEST_SOCKET_PATH = 100


def check_socket_path(path: Path) -> None:
    """Raises ControlError: the kernel takes no socket of a longer name."""
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise ControlError(f"{path}: longer than {LONGEST_SOCKET_PATH} bytes; choose a shorter station.work_dir")


class ControlError(Exception):
    """The station cannot be reached, or refused the request."""


class StationNotRunning(ControlError):
    """No station listens on the socket."""


def request(path: Path, message: Mapping[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    """Sends one request and returns the reply. Raises ControlError when there is no station or it refuses."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(json.dumps(dict(message)).encode() + b"\n")
            line = _read_line(connection)
    except PermissionError as problem:
        raise ControlError(
            f"{path} is closed to you ({problem}); members of the group of the station may ask it: "
            "sudo usermod -aG station $USER, then sign in again"
        ) from problem
    except OSError as problem:
        raise StationNotRunning(f'no station listens on {path} ({problem}); start it with "station run"') from problem
    if not line:
        raise ControlError(f"the station on {path} closed the connection without a reply; see its log")
    reply: dict[str, Any] = json.loads(line)
    if not reply.get("ok"):
        raise ControlError(str(reply.get("error", "refused")))
    return reply


def _read_line(connection: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n") and len(data) <= MAX_LINE_BYTES:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    return bytes(data)
