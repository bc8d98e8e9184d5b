"""The pages under a user of their own beside a real station: they read, write labels and accounts, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from station.access.accounts import Accounts
from station.configuration.load import load_station
from station.control import request
from station.hmi.app import own_dir_of
from station.labels.schema import labels_beside
from tests.bench.bench import Bench, bad, good
from tests.bench.other_user import OF_STATION, PAGES, as_user, needs_root, open_folder, program_of
from tests.bench.pages import COOKIE, HOST, PASSWORD, Client
from tests.bench.waiting import wait_for

pytestmark = [pytest.mark.system, needs_root]


@dataclass
class Place:
    """A station of root whose files belong to the group OF_STATION, and pages of the user PAGES."""

    bench: Bench
    port: int
    said: list[str]

    @property
    def work(self) -> Path:
        return self.bench.directory / "work"

    def client(self, name: str, role: str) -> Client:
        accounts = Accounts(own_dir_of(load_station(self.bench.config_path)), idle_s=900.0)
        if name in [user.name for user in accounts.users()]:
            return Client(self.port, {COOKIE: accounts.sign_in(name, PASSWORD, HOST)})
        code = accounts.invite(name, [role], "test", via="test")
        return Client(self.port, {COOKIE: accounts.welcome(name, code, PASSWORD, HOST)})

    def stolen(self, ask: Callable[[], Any]) -> Any:
        """What a process of the pages that somebody has taken over gets."""
        return as_user(PAGES, PAGES, ask, also=(OF_STATION,))

    def asks(self, **message: Any) -> Any:
        return self.stolen(lambda: request(self.work / "control.sock", message, 20.0))


@contextmanager
def pages_of(bench: Bench) -> Iterator[tuple[int, list[str]]]:
    """`station hmi` as this user; its port, and the lines that it has said."""
    words = ("hmi", "--config", str(bench.config_path), "--port", "0")
    with program_of(PAGES, *words, says=r"pages: http://127\.0\.0\.1:(\d+)/") as (found, said):
        yield int(found[1]), said


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    before = os.umask(0o027)
    try:
        with open_folder() as folder:
            os.chown(folder, -1, OF_STATION)
            folder.chmod(0o2755)
            made = Bench(folder, access__pages_user=f"uid {PAGES}", records__pass_image_share=1.0)
            for name in ("hmi", "labels", "reports"):
                (folder / "work" / name).mkdir(parents=True)
                os.chown(folder / "work" / name, PAGES, PAGES)
                (folder / "work" / name).chmod(0o2771)
            (folder / "run").mkdir(mode=0o750)
            with made:
                made.start()
                for picture in (bad(), good()):
                    made.part(picture)
                wait_for(lambda: len(made.rows()) == 2, "the parts on record")
                with pages_of(made) as (port, said):
                    yield Place(made, port, said)
    finally:
        os.umask(before)


def test_they_read_parts_pictures_live_and_engines(place: Place) -> None:
    client = place.client("quinn", "quality")
    page = client.get("/parts").text
    (path,) = set(re.findall(r'href="(/parts/[^"/]+/1)["?]', page))
    assert client.get(path).status == 200
    pictures = re.findall(r'src="(/parts/[^"]+)"', client.get(path).text)
    assert pictures
    assert client.get(pictures[0]).body[:2] == b"\xff\xd8"
    assert client.get("/state.json").text.count('"online":true') == 1
    assert client.get("/live").status == 200
    assert client.get("/health").status == 200
    assert client.get("/reports").status == 200


def test_they_write_labels_that_the_station_reads_and_ask_for_a_person(place: Place) -> None:
    quinn, otto = place.client("quinn", "quality"), place.client("otto", "operator")
    (path,) = set(re.findall(r'href="(/parts/[^"/]+/1)["?]', quinn.get("/parts").text))
    assert quinn.post(f"{path}/label", {"csrf": quinn.csrf(), "label": "defective"}).status == 303
    labels = labels_beside(place.work / "records")
    assert labels == place.work / "labels" / "labels.db"
    found = labels.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (PAGES, PAGES, 0o664)
    assert otto.post("/live/offline", {"csrf": otto.csrf()}).status == 303
    wait_for(lambda: not place.bench.status()["online"], "the line to go off")
    assert otto.post("/live/online", {"csrf": otto.csrf()}).status == 303
    wait_for(lambda: place.bench.status()["online"], "the line to go on")


def test_a_stolen_process_looks_and_asks_in_a_persons_name_alone(place: Place) -> None:
    assert place.asks(command="status")["ok"]
    assert f'"offline" needs the role operate, uid {PAGES} has look' in place.asks(command="offline")
    viewer = {"name": "eve", "roles": ["viewer"]}
    assert '"offline" is not allowed to eve (viewer)' in place.asks(command="offline", on_behalf=viewer)
    other = as_user(PAGES + 1, OF_STATION, lambda: request(place.work / "control.sock", {
        "command": "offline", "on_behalf": {"name": "eve", "roles": ["operator"]}}))  # fmt: skip
    assert "only the pages of the station" in other or "needs the role operate" in other


@pytest.mark.parametrize(
    "what",
    [
        "station.toml",
        "engine/manifest.json",
        "engine",
        "work/records/records.db",
        "work/records",
        "work",
        "run",
        "run/*",
    ],
)
def test_a_stolen_process_writes_nothing_of_the_line(place: Place, what: str) -> None:
    """Neither the file nor, in its folder, another in its place."""
    folder = place.bench.directory
    files = [each for each in folder.glob(what) if each.name != "live.watch"]
    assert files
    for file in files:
        assert not place.stolen(lambda file=file: os.access(file, os.W_OK)), f"{file} can be written"  # type: ignore[misc]
        for tried in (
            lambda file=file: (file / "new" if file.is_dir() else file).open("ab").close(),
            lambda file=file: file.rename(file.with_name("gone")),
            lambda file=file: (file.rmdir if file.is_dir() else file.unlink)(),
            lambda file=file: os.chmod(file, 0o777),  # noqa: PTH101
        ):
            said = place.stolen(tried)
            assert any(word in str(said) for word in ("Permission denied", "not permitted")), f"{file}: {said}"


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Nobody but its owner may enter or read."""
    mode = path.stat().st_mode & 0o7777
    owner = path.stat().st_uid
    os.chown(path, 0, -1)
    path.chmod(0o700)
    try:
        yield
    finally:
        os.chown(path, owner, -1)
        path.chmod(mode)


def sentence(client: Client, path: str) -> tuple[int, str]:
    got = client.get(path)
    return got.status, re.sub(r"<[^>]+>|\s+", " ", got.text)


def test_a_right_that_is_missing_is_a_sentence(place: Place) -> None:
    quinn = place.client("quinn", "quality")
    (path,) = set(re.findall(r'href="(/parts/[^"/]+/1)["?]', quinn.get("/parts").text))
    csrf = quinn.csrf()
    with closed(place.work / "records"):
        status, text = sentence(quinn, "/parts")
        assert (status, "is closed to the user of the pages" in text) == (503, True), text
    with closed(place.work / "labels"):
        got = quinn.post(f"{path}/label", {"csrf": csrf, "label": "good"})
        assert got.status in (400, 503), got.text
        assert "labels.db" in got.text
    with closed(place.work / "control.sock"):
        otto = place.client("otto", "operator")
        got = otto.post("/live/offline", {"csrf": otto.csrf()})
        assert got.status < 500, got.text
        assert "closed to you" in got.text
    with closed(place.bench.config_path):
        status, text = sentence(place.client("ina", "integrator"), "/setup/settings")
        assert (status, "station.toml" in text) == (503, True), text
    assert quinn.get("/parts").status == 200
