"""One GET from a server, for files of others: no redirect is followed, no proxy of the environment is asked, and all of
it, also what comes a byte a second, is over within a time limit.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

from station import __version__

PIECE = 1 << 18
_OURS = {"User-Agent": f"edge-inspection-station/{__version__}", "Accept-Encoding": "identity"}
IDLE_S = 30.0
"""Longest silence of a server."""


class AskingError(Exception):
    """Nothing whole came back; the message says why, without the address."""


class Server:
    """One connection for each file. Used by one thread."""

    def __init__(self, url: str, tls: ssl.SSLContext, *, timeout_s: float, section: str) -> None:
        """`timeout_s`: of one file. `section`: of the configuration, for messages: `[channel]`."""
        parts = urlsplit(url)
        self.host, self._is_encrypted = parts.hostname or "", parts.scheme == "https"
        self.port = parts.port or (443 if self._is_encrypted else 80)
        self._tls = tls
        self._timeout_s = timeout_s
        self._section = section

    @contextmanager
    def reply(self, target: str, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Of a GET, whatever its status; the block reads it, within the time limit. Raises AskingError."""
        connection = self._new()
        try:
            with self._limited(connection):
                connection.request("GET", target, headers={**headers, **_OURS})
                with closing(connection.getresponse()) as reply:
                    yield reply
        except ssl.SSLCertVerificationError as problem:
            said = f"its certificate is not trusted: {problem.verify_message}; {self._section} ca_file"
            raise AskingError(said) from problem
        except (OSError, ValueError, http.client.HTTPException) as problem:
            why = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
            raise AskingError(f"{str(why) or type(problem).__name__:.200}") from problem
        finally:
            connection.close()

    def _new(self) -> http.client.HTTPConnection:
        silence_s = min(IDLE_S, self._timeout_s)
        if self._is_encrypted:
            return http.client.HTTPSConnection(self.host, self.port, timeout=silence_s, context=self._tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=silence_s)

    @contextmanager
    def _limited(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Within `timeout_s` in all, where a time-out of the socket is one for each byte."""
        end = time.monotonic() + self._timeout_s

        def cut() -> None:
            if connection.sock is not None:
                with suppress(OSError):  # it is closed already
                    connection.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._timeout_s, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if time.monotonic() >= end:
                raise AskingError(f"not done within {self._timeout_s:g} s; {self._section} timeout_s")
