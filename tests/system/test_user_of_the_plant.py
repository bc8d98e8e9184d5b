"""The plant process under a user of its own beside a real station and real pages: it sends, commands for people, and
writes nothing but its folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from station.access.accounts import Accounts
from station.commands.main import main
from station.configuration.load import load_station
from station.control import request
from station.forwarding.progress import forwarding_beside, is_running, read_progress
from station.records.audit import audit_rows
from station.records.schema import open_reader
from tests.bench.bench import Bench, bad, good
from tests.bench.other_user import ANNA as STATION
from tests.bench.other_user import OF_STATION, PAGES, PLANT, as_user, needs_root, open_folder, program_of
from tests.bench.pages import HOST, PASSWORD
from tests.bench.ports import free_port
from tests.bench.receiver import Receiver, receiving, write_secret
from tests.bench.waiting import wait_for
from tests.northbound.opcua.client import Client, Refused, client, packages, papers

pytestmark = [pytest.mark.system, needs_root, pytest.mark.timeout(400)]


@dataclass
class Place:
    """A station of root whose files belong to the group OF_STATION, pages of PAGES, a plant process of PLANT."""

    bench: Bench
    port: int
    """Of OPC UA."""
    receiver: Receiver

    @property
    def work(self) -> Path:
        return self.bench.directory / "work"

    @property
    def cursors(self) -> Path:
        return forwarding_beside(self.work / "records")

    def stolen(self, ask: Callable[[], Any]) -> Any:
        """What a process of the plant that somebody has taken over gets."""
        return as_user(PLANT, PLANT, ask, also=(OF_STATION,))

    def asks(self, **message: Any) -> Any:
        return self.stolen(lambda: request(self.work / "control.sock", message, 20.0))

    def online(self) -> bool:
        return bool(self.bench.status()["online"])

    def taken(self) -> list[str]:
        """Kinds of the events that came to the receiver."""
        return [event["type"] for event in list(self.receiver.taken)]

    def audit(self) -> list[tuple[str, str]]:
        """Who did what, as on record."""
        with closing(open_reader(self.work / "records")) as connection:
            return [(row.who, row.action) for row in audit_rows(connection, 20)]


def configured(folder: Path, port: int, url: str) -> Bench:
    """Files and folders as the installer makes them; the secret is root's, readable to the group of PLANT."""
    os.chown(folder, -1, OF_STATION)
    folder.chmod(0o2755)
    os.chown(write_secret(folder), 0, PLANT)
    bench = Bench(
        folder, access__pages_user=f"uid {PAGES}", access__plant_user=f"uid {PLANT}", opcua__enabled=True,
        opcua__port=port, opcua__commands="all", webhook__url=url, webhook__secret_file="webhook.secret",
        records__pass_image_share=1.0,
    )  # fmt: skip
    for name, user in (("hmi", PAGES), ("labels", PAGES), ("reports", PAGES), ("plant", PLANT)):
        made = folder / "work" / name
        made.mkdir(parents=True)
        os.chown(made, user, user)
        made.chmod(0o2771)
    (folder / "work").chmod(0o2750)
    return bench


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    before = os.umask(0o027)
    try:
        with open_folder() as folder, receiving() as receiver:
            port = free_port()
            with configured(folder, port, receiver.url) as bench:
                accounts = Accounts(load_station(bench.config_path).accounts_dir, idle_s=900.0)
                for name, role in (("anna", "operator"), ("vera", "viewer")):
                    accounts.welcome(name, accounts.invite(name, [role], "test", via="test"), PASSWORD, HOST)
                for file in (folder / "work" / "hmi").iterdir():
                    os.chown(file, PAGES, PAGES)
                bench.start()
                config = ("--config", str(bench.config_path))
                with (
                    program_of(PAGES, "hmi", *config, "--port", "0", says="pages: http"),
                    program_of(PLANT, "plant", "run", *config, says="plant: results go to"),
                ):
                    yield Place(bench, port, receiver)
    finally:
        os.umask(before)


def test_it_sends_what_the_station_records_and_the_station_sees_how_far_it_is(place: Place) -> None:
    wait_for(lambda: len(read_progress(place.cursors)) == 2, "both connectors")
    for picture in (bad(), good()):
        place.bench.part(picture)
    wait_for(lambda: place.taken().count("station.part.inspected") == 2, "the parts at the receiver")
    assert place.cursors.stat().st_uid == PLANT

    def sent() -> list[int]:
        """As the daemon's user, who is a member of the group of PLANT."""
        found = as_user(STATION, STATION, lambda: [one.sent for one in read_progress(place.cursors)],
                        also=(OF_STATION, PLANT))  # fmt: skip
        assert isinstance(found, list), found
        return found

    wait_for(lambda: 2 in sent(), "the cursor behind them")
    for user, also in ((STATION, (OF_STATION, PLANT)), (PAGES, (OF_STATION,))):
        assert as_user(user, user, lambda: is_running(place.cursors), also=also) is True


def test_commands_of_the_stations_user_say_how_it_does_and_try_the_way(place: Place) -> None:
    for words in (["status"], ["test"]):
        code = as_user(
            STATION, STATION, partial(main, ["plant", *words, "--config", str(place.bench.config_path)]),
            also=(OF_STATION, PLANT),
        )  # fmt: skip
        assert code in (0, 1), code
    wait_for(lambda: "station.webhook.test" in place.taken(), "the test event")


@pytest.fixture
def plant(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client that the station trusts, since a person has put its certificate there."""
    folder = tmp_path_factory.mktemp("client")
    mine = papers(folder)
    trusted = place.cursors.parent / "opcua" / "trusted"
    (trusted / "client.der").write_bytes(mine.der)
    (trusted / "client.der").chmod(0o644)
    with client(packages(tmp_path_factory), folder) as opened:
        opened.connect(place.port, mine, user="anna", password=PASSWORD)
        yield opened
        with pytest.raises(Refused):
            opened.connect(place.port, mine, user="anna", password="wrong")


def test_a_person_commands_over_opc_ua_and_stands_on_record_with_the_client(place: Place, plant: Client) -> None:
    """Whose password the pages have looked at: the plant process cannot read accounts."""
    place.bench.plc.set(trigger_enable=False)  # else the PLC holds control
    try:
        wait_for(lambda: not place.bench.status()["trigger_enable"], "the PLC to let go")
        assert plant.call("VisionStateMachine/Halt", ["Int32", 7], ["String", "shift ends"]) == ("Good", [0])
        wait_for(lambda: not place.online(), "the line to go off")
        wait_for(lambda: ("operator anna (OPC UA 127.0.0.1)", "offline") in place.audit(), "it on record")
    finally:
        place.bench.plc.set(trigger_enable=True)
        request(place.work / "control.sock", {"command": "online"})
    wait_for(place.online, "the line to go on")
    assert "online" not in [action for _, action in place.audit()], "root is no remote client"


def test_a_stolen_process_asks_what_opc_ua_commands_alone(place: Place) -> None:
    eve = {"name": "eve", "roles": ["operator", "maintenance", "integrator", "quality", "admin"]}
    assert place.asks(command="status")["ok"]
    assert '"offline" is refused to uid' in place.asks(command="offline")
    for command in ("engine", "settings", "reload", "challenge", "second", "teach", "quarantine", "batch", "points"):
        assert "on behalf of a person the plant process may ask" in place.asks(command=command, on_behalf=eve)
    assert "without_engine" in place.asks(command="recipe", recipe="x", without_engine=True, on_behalf=eve)
    assert place.online()


@pytest.mark.parametrize(
    "what",
    ["station.toml", "engine", "work", "work/records", "work/records/records.db", "work/records/images", "run",
     "webhook.secret", "work/hmi", "work/hmi/hmi.db", "work/labels", "work/reports"],
)  # fmt: skip
def test_a_stolen_process_writes_nothing_but_its_own(place: Place, what: str) -> None:
    """Neither the file nor, in its folder, another in its place."""
    file = place.bench.directory / what
    assert file.exists()
    for tried in (
        lambda: (file / "new" if file.is_dir() else file).open("ab").close(),
        lambda: file.rename(file.with_name("gone")),
        file.rmdir if file.is_dir() else file.unlink,
        lambda: os.chmod(file, 0o777),  # noqa: PTH101
    ):
        said = place.stolen(tried)
        assert any(word in str(said) for word in ("Permission denied", "not permitted")), f"{file}: {said}"


def test_a_stolen_process_reads_no_password(place: Place) -> None:
    for file in (place.work / "hmi").glob("hmi.db*"):
        assert "Permission denied" in place.stolen(lambda file=file: file.read_bytes().hex())  # type: ignore[misc]
