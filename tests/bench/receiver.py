"""A real receiver of a webhook, on a thread of the test, that can be made to fail in every way a receiver does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def signed_by(key: bytes, headers: Any, body: bytes) -> bool:
    """Written from the specification of Standard Webhooks, not from the sender."""
    content = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest("v1," + expected, given) for given in headers["webhook-signature"].split())


@dataclass
class Receiver:
    """What came, and how the next requests are replied to."""

    port: int = 0
    mode: str = "take"
    """`take`, a status as text, `hang`, `trickle`, `reset`, `redirect`, `late` (takes it, hangs up without a reply)."""
    refused_ids: frozenset[str] = frozenset()
    """Ids of events that are refused with 422."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    """Events, in the order in which they came, repeated ones too."""
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Of the last request, names in lower case."""
    bodies: list[bytes] = field(default_factory=list)
    end_hanging: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    connections: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/results?line=4"

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.taken]

    @property
    def distinct(self) -> list[int]:
        """The numbers of the parts, each once, in the order in which they first came."""
        return list(dict.fromkeys(int(event["id"].rpartition("/")[2]) for event in list(self.taken)))


@contextmanager
def receiving(receiver: Receiver | None = None) -> Iterator[Receiver]:
    """A receiver that listens until the end of the block; with one that was there before, on its port."""
    receiver = receiver or Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", receiver.port), _handler(receiver))
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    receiver.end_hanging.clear()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.end_hanging.set()
        server.shutdown()
        server.server_close()
        for connection in receiver.connections:  # a process that is gone leaves none
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        receiver.connections.clear()
        thread.join(10)


def write_secret(folder: Path, *secrets: str) -> Path:
    file = folder / "webhook.secret"
    file.write_text("".join(f"{secret}\n" for secret in secrets or (SECRET,)))
    file.chmod(0o640)
    return file


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            receiver.connections.append(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with receiver.lock:
                receiver.requests += 1
                receiver.headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.bodies.append(body)
            self._reply(body)

        def _reply(self, body: bytes) -> None:
            match receiver.mode:
                case "hang":
                    receiver.end_hanging.wait(30)
                    self.close_connection = True
                case "trickle":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while not receiver.end_hanging.wait(0.05):
                        try:
                            self.wfile.write(b"x")
                        except OSError:
                            break
                    self.close_connection = True
                case "reset":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                case "redirect":
                    self._status(307, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"})
                case "take" | "late":
                    self._take(body)
                case status:
                    self._status(int(status), {"Retry-After": "7"} if status == "429" else {})

        def _take(self, body: bytes) -> None:
            sent = json.loads(body)
            events = sent if isinstance(sent, list) else [sent]
            if receiver.refused_ids & {event["id"] for event in events}:
                self._status(422, {})
                return
            with receiver.lock:
                receiver.taken += events
            if receiver.mode == "late":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            else:
                self._status(204, {})

        def _status(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    return Handler
