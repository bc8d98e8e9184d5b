"""A real station whose engine changes by two people alone: on the pages, at the socket, over a kill, and on record."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from engines.store.store import EngineStore
from station.commands import main as cli
from station.control import ControlError, request
from station.records.audit import audit_rows, verify
from station.records.schema import open_reader
from tests.bench.bench import HEIGHT, WIDTH, Bench
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.other_user import ANNA, BEN, as_user, needs_root, open_folder
from tests.bench.pages import COOKIE, HOST, PASSWORD, Client, Pages, serving_station
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_folder() as folder:
        made = Bench(
            folder,
            with_engine=False,
            engine__path=None,
            engine__store="engines",
            access__second_person=["engine", "limits"],
            access__maintain=["root"],
        )
        store = store_of(made)
        for number in (1, 2):
            engine = write_small_engine(folder / f"made-{number}", width=WIDTH, height=HEIGHT, reject_score=40 + number)
            store.add(engine, why="made")
        store.activate(store.find("1"), why="first")
        with made:
            made.start()
            yield made


def store_of(bench: Bench) -> EngineStore:
    return EngineStore(bench.directory / "engines" / "default")


def active(bench: Bench) -> int:
    version = store_of(bench).active()
    assert version is not None
    return version.number


def login(pages: Pages, name: str, role: str) -> Client:
    code = pages.site.accounts.invite(name, [role], "test", via="test")
    return Client(pages.port, {COOKIE: pages.site.accounts.welcome(name, code, PASSWORD, HOST)}, timeout_s=100.0)


def confirm(client: Client, waiting: Mapping[str, Any], name: str, proof: str = PASSWORD) -> tuple[int, str]:
    fields = {"number": str(waiting["number"]), "digest": waiting["digest"], "name": name, "proof": proof}
    got = client.post("/second/confirm", {"csrf": client.csrf(), **fields})
    return got.status, got.headers.get("location", "") or got.text


def waits(bench: Bench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bench.status()["second_person"]["waiting"]
    return found


def entries(bench: Bench, count: int) -> list[tuple[str, str, str, str]]:
    """Of two people, once there are that many."""

    def found() -> list[tuple[str, str, str, str]]:
        with closing(open_reader(bench.directory / "work" / "records")) as connection:
            assert not verify(connection).broken
            rows = [row for row in audit_rows(connection, 100) if row.action in ("second person", "engine")]
            return [(row.who, row.action, row.after, row.result) for row in rows]

    wait_for(lambda: len(found()) >= count, "the entries")
    return found()


def test_the_pages_ask_two_people_and_a_kill_between_them_costs_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving_station(bench.config_path) as pages:
        anna, quinn = login(pages, "anna", "maintenance"), login(pages, "quinn", "quality")
        login(pages, "ben", "maintenance")
        name = store_of(bench).find("2").name
        fields = {"csrf": anna.csrf(), "why": "new light", "proof": PASSWORD}
        asked = anna.post(f"/engines/{name}/activate", fields)
        assert (asked.status, asked.headers["location"]) == (303, "/second?asked=1")
        assert "Request 1 waits. Nothing has changed yet" in anna.get("/second?asked=1").text
        assert active(bench) == 1
        bench.kill()
        bench.start()
        (waiting,) = waits(bench)
        assert "Requests that wait for a second person: 1" in anna.get("/engines").text
        assert confirm(anna, waiting, "anna")[0] == 409
        assert "anna has asked for it" in confirm(anna, waiting, "anna")[1]
        assert "the roles of quinn do not allow it" in confirm(quinn, waiting, "quinn")[1]
        assert confirm(quinn, waiting, "ben", "not his password")[0] == 403
        assert confirm(anna, waiting, "nobody")[0] == 403
        assert active(bench) == 1
        assert confirm(anna, waiting, "Ben") == (303, "/second?done=1"), "at her panel, with his name and password"
        assert "both names are on record" in anna.get("/second?done=1").text
    assert (active(bench), waits(bench)) == (2, [])
    assert store_of(bench).events()[-1].who == "operator anna, confirmed by ben"
    assert store_of(bench).events()[-1].why.startswith("new light; not known: ")
    found = entries(bench, 6)
    assert ("operator anna", "second person", "asked", "done") in found
    assert [one[3] for one in found].count("refused") == 3
    assert found[-1][:3:2] == ("operator ben", "confirmed")
    assert any(who == "operator anna, confirmed by ben" and action == "engine" for who, action, *_ in found)
    assert cli.main(["audit", "verify", "--config", str(bench.config_path)]) == 0
    assert "second person" not in capsys.readouterr().err


@needs_root
def test_two_users_of_the_computer_and_root_is_none(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["engine", "activate", "2", "--config", str(bench.config_path)]) == 2
    assert f"{getpass.getuser()} is none: ask on the pages" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["engine", "rollback", "--no-reload", "--config", str(bench.config_path)]) == 2
    assert active(bench) == 1

    def shell(uid: int, *words: str) -> Any:
        return as_user(uid, 0, lambda: cli.main([*words, "--config", str(bench.config_path)]))

    assert shell(ANNA, "engine", "activate", "2", "--why", "new light") == 0
    (waiting,) = waits(bench)
    assert (waiting["asked_by"], waiting["via"], active(bench)) == (f"uid {ANNA}", "shell", 1)
    assert shell(ANNA, "confirm", "1", "--yes") == 2, "she has asked herself"
    assert cli.main(["confirm", "1", "--yes", "--config", str(bench.config_path)]) == 2, "root is no person"
    assert active(bench) == 1
    assert shell(BEN, "confirm", "1", "--yes") == 0
    assert active(bench) == 2
    assert store_of(bench).events()[-1].who == f"operator uid {ANNA}, confirmed by uid {BEN}"


def test_an_edited_file_waits_and_what_the_plc_wants_is_refused(bench: Bench) -> None:
    bench.write_config(
        engine__path=None,
        engine__store="engines",
        access__second_person=["engine", "limits"],
        access__maintain=["root"],
        decision__reject_score=0.9,
    )
    before = bench.status()["config_checksum"]
    anna, ben = ({"on_behalf": {"name": name, "roles": ["integrator"]}} for name in ("anna", "ben"))
    socket = bench.directory / "work" / "control.sock"
    waiting = request(socket, {"command": "reload", **anna})["waiting"]
    assert "[decision] reject_score: null -> 0.9" in waiting["what"]
    assert not bench.plc.command(7, 2), "the PLC activates version 2"
    assert not bench.plc.command(8), "the PLC has the files taken up"
    assert (bench.status()["config_checksum"], active(bench)) == (before, 1)
    sure = {"command": "second", "action": "confirm", "number": waiting["number"], "digest": waiting["digest"]}
    with pytest.raises(ControlError, match="anna has asked for it"):
        request(socket, {**sure, **anna})
    request(socket, {**sure, **ben}, 60.0)
    assert bench.status()["config_checksum"] != before
