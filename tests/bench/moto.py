"""moto, an S3 server that shares no code with the station, as a process of the environment of `make fleet-test`.

By default it lets everybody do everything; `with_keys` has it check signatures and rights from then on.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from tests.bench.fleet_environment import fleet_program
from tests.bench.ports import free_port
from tests.bench.waiting import wait_for


@dataclass(frozen=True)
class Key:
    """Of a user of the store."""

    id: str
    secret: str


class S3Server:
    """Owns the process. What it holds is gone with it."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        self.port = free_port()
        self._folder = folder
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Until it takes connections."""
        words: list[str | Path] = [fleet_program("moto_server"), "-H", "127.0.0.1", "-p", str(self.port)]
        if self._certificate is not None:
            words += ["-s", "-c", self._certificate[0], "-k", self._certificate[1]]
        settings = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with (self._folder / "moto.log").open("ab") as log:
            self._process = subprocess.Popen(
                words, cwd=self._folder, env=settings, stdout=log, stderr=subprocess.STDOUT
            )
        wait_for(self._takes, f"moto; {self._folder / 'moto.log'}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections, and does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def make_bucket(self, name: str) -> None:
        assert self.ask("PUT", f"/{name}")[0] == 200

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Name -> content, as the store lists and gives them."""
        status, listed = self.ask("GET", f"/{bucket}?list-type=2")
        assert status == 200, listed
        names = re.findall(r"<Key>([^<]+)</Key>", listed.decode())
        return {name: self.ask("GET", f"/{bucket}/{quote(name)}")[1] for name in names}

    def with_keys(self, bucket: str, *actions: str) -> Key:
        """The key of a new user who may do these actions in this bucket; from now on nobody does anything without."""
        self._iam("CreateUser", UserName="st04")
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": list(actions),
                    "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
                }
            ],
        }
        self._iam("PutUserPolicy", UserName="st04", PolicyName="p", PolicyDocument=json.dumps(policy))
        made = self._iam("CreateAccessKey", UserName="st04")
        found = [re.search(f"<{name}>([^<]+)<", made) for name in ("AccessKeyId", "SecretAccessKey")]
        assert all(found)
        key = Key(*(one[1] for one in found if one))
        self.check_keys()
        return key

    def check_keys(self, *, after: int = 0) -> None:
        """Signatures and rights are checked from now on, or `after` this number of requests."""
        assert self.ask("POST", "/moto-api/reset-auth", str(after).encode())[0] == 200

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """A request whose signature nobody checks."""
        scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, target, body, {"Authorization": scope, **(headers or {})})
        reply = connection.getresponse()
        found = reply.status, reply.read()
        connection.close()
        return found

    def _iam(self, action: str, **values: str) -> str:
        body = urlencode({"Action": action, "Version": "2010-05-08", **values}).encode()
        scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x"
        headers = {"Authorization": scope, "Content-Type": "application/x-www-form-urlencoded"}
        status, reply = self.ask("POST", "/", body, headers)
        assert status == 200, reply
        return reply.decode()

    def _takes(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


@contextmanager
def s3_server(folder: Path, certificate: tuple[Path, Path] | None = None) -> Iterator[S3Server]:
    """One that runs until the end of the block."""
    server = S3Server(folder, certificate)
    try:
        server.start()
        yield server
    finally:
        server.stop()
