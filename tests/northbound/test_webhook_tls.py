"""https: only who has a certificate of the named authority is sent anything."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from station.northbound.signing import Secrets
from station.northbound.webhook import AddressError, Webhook
from tests.bench.programs import needs_program
from tests.bench.receiver import KEY, Receiver, _handler

EVENT = {"id": "a/b/1"}
pytestmark = [pytest.mark.system, needs_program("openssl")]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=mes", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return folder / "cert.pem"


@contextmanager
def encrypted(certificate: Path) -> Iterator[Receiver]:
    receiver = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A sender that does not trust it hangs up."""

    with Server(("127.0.0.1", 0), _handler(receiver)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        receiver.end_hanging.set()
        server.shutdown()
        thread.join(10)


def webhook(url: str, ca_file: Path | None, timeout_s: float = 5.0) -> Webhook:
    return Webhook(url, Secrets((KEY,)), timeout_s=timeout_s, as_list=False, ca_file=ca_file)


def test_a_receiver_of_the_named_authority_is_sent_results(certificate: Path) -> None:
    with encrypted(certificate) as receiver:
        sender = webhook(f"https://localhost:{receiver.port}/", certificate)
        assert sender.reach() == ""
        assert [sender.post([EVENT]).kind for _ in range(2)] == ["taken", "taken"]
        receiver.mode = "trickle"
        sender._timeout_s = 0.5
        assert "no whole reply within 0.5 s" in sender.post([EVENT]).detail
        sender.close()


@pytest.mark.parametrize("why", ["unknown authority", "another name"])
def test_nothing_goes_to_whom_nobody_vouches_for(certificate: Path, why: str) -> None:
    with encrypted(certificate) as receiver:
        host, ca_file = ("localhost", None) if why == "unknown authority" else ("127.0.0.1", certificate)
        sender = webhook(f"https://{host}:{receiver.port}/", ca_file)
        assert "its certificate is not trusted" in sender.reach()
        outcome = sender.post([EVENT])
        assert outcome.kind == "failed"
        assert "its certificate is not trusted" in outcome.detail
        assert receiver.requests == 0


def test_a_file_that_holds_no_certificate_is_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(AddressError, match=r"\[webhook\] ca_file"):
            webhook("https://localhost/", tmp_path / name)
