"""An S3 store on a thread of the test, that can be made to fail in every way a store does.

It knows PutObject, GetObject and ListObjectsV2, and checks what a real one checks: the signature (written from the
specification of AWS Signature Version 4, not from a client), the checksum, `If-None-Match: *`. moto, which shares no
code with it, is asked in `make fleet-test`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

KEY_ID, SECRET, BUCKET = "key of st04", "secret/of+st04", "inspection"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>(?P<day>\d{8})/(?P<region>[^/]+)/s3/aws4_request), ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
MOST_SKEW_S = 900.0


@dataclass
class Store:
    """What came, and how the next requests are replied to."""

    port: int = 0
    mode: str = "take"
    """`take`; a status and a code as `403 AccessDenied`; `hang`, `trickle`, `reset`, `redirect STATUS URL`, `late`
    (stores it, hangs up without a reply), `deaf` (a web page that says 200), `cut` (half a head), `half` (half a body);
    of a GET, `raw` (what `raw` holds), `endless` (bytes without an end, and no word of how many), `loop` (a list that
    never ends).
    """
    modes: list[str] = field(default_factory=list)
    """Of the next requests, before `mode` holds."""
    raw: bytes = b""
    page: int = 1000
    """Names of a list at most."""
    targets: list[str] = field(default_factory=list)
    """Of each GET."""
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Of the last request, names in lower case."""
    skew_s: float = 0.0
    """By how much its clock is ahead."""
    certificate: tuple[Path, Path] | None = None
    end_hanging: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    connections: list[socket.socket] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who does not trust its certificate hangs up."""


@contextmanager
def storing(store: Store | None = None) -> Iterator[Store]:
    """A store that listens until the end of the block; with one that was there before, on its port."""
    store = store or Store()
    server = _Server(("127.0.0.1", store.port), _handler(store))
    if store.certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*store.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    store.port = server.server_address[1]
    store.end_hanging.clear()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield store
    finally:
        store.end_hanging.set()
        server.shutdown()
        server.server_close()
        for connection in store.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        store.connections.clear()
        thread.join(10)


def refusal(  # noqa: PLR0911  one after the other, as a store does
    store: Store, method: str, target: str, headers: Any, body: bytes
) -> tuple[int, str] | None:
    """Status and code where a real store would refuse it, in the order in which one looks."""
    path, _, query = target.partition("?")
    found = _AUTHORIZATION.fullmatch(headers["authorization"] or "")
    if found is None:
        return 403, "AccessDenied"
    sent = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    if found["key"] != KEY_ID:
        return 403, "InvalidAccessKeyId"
    if abs(sent.timestamp() - datetime.now(timezone.utc).timestamp() - store.skew_s) > MOST_SKEW_S:
        return 403, "RequestTimeTooSkewed"
    if found["region"] != "plant-1":
        return 400, "AuthorizationHeaderMalformed"
    digest = hashlib.sha256(body)
    named = {name: headers[name] or "" for name in found["signed"].split(";")}
    if named.get("x-amz-content-sha256") != digest.hexdigest() or "host" not in named:
        return 403, "SignatureDoesNotMatch"
    lines = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in sorted(named.items()))
    asked = "&".join(sorted(query.split("&")))
    request = "\n".join((method, path, asked, lines, found["signed"], digest.hexdigest()))
    text = "\n".join(
        ("AWS4-HMAC-SHA256", headers["x-amz-date"], found["scope"], hashlib.sha256(request.encode()).hexdigest())
    )
    key = f"AWS4{SECRET}".encode()
    for piece in (found["day"], found["region"], "s3", "aws4_request", text):
        key = hmac.digest(key, piece.encode(), hashlib.sha256)
    if key.hex() != found["signature"]:
        return 403, "SignatureDoesNotMatch"
    if not f"{path}/".startswith(f"/{BUCKET}/"):
        return 404, "NoSuchBucket"
    if method == "GET":
        return None if path == f"/{BUCKET}" or path in store.objects else (404, "NoSuchKey")
    if headers["x-amz-checksum-sha256"] != base64.b64encode(digest.digest()).decode():
        return 400, "BadDigest"
    if headers["if-none-match"] == "*" and path in store.objects:
        return 412, "PreconditionFailed"
    return None


def _listed(store: Store, query: str) -> bytes:
    """A page as ListObjectsV2 describes it: names in the order of their bytes, the token is the last name before it."""
    asked = dict(parse_qsl(query, keep_blank_values=True))
    assert (asked["list-type"], asked["encoding-type"]) == ("2", "url")
    after = asked.get("continuation-token", "")
    all_names = sorted(unquote(path.removeprefix(f"/{BUCKET}/")) for path in store.objects)
    names = [name for name in all_names if name.startswith(asked["prefix"]) and name > after]
    page = names[: min(store.page, int(asked["max-keys"]))]
    goes_on = len(names) > len(page) or store.mode == "loop"
    token = f"<NextContinuationToken>{escape(page[-1] if page else after)}</NextContinuationToken>" if goes_on else ""
    listed = "".join(f"<Contents><Key>{quote(name)}</Key><Size>1</Size></Contents>" for name in page)
    return (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<EncodingType>url</EncodingType><IsTruncated>{str(goes_on).lower()}</IsTruncated>{token}{listed}"
        "</ListBucketResult>"
    ).encode()


def _handler(store: Store) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            store.connections.append(self.connection)

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with store.lock:
                store.requests += 1
                store.headers = {name.lower(): value for name, value in self.headers.items()}
                refused = refusal(store, "PUT", self.path, self.headers, body)
                if refused is None and store.mode in ("take", "late"):
                    store.objects[self.path] = body
            tag = hashlib.md5(body, usedforsecurity=False).hexdigest()
            self._reply(b"", refused, {"ETag": f'"{tag}"'})

        def do_GET(self) -> None:
            with store.lock:
                store.requests += 1
                store.targets.append(self.path)
                refused = refusal(store, "GET", self.path, self.headers, b"")
                path, _, query = self.path.partition("?")
                content = _listed(store, query) if path == f"/{BUCKET}" else store.objects.get(path, b"")
            self._reply(content, refused, {})

        def _reply(  # noqa: PLR0912  a case for each way to fail
            self, body: bytes, refused: tuple[int, str] | None, headers: dict[str, str]
        ) -> None:
            mode, _, what = (store.modes.pop(0) if store.modes else store.mode).partition(" ")
            match mode:
                case "hang":
                    store.end_hanging.wait(30)
                    self.close_connection = True
                case "trickle":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while not store.end_hanging.wait(0.05):
                        try:
                            self.wfile.write(b"x")
                        except OSError:
                            break
                    self.close_connection = True
                case "reset" | "late":
                    self.close_connection = True
                case "cut":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
                    self.close_connection = True
                case "half":
                    self._send(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
                    self.close_connection = True
                case "redirect":
                    status, _, target = what.partition(" ")
                    self._send(int(status), b"", {"Location": f"{target}{self.path}"})
                case "deaf":
                    self._send(200, b"<html>please sign in</html>", {"Content-Type": "text/html"})
                case "raw":
                    self._send(200, store.raw, {})
                case "endless":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    with suppress(OSError):
                        while not store.end_hanging.is_set():
                            self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                    self.close_connection = True
                case "take" | "loop":
                    if refused is None:
                        self._send(200, body, headers)
                    else:
                        self._refuse(*refused)
                case _:
                    self._refuse(int(mode), what)

        def _refuse(self, status: int, code: str) -> None:
            text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'
            self._send(status, text.encode() if code else b"", {"Content-Type": "application/xml"})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler
