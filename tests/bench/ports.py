"""Ports for what a test starts later: kept for its process, and out of the way of all outgoing connections.

A port that the kernel proposes is one of those that it gives to outgoing connections, too: until the station of the
test listens, a connection of any other test may have got it.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from functools import lru_cache
from pathlib import Path

PORTS = range(20_000, 32_000)
"""Below those of outgoing connections (Linux: from 32768 on)."""
_given: set[int] = set()
"""Of this process, whose own locks do not keep it out."""


def free_port() -> int:
    """A port of this computer on which nobody listens, and which no other test gets while this process lives."""
    locks = _locks(os.getpid())
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if port in _given:
            continue
        try:
            fcntl.lockf(locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        _given.add(port)
        return port
    raise AssertionError("no port is free")


@lru_cache(maxsize=1)
def _locks(_process: int) -> int:
    """The file whose bytes are the ports, open as long as the process lives: closing it would let all of them go."""
    file = Path(tempfile.gettempdir()) / f"station-test-ports-{os.getuid()}"
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
