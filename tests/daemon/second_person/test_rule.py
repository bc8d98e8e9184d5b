"""Two people: nothing happens for one, the second is another one with the role and confirms what he has read."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engines.store.store import EngineStore
from station.access.asker import NOBODY, PAGES, SHELL, Asker
from station.access.people import ON_BEHALF, OnBehalf
from station.control import ControlError, request
from station.daemon.change_record import ChangeRefused, WantedEngine
from station.daemon.changeover import Changeover
from station.daemon.control_server import ControlServer
from station.daemon.second_person.release import Part, Quarantine
from station.daemon.second_person.rule import SecondPerson
from station.daemon.second_person.waiting import FILE, MOST_WAITING
from station.labels.quarantine import keep, quarantined
from station.labels.schema import labels_beside, open_writer
from station.labels.writing import Reviewer
from station.records.audit import AuditEntry
from tests.bench.changeovers import Heard, changeover
from tests.bench.engines.small_engine import write_small_engine

ALL = ("engine", "limits", "quarantine")


@dataclass
class Desk:
    """A station without a line behind the rule; what was done is in `did`."""

    folder: Path
    rules: tuple[str, ...] = ALL
    now: float = 1_000.0
    did: list[Mapping[str, Any]] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)
    refusal: str = ""

    def __post_init__(self) -> None:
        self.changes: Changeover = changeover(self.folder, Heard(), 'store = "engines"')
        self.changes.configuration.work_dir.mkdir(exist_ok=True)
        self.store = EngineStore(self.folder / "engines" / "default")
        for number in (1, 2, 3):
            made = write_small_engine(self.folder / f"made-{number}", width=16, height=16, reject_score=40.0 + number)
            self.store.add(made, why="made")
        self.store.activate(self.store.find("1"), why="first")
        self.restart()

    def restart(self) -> None:
        """Another process with the same work folder."""
        rule = SecondPerson(self.rules, 60.0, self.changes, audit=self.entries.append, event=self.event,
                            clock=lambda: self.now)  # fmt: skip
        handlers = dict.fromkeys(("engine", "settings", "reload", "online"), self.do)
        quarantine = Quarantine(self.changes.configuration.records_dir, self.entries.append)
        status = {"status": lambda _: {"status": {}}, "quarantine": quarantine.reply}
        self.rule, self.handlers = rule, rule.guarded({**handlers, **status})

    def event(self, *said: str) -> None:
        raise AssertionError(said)

    def do(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if self.refusal:
            raise ControlError(self.refusal)
        self.did.append(message)
        return {}

    def ask(self, name: str, message: Mapping[str, Any], *, role: str = "maintenance", via: str = PAGES) -> Any:
        may = OnBehalf(name, (role,)).may if role else lambda _: True
        asker = Asker(name, via, may)
        return self.handlers[message["command"]]({**message, "user": name, "asker": asker})

    def waiting(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("ben", {"command": "second", "action": "list"})["waiting"]
        return found

    def confirm(self, name: str, number: int = 1, digest: str = "", **who: str) -> Any:
        seen = next((one["digest"] for one in self.waiting() if one["number"] == number), "")
        asked = {"command": "second", "action": "confirm", "number": number, "digest": digest or seen}
        return self.ask(name, asked, **who)


ACTIVATE = {"command": "engine", "action": "activate", "version": "2", "why": "new light"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def settings(desk: Desk, score: float = 0.6) -> dict[str, Any]:
    active = desk.changes.configuration
    text = active.raw.decode() + f"\n[decision]\nreject_score = {score}\n"
    bases = {"configuration": active.checksum, "recipe": active.recipe_checksum}
    return {"command": "settings", "kind": "configuration", "text": text, "based_on": bases, "why": "lamp"}


def test_without_the_rule_one_person_is_enough(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules=())
    desk.ask("anna", ACTIVATE)
    assert [one["version"] for one in desk.did] == ["2"]
    assert desk.entries == []


def test_one_person_changes_nothing_and_the_second_does(desk: Desk) -> None:
    waiting = desk.ask("anna", ACTIVATE)["waiting"]
    assert desk.did == []
    assert waiting["what"].startswith("activate engine 0002-")
    assert "active now: 0001-" in waiting["what"]
    desk.confirm("ben")
    (done,) = desk.did
    assert (done["user"], done["version"]) == ("anna, confirmed by ben", desk.store.find("2").name)
    assert [(one.who, one.after, one.result) for one in desk.entries] == [
        ("operator anna", "asked", "done"),
        ("operator ben", "confirmed", "done"),
    ]
    assert "asked by anna" in desk.entries[1].detail
    assert "new light" in desk.entries[1].detail
    assert desk.waiting() == []
    with pytest.raises(ControlError, match="request 1 does not wait"):
        desk.confirm("clara")


def test_what_is_under_no_rule_is_done_at_once(desk: Desk) -> None:
    desk.ask("anna", {"command": "online"})
    desk.ask("anna", {"command": "reload"}, role="integrator")  # the files are as they were, and no engine is in use
    assert [one["command"] for one in desk.did] == ["online"], "an engine that is not in use yet would be taken up"


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ({"name": "anna"}, "anna has asked for it: a second person"),
        ({"name": "Anna"}, "Anna has asked for it: a second person"),
        ({"name": "ben", "role": "quality"}, "the roles of ben do not allow it"),
        (
            {"name": "ben", "via": SHELL, "role": ""},
            "asked on the pages by anna, so it is confirmed on the pages",
        ),
        ({"name": "root", "via": NOBODY, "role": ""}, "root is no person"),
        ({"name": "ben", "digest": "0" * 64}, "it is not the request that you have read"),
    ],
)
def test_who_is_not_a_second_person_with_the_role_is_refused(desk: Desk, who: dict[str, str], why: str) -> None:
    desk.ask("anna", ACTIVATE)
    with pytest.raises(ControlError, match=why):
        desk.confirm(**who)  # type: ignore[arg-type]
    assert desk.did == []
    assert desk.entries[-1].result == "refused"
    assert why in desk.entries[-1].detail
    assert len(desk.waiting()) == 1, "it still waits for somebody else"


def test_root_asks_for_nothing_that_needs_two(desk: Desk) -> None:
    with pytest.raises(ControlError, match=r"this needs two people .*root is none"):
        desk.ask("root", ACTIVATE, via=NOBODY, role="")
    assert desk.waiting() == []


def test_two_users_of_the_computer(desk: Desk) -> None:
    desk.ask("anna", ACTIVATE, via=SHELL, role="")
    with pytest.raises(ControlError, match="so it is confirmed in a shell, by another user of this computer"):
        desk.confirm("ben")
    desk.confirm("ben", via=SHELL, role="")
    assert desk.did[0]["user"] == "anna, confirmed by ben"


def test_it_survives_a_restart_and_is_asked_once(desk: Desk) -> None:
    desk.ask("anna", ACTIVATE)
    assert desk.ask("anna", ACTIVATE)["waiting"]["number"] == 1, "asked twice is asked once"
    before = desk.waiting()
    desk.restart()
    assert desk.waiting() == before
    desk.confirm("ben")
    desk.restart()
    assert desk.waiting() == []
    assert desk.ask("anna", {**ACTIVATE, "version": "3"})["waiting"]["number"] == 2, "numbers are never used again"


def test_its_time_ends(desk: Desk) -> None:
    desk.ask("anna", ACTIVATE)
    desk.now += 3599.0
    assert len(desk.waiting()) == 1
    desk.now += 1.0
    with pytest.raises(ControlError, match="done, withdrawn, or too old"):
        desk.confirm("ben")
    assert desk.did == []
    assert (desk.entries[-1].who, desk.entries[-1].after) == ("station", "ended")


def test_it_is_withdrawn_by_whoever_might_have_asked(desk: Desk) -> None:
    desk.ask("anna", ACTIVATE)
    withdraw = {"command": "second", "action": "withdraw", "number": 1}
    with pytest.raises(ControlError, match="your roles do not allow it"):
        desk.ask("otto", withdraw, role="quality")
    desk.ask("anna", withdraw)
    assert (desk.waiting(), desk.did, desk.entries[-1].after) == ([], [], "withdrawn")


def test_what_changed_meanwhile_makes_it_void(desk: Desk) -> None:
    desk.ask("anna", ACTIVATE)
    desk.store.activate(desk.store.find("3"), why="by hand, on the disk")
    with pytest.raises(ControlError, match="changed meanwhile: active version: the request is void"):
        desk.confirm("ben")
    assert (desk.did, desk.waiting()) == ([], [])


def test_going_back_is_to_the_version_that_was_meant(desk: Desk) -> None:
    desk.store.activate(desk.store.find("2"), why="second")
    waiting = desk.ask("anna", {"command": "engine", "action": "rollback", "why": "worse"})["waiting"]
    assert waiting["what"].startswith("go back to engine 0001-")
    desk.store.activate(desk.store.find("3"), why="by hand")
    with pytest.raises(ControlError, match="changed meanwhile: active version, version"):
        desk.confirm("ben")


def test_settings_show_every_value_and_hold_for_the_files_that_they_were_based_on(desk: Desk) -> None:
    waiting = desk.ask("ina", settings(desk), role="integrator")["waiting"]
    assert waiting["what"] == "save configuration: [decision] reject_score: null -> 0.6"
    with pytest.raises(ControlError, match="the roles of ben do not allow it"):
        desk.confirm("ben", role="maintenance")
    desk.confirm("ivo", role="integrator")
    assert desk.did[0]["user"] == "ina, confirmed by ivo"
    desk.ask("ina", settings(desk, 0.7), role="integrator")
    path = desk.changes.configuration.path
    path.write_bytes(path.read_bytes() + b"# by hand\n")
    with pytest.raises(ControlError, match=r"was edited and not taken up: .*the request is void"):
        desk.confirm("ivo", 2, role="integrator")
    assert len(desk.did) == 1


def test_an_edited_file_is_taken_up_by_two(desk: Desk) -> None:
    path = desk.changes.configuration.path
    path.write_text(path.read_text() + "[decision]\nreject_score = 0.9\n")
    waiting = desk.ask("ina", {"command": "reload"}, role="integrator")["waiting"]
    assert "[decision] reject_score: null -> 0.9" in waiting["what"]
    path.write_text(path.read_text().replace("0.9", "0.99"))
    with pytest.raises(ControlError, match="changed meanwhile: new"):
        desk.confirm("ivo", role="integrator")
    assert desk.did == []


def test_what_cannot_be_done_is_not_asked_of_anybody(desk: Desk) -> None:
    with pytest.raises(ControlError, match=r'no engine "9"|9'):
        desk.ask("anna", {**ACTIVATE, "version": "9"})
    with pytest.raises(ControlError, match="why is missing"):
        desk.ask("ina", {**settings(desk), "why": ""}, role="integrator")
    assert desk.waiting() == []


def test_what_the_station_refuses_waits_on(desk: Desk) -> None:
    desk.ask("anna", ACTIVATE)
    desk.refusal = "another change is under way; try again"
    with pytest.raises(ControlError, match="request 1 was not done: another change is under way"):
        desk.confirm("ben")
    desk.refusal = ""
    desk.confirm("ben")
    assert len(desk.did) == 1


def test_plc_and_signals_wait_for_nobody_and_are_refused(desk: Desk) -> None:
    alone = desk.rule.alone
    with pytest.raises(ChangeRefused, match="this needs two people"):
        alone.activate_engine(WantedEngine("2"), "plc")
    desk.store.activate(desk.store.find("2"), why="by hand")
    with pytest.raises(ChangeRefused, match="this needs two people"):
        alone.activate_engine(WantedEngine(None), "plc")
    path = desk.changes.configuration.path
    path.write_text(path.read_text() + "[decision]\nreject_score = 0.9\n")
    with pytest.raises(ChangeRefused, match=r"reject_score: null -> 0\.9"):
        alone.reload("SIGHUP")
    taught = desk.changes.configuration.engine_path
    assert taught is not None
    with pytest.raises(ChangeRefused, match="two people take it up"):
        alone.take_taught_engine(taught)
    assert desk.store.active() == desk.store.find("2")


def test_a_part_leaves_the_quarantine_by_two(desk: Desk) -> None:
    records = desk.changes.configuration.records_dir
    records.mkdir(parents=True)
    part = Part("s1", 1, 1001, 5.0)
    named = {"session": "s1", "acquisition_id": 1, "part_id": 1001, "wall_time": 5.0}
    with closing(open_writer(labels_beside(records))) as labels:
        keep(labels, part, Reviewer("otto", "quality"), "for the customer")
    release = {"command": "quarantine", "action": "release", "why": "seen", **named}
    desk.ask("otto", release, role="quality")
    assert len(quarantined(labels_beside(records))) == 1
    desk.confirm("quinn", role="quality")
    assert quarantined(labels_beside(records)) == []
    with closing(sqlite3.connect(labels_beside(records))) as labels:
        assert labels.execute("SELECT reviewer FROM quarantine ORDER BY id DESC LIMIT 1").fetchone() == (
            "otto, confirmed by quinn",
        )


def test_not_more_than_can_be_looked_at(desk: Desk) -> None:
    for number in range(MOST_WAITING):
        desk.ask(f"anna{number}", ACTIVATE)
    with pytest.raises(ControlError, match="10 requests wait for a second person already"):
        desk.ask("zoe", ACTIVATE)
    status = desk.ask("ben", {"command": "status"})["status"]["second_person"]
    assert (status["rules"], len(status["waiting"])) == (list(ALL), MOST_WAITING)


def test_a_damaged_file_is_put_aside_and_a_changed_one_confirms_nothing(desk: Desk) -> None:
    desk.ask("anna", ACTIVATE)
    file = desk.changes.configuration.work_dir / FILE
    assert file.stat().st_mode & 0o077 == 0
    seen = desk.waiting()[0]["digest"]
    kept = json.loads(file.read_text())
    kept["waiting"][0]["message"]["version"] = desk.store.find("3").name
    file.write_text(json.dumps(kept))
    desk.restart()
    with pytest.raises(ControlError, match="not the request that you have read"):
        desk.confirm("ben", digest=seen)
    file.write_text("{")
    desk.restart()
    assert desk.waiting() == []
    assert file.with_suffix(".damaged").read_text() == "{"


@pytest.fixture
def door(desk: Desk, tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(tmp_path / "sock", desk.handlers)
    server.start()
    yield tmp_path / "sock"
    server.close()


def test_over_the_socket_it_is_the_kernel_and_the_pages_that_say_who(desk: Desk, door: Path) -> None:
    with pytest.raises(ControlError, match="this needs two people"):
        request(door, ACTIVATE)  # this process is the station's own user
    anna, ben = ({ON_BEHALF: {"name": name, "roles": ["maintenance"]}} for name in ("anna", "ben"))
    waiting = request(door, {**ACTIVATE, **anna})["waiting"]
    confirm = {"command": "second", "action": "confirm", "number": waiting["number"], "digest": waiting["digest"]}
    with pytest.raises(ControlError, match="anna has asked for it"):
        request(door, {**confirm, **anna})
    request(door, {**confirm, **ben, "asker": "anna", "user": "x"})
    assert desk.did[0]["user"] == "anna, confirmed by ben"
    assert hashlib.sha256(b"").hexdigest() != waiting["digest"]
