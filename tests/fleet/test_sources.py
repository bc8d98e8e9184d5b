"""Where a channel comes from: a server that redirects, drips, cuts off, hangs or is another one brings nothing."""

from __future__ import annotations

import io
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from station.fleet.channel import ChannelError
from station.fleet.sources import Absent, Folder, Https, source_at
from tests.bench.programs import require_program
from tests.fleet.plant import Plant

CONTENT = b"x" * 100_000


@dataclass
class Server:
    """What it shows, and how it misbehaves."""

    folder: Path
    mode: str = "whole"
    port: int = 0
    asked: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(folder: Path, certificate: Path | None = None) -> Iterator[Server]:
    server = Server(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.asked.append(self.path)
            file = folder / self.path.rpartition("/")[2]
            content = file.read_bytes() if file.is_file() else None
            self.close_connection = True
            if server.mode == "hang":
                server.ended.wait(30)
                return
            if server.mode == "redirect" or content is None:
                self.send_response(302 if content is not None else 404)
                self.send_header("Location", f"http://127.0.0.1:{server.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            if server.mode != "endless":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if server.mode == "drip":
                while not server.ended.wait(0.05):
                    self.wfile.write(b"x")
                return
            self.wfile.write(content[:50_000] if server.mode == "cut" else content)
            while server.mode == "endless" and not server.ended.is_set():
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Who was asked for too much hangs up."""

    with Listener(("127.0.0.1", 0), Handler) as listener:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_name("key.pem"))
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        server.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.ended.set()
        listener.shutdown()
        thread.join(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "e.tar").write_bytes(CONTENT)
    with serving(tmp_path) as server:
        yield server


def fetched(server: Server, name: str = "e.tar", *, most: int = len(CONTENT), timeout_s: float = 20.0) -> bytes:
    to = io.BytesIO()
    Https(f"http://127.0.0.1:{server.port}/cover/", ca_file=None, timeout_s=timeout_s).copy(name, to, most)
    return to.getvalue()


def test_a_file_comes_whole(server: Server) -> None:
    assert fetched(server) == CONTENT
    assert server.asked == ["/cover/e.tar"]
    with pytest.raises(Absent, match="404"):
        fetched(server, "channel.json")


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("redirect", "replied 302 Found; redirects are not followed"),
        ("cut", "was cut off|bytes are missing|IncompleteRead"),
        ("endless", "has more than 100000 bytes"),
    ],
)
def test_what_is_not_the_file_is_refused(server: Server, mode: str, words: str) -> None:
    server.mode = mode
    with pytest.raises(ChannelError, match=words):
        fetched(server)
    assert server.asked == ["/cover/e.tar"], "nobody is asked elsewhere"


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_a_file_takes_no_longer_than_it_may(server: Server, mode: str) -> None:
    server.mode = mode
    began = time.monotonic()
    with pytest.raises(ChannelError, match=r"not done within 1 s; \[channel\] timeout_s"):
        fetched(server, timeout_s=1.0)
    assert time.monotonic() - began < 15


def test_a_larger_file_is_refused_before_it_fills_the_disk(server: Server) -> None:
    to = io.BytesIO()
    with pytest.raises(ChannelError, match="has more than 1000 bytes"):
        Https(f"http://127.0.0.1:{server.port}", ca_file=None, timeout_s=20).copy("e.tar", to, 1000)
    assert len(to.getvalue()) <= 1000
    folder = Folder(server.folder)
    with pytest.raises(ChannelError, match="has more than 1000 bytes"):
        folder.copy("e.tar", to, 1000)


def test_a_server_that_is_away(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = server.port
    with pytest.raises(ChannelError, match="refused"):
        Https(f"http://127.0.0.1:{port}", ca_file=None, timeout_s=5).copy("channel.json", io.BytesIO(), 10)


def test_a_folder_that_is_away(tmp_path: Path) -> None:
    source = source_at("share", lambda path: tmp_path / path, ca_file=None, timeout_s=5)
    with pytest.raises(Absent, match="is not there"):
        source.copy("channel.json", io.BytesIO(), 10)


@pytest.mark.system
def test_over_https_only_from_the_server_of_the_authority(tmp_path: Path, plant: Plant) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    subprocess.run(
        [require_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=plant", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    plant.publish("1")
    with serving(plant.shared, folder / "cert.pem") as server:
        url = f"https://localhost:{server.port}/cover"
        plant.source = Https(url, ca_file=None, timeout_s=10)
        with pytest.raises(ChannelError, match=r"its certificate is not trusted: .*\[channel\] ca_file"):
            plant.pull()
        plant.source = Https(f"https://127.0.0.1:{server.port}", ca_file=folder / "cert.pem", timeout_s=10)
        with pytest.raises(ChannelError, match="its certificate is not trusted"):
            plant.pull()
        plant.source = Https(url, ca_file=folder / "cert.pem", timeout_s=10)
        assert plant.pull().outcome == "imported"
    with pytest.raises(ChannelError, match="ca_file"):
        Https(url, ca_file=folder / "no.pem", timeout_s=10)
