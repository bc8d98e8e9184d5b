"""The pages of a station under test: served by a thread of the test, with records on disk, asked over a real socket."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette

from station.configuration.load import load_station
from station.hmi.app import build, site_of_station
from station.hmi.server import listening, server_of
from station.hmi.site import Site
from station.line.recording.stage import Recorder, RecorderSettings
from station.results import InspectionRecord, Verdict
from station.simulation.parts.pictures import Canvas
from station.simulation.run.workspace import configuration
from tests.bench.sample_parts import PartMaker
from tests.bench.waiting import wait_for

HOST = "127.0.0.1"
COOKIE = "station"
PASSWORD = "several words of a test"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Client:
    """Somebody with cookies, who asks one address after another and follows nothing by himself."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 50.0

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def ask(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=self.timeout_s)
        sent = dict(headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            got = Answer(response.status, dict(response.getheaders()), response.read())
            for cookie in response.headers.get_all("Set-Cookie") or ():
                name, _, value = cookie.split(";")[0].partition("=")
                self.cookies[name] = value.strip('"')
            return got
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def csrf(self, path: str = "/account") -> str:
        """The token that stands in the forms of this login."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.get(path).text)
        assert found is not None
        return found.group(1)

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """As a page of the station sends a form; `headers` come over those of a browser."""
        sent = {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded", **headers}
        return self.ask("POST", path, body=urlencode(fields).encode(), headers=sent)


@dataclass(frozen=True)
class Pages:
    """A station with pages; its daemon does not run."""

    folder: Path
    site: Site
    app: Starlette
    port: int

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def client(self, role: str = "") -> Client:
        """Somebody who has signed in with this role; without one nobody has."""
        return Client(self.port, {COOKIE: self.token(role)} if role else {})

    def token(self, role: str) -> str:
        """Of a new login; the name of the person is that of his role."""
        accounts = self.site.accounts
        if role in [user.name for user in accounts.users()]:
            return accounts.sign_in(role, PASSWORD, HOST)
        code = accounts.invite(role, [role], "test", via="test")
        return accounts.welcome(role, code, PASSWORD, HOST)

    def record(self, parts: list[InspectionRecord], session: str = "s1") -> None:
        """Puts parts on record as the line does, with an image of each."""
        settings = RecorderSettings(self.site.records, pass_image_share=1.0, min_free_mb=0)
        recorder = Recorder(settings, session)
        recorder.start()
        for part in parts:
            recorder.record(part)
        assert recorder.stop(200), "the recorder did not end"


def some_parts(make: PartMaker | None = None, count: int = 12) -> list[InspectionRecord]:
    """Parts 1001, 1002, ... of every verdict in turn, the last one without a frame."""
    make = make or PartMaker()
    verdicts = (Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)
    inspected = [make.inspected(number, verdicts[number % len(verdicts)]) for number in range(1, count)]
    return [*inspected, make.without_frame(count)]


def write_configuration(folder: Path, section: str = "", *, store: bool = False) -> Path:
    """A station.toml with the lines of `[hmi]`; `store`: its engines lie in the store `engines`."""
    text = configuration(Canvas(64, 48, 3), folder / "engine", 1502, trigger="line")
    if store:
        text = re.sub(r'(?<=\[engine\]\n)path = "[^"\n]*"', 'store = "engines"', text)
    config = folder / "station.toml"
    config.write_text(f"{text}\n[hmi]\n{section}", encoding="utf-8")
    return config


@contextmanager
def serving(
    folder: Path, section: str = "", *, store: bool = False, app_of: Callable[[Site], Starlette] = build
) -> Iterator[Pages]:
    """The pages of a new station in this folder, until the end of the block. `store`: see `write_configuration`."""
    with serving_station(write_configuration(folder, section, store=store), app_of) as pages:
        yield pages


@contextmanager
def serving_station(config: Path, app_of: Callable[[Site], Starlette] = build) -> Iterator[Pages]:
    """The pages of a station whose configuration is there."""
    station = load_station(config)
    site = site_of_station(station)
    app = app_of(site)
    with listening(HOST, 0) as door:
        server = server_of(app, station)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, name="pages", daemon=True)
        thread.start()
        try:
            wait_for(lambda: server.started, "the pages")
            yield Pages(config.parent, site, app, door.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
