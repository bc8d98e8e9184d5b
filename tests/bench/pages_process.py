"""`station hmi` as a process of its own, as it runs beside a station."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from station.configuration.load import load_station
from station.hmi.app import accounts_of
from station.simulation.run.processes import end_with_starter
from tests.bench.pages import COOKIE, HOST, PASSWORD, Client
from tests.bench.places import ROOT


class PagesProcess:
    """`station hmi` on a free port."""

    def __init__(self, config: Path) -> None:
        self.config = config
        command = [sys.executable, "-m", "station", "hmi", "--config", str(config), "--port", "0"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            preexec_fn=end_with_starter,  # noqa: PLW1509  one system call, no lock
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"pages: http://127\.0\.0\.1:(\d+)/", line):
                self.port = int(found[1])
                break
        else:
            pytest.fail("the pages did not start")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def token(self, role: str) -> str:
        """Of a new login; the name of the person is that of his role."""
        accounts = accounts_of(load_station(self.config))
        if role in [user.name for user in accounts.users()]:
            return accounts.sign_in(role, PASSWORD, HOST)
        return accounts.welcome(role, accounts.invite(role, [role], "test", via="test"), PASSWORD, HOST)

    def client(self, role: str) -> Client:
        """Somebody who has signed in with this role."""
        return Client(self.port, {COOKIE: self.token(role)})

    def cookie(self, role: str) -> dict[str, str]:
        """The same, for a browser."""
        return {"name": COOKIE, "value": self.token(role), "url": self.address}
