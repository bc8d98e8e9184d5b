"""TCP sockets with errors that say what to do, and connections that notice a dead peer."""

from __future__ import annotations

import errno
import socket

from drivers.plc.protocol import PlcError


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; on `::` it takes IPv4 clients, too, whatever the system's default. Raises PlcError."""
    where = f"Modbus server cannot listen on {host}:{port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        both = address[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=64, dualstack_ipv6=both)
    except OSError as error:
        hints = {
            errno.EADDRINUSE: f'the port is in use; stop the other program ("ss -ltnp sport = :{port}" names it) '
            "or choose another plc.port",
            errno.EACCES: "ports below 1024 need a privilege; choose plc.port 1024 or above, "
            "or grant CAP_NET_BIND_SERVICE",
            errno.EADDRNOTAVAIL: "this machine has no such address; set plc.host to one of its own, "
            "127.0.0.1 (this machine only) or 0.0.0.0 (all)",
        }
        hint = hints.get(error.errno or 0, "set plc.host to an address of this machine")
        raise PlcError(f"{where}: {error.strerror or error}: {hint}") from error


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """A connection to a PLC. Raises PlcError."""
    try:
        connection = socket.create_connection((host, port), timeout_s)
    except OSError as error:
        what = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise PlcError(
            f"no connection to {host}:{port}: {what}: check the PLC, its network, plc.host and plc.port"
        ) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    detect_dead_peer(connection)
    return connection


def detect_dead_peer(connection: socket.socket) -> None:
    """A peer without power or cable ends the connection after some 10 s, not after hours."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000)
