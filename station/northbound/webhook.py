"""One request to the receiver of a webhook, and what its reply means.

    2xx                   taken
    400, 409, 413, 422    refused: this event is the trouble, trying again would change nothing
    all else              failed: the receiver is the trouble (away, busy, wrong address, wrong secret), try again

No redirect is followed: the address in the configuration is the only one that results go to. A request ends within
`timeout_s`, also where the receiver sends one byte a second.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from station import __version__
from station.northbound.signing import Secrets

ONE, MANY = "application/cloudevents+json", "application/cloudevents-batch+json"
REFUSALS = frozenset({400, 409, 413, 422})
MAX_REPLY_BYTES = 4096
MAX_PAUSE_S = 3600.0
"""Longest pause that a receiver may ask for."""
MAX_BODY_BYTES = 1_000_000
HTTPS_PORT, HTTP_PORT = 443, 80


class AddressError(Exception):
    """The certificates cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request."""

    kind: Literal["taken", "refused", "failed"]
    detail: str = ""
    pause_s: float = 0.0
    """What the receiver asks for (`Retry-After`)."""


TAKEN = Outcome("taken")


class Webhook:
    """Owns the connection to the receiver. Used by one thread; `cut` may come from another."""

    def __init__(
        self,
        url: str,
        secrets: Secrets,
        *,
        timeout_s: float,
        as_list: bool,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`as_list`: every request is a list of events, else exactly one. Raises AddressError."""
        parts = urlsplit(url)
        self._host, self._is_encrypted = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (HTTPS_PORT if self._is_encrypted else HTTP_PORT)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secrets = secrets
        self._timeout_s = timeout_s
        self._as_list = as_list
        self._clock = clock
        self._tls = _tls(ca_file) if self._is_encrypted else None
        self._connection: http.client.HTTPConnection | None = None
        self._was_cut = False

    @property
    def where(self) -> str:
        """Host and port, for people; the path may hold what is nobody else's business."""
        return f"{self._host}:{self._port}"

    def post(self, events: Sequence[Mapping[str, Any]]) -> Outcome:
        """Sends these events as one request. Never raises for what the receiver or the network does."""
        body = json.dumps(list(events) if self._as_list else events[0], separators=(",", ":")).encode()
        name = str(events[0]["id"]) + (f"+{len(events) - 1}" if len(events) > 1 else "")
        was_open = self._connection is not None and self._connection.sock is not None
        outcome = self._once(name, body)
        if outcome is None and was_open:  # it closed the connection since the last one
            outcome = self._once(name, body)
        return outcome or Outcome("failed", f"{self.where}: the connection was closed without a reply")

    def reach(self) -> str:
        """Connects and closes again: why that does not work, or empty. Sends nothing."""
        connection = self._new()
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as problem:
            return self._said(problem)
        finally:
            connection.close()
        return ""

    def close(self) -> None:
        """The connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def cut(self) -> None:
        """Ends the request that is under way; its outcome is `failed`."""
        self._was_cut = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            try:  # of the plain socket: that of TLS would wait for the other side
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already

    def _once(self, name: str, body: bytes) -> Outcome | None:
        """None: the connection was closed before anything came back."""
        headers = {
            "Content-Type": MANY if self._as_list else ONE,
            "User-Agent": f"edge-inspection-station/{__version__}",
            **self._secrets.headers(name, body, int(self._clock())),
        }
        if self._connection is None:
            self._connection = self._new()
        try:
            with self._limited():
                self._connection.request("POST", self._target, body, headers)
                response = self._connection.getresponse()
                response.read(MAX_REPLY_BYTES)
                if not response.isclosed():  # more than anybody needs: the next request gets a new connection
                    self.close()
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            if isinstance(problem, ConnectionError) and not self._was_cut:
                closed = isinstance(problem, http.client.RemoteDisconnected | BrokenPipeError | ConnectionResetError)
                return None if closed else Outcome("failed", self._said(problem))
            return Outcome("failed", self._said(problem))
        if self._was_cut:  # what had come by then looks like a whole reply
            self.close()
            return Outcome("failed", self._said(TimeoutError()))
        return self._meaning(response)

    def _meaning(self, response: http.client.HTTPResponse) -> Outcome:
        status = response.status
        if 200 <= status < 300:
            return TAKEN
        said = f"{self.where} replied {status} {response.reason:.60}"
        if status in REFUSALS:
            return Outcome("refused", said)
        if 300 <= status < 400:
            said += "; redirects are not followed, [webhook] url must be where the results are taken"
        if status in (401, 403):
            said += "; does it have the secret of [webhook] secret_file?"
        return Outcome("failed", said, _pause(response.headers.get("Retry-After", "")))

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Within `timeout_s` in all, where a time-out of the socket is one for each byte."""
        self._was_cut = False
        timer = threading.Timer(self._timeout_s, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _new(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)

    def _said(self, problem: Exception) -> str:
        if self._was_cut or isinstance(problem, TimeoutError):
            return f"{self.where}: no whole reply within {self._timeout_s:g} s"
        if isinstance(problem, ssl.SSLCertVerificationError):
            return f"{self.where}: its certificate is not trusted: {problem.verify_message}; [webhook] ca_file"
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
        return f"{self.where}: {str(why) or type(problem).__name__:.200}"


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as problem:  # of ssl, too
        raise AddressError(f"[webhook] ca_file = {ca_file}: cannot be used: {problem.strerror or problem}") from problem


def _pause(text: str) -> float:
    """`Retry-After` in seconds; a date is not read."""
    return min(float(text), MAX_PAUSE_S) if text.isascii() and text.isdecimal() and len(text) < 9 else 0.0
