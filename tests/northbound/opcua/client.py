"""node-opcua-client as a process: a client of OPC UA that is not ours, asked by one line of JSON at a time."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.bench.made_once import made_once
from tests.bench.npm import npm_packages
from tests.bench.programs import require_program

SCRIPT = Path(__file__).with_name("client.js")
PACKAGES = ("node-opcua-client@2.182.2", "node-opcua-nodesets@2.182.0")
URI = "urn:plant:client"
REPLY_S = 100.0
RESULT_FIELDS = (
    "EventType", "Time", "ResultId", "IsPartial", "IsSimulated", "ResultState", "PartId", "InternalRecipeId",
    "ExternalRecipeId", "InternalConfigurationId", "JobId", "CreationTime", "ProcessingTimes", "ResultContent",
)  # fmt: skip
STATE_FIELDS = (
    "EventType", "SourceName", "Message", "Severity", "Transition", "Transition.Number", "FromState", "ToState",
    "JobId", "InternalId",
)  # fmt: skip
CONDITION_FIELDS = ("EventType", "ConditionName", "Retain", "ErrorCode", "ErrorString", "StopReaction", "Message")


def packages(factory: pytest.TempPathFactory) -> Path:
    """`node_modules`. Skips the calling test where npm or the network is not there."""
    require_program("node")
    return made_once(factory, "node-opcua", lambda folder: npm_packages(folder, *PACKAGES))


@dataclass(frozen=True)
class Papers:
    """Certificate and key of a client."""

    certificate: Path
    key: Path
    uri: str
    der: bytes = field(repr=False)


def papers(folder: Path, uri: str = URI, *, days: tuple[int, int] = (-1, 30), key: Any = None, ca: bool = False,
           by: tuple[x509.Certificate, Any] | None = None) -> Papers:  # fmt: skip
    """`days`: from and to, from now on. `by`: certificate and key of the authority; None: it has signed itself."""
    folder.mkdir(parents=True, exist_ok=True)
    made = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    usage = x509.KeyUsage(True, True, True, True, False, True, ca, False, False)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name if by is None else by[0].subject)
        .public_key(made.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0])).not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName("x")]), False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True).add_extension(usage, True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .sign(made if by is None else by[1], hashes.SHA256())
    )  # fmt: skip
    pem, secret = folder / "client.pem", folder / "client.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    known = folder / "own" / "private"  # else node-opcua makes a key of its own, which takes seconds
    known.mkdir(parents=True, exist_ok=True)
    (known / "private_key.pem").write_bytes(secret.read_bytes())
    return Papers(pem, secret, uri, certificate.public_bytes(serialization.Encoding.DER))


class Refused(Exception):
    """The server, or the client, said no."""


class Client:
    """Owns the process."""

    def __init__(self, modules: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._process = subprocess.Popen(
            [require_program("node"), str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={"NODE_PATH": str(modules), "PATH": "", "HOME": str(folder)},
        )  # fmt: skip
        self._replies: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                found = json.loads(line)
                if "event" in found:
                    self.events.append(found["event"] | {"heard": time.time()})
                else:
                    self._replies.put(found)

    def ask(self, task: str, **more: Any) -> Any:
        """Raises Refused."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": task, **more}) + "\n")
        self._process.stdin.flush()
        reply = self._replies.get(timeout=REPLY_S)
        if "error" in reply:
            raise Refused(reply["error"])
        return reply["reply"]

    def connect(self, port: int, who: Papers, **more: Any) -> None:
        self.ask(
            "connect", url=f"opc.tcp://127.0.0.1:{port}", uri=more.pop("uri", who.uri), folder=str(self._folder),
            certificate=str(who.certificate), key=str(who.key), **more,
        )  # fmt: skip

    def read(self, *paths: str) -> list[Any]:
        """Values, each with a good status."""
        found = self.ask("read", paths=[f"VisionSystem/{path}" for path in paths])
        assert {one["status"] for one in found} == {"Good"}, found
        return [one["value"] for one in found]

    def call(self, path: str, *arguments: Sequence[Any]) -> tuple[str, list[Any]]:
        found = self.ask("call", path=f"VisionSystem/{path}", arguments=arguments)
        return found["status"], found["outputs"]

    def results(self) -> list[str]:
        """Ids of the results that came, in their order."""
        return [one["ResultId"]["Id"] for one in list(self.events) if one.get("ResultId")]

    def stop_reading(self) -> None:
        """The process stands still; its connection stays open."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()
        self._end()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def client(modules: Path, folder: Path) -> Iterator[Client]:
    opened = Client(modules, folder)
    try:
        yield opened
    finally:
        opened.close()
