"""What comes through the control socket: refused with what is allowed, or handed on."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from station.access.asker import PAGES, Asker
from station.access.people import OnBehalf
from station.codes import OfflineReason
from station.control import ControlError
from station.daemon import requests
from station.daemon.candidate.shadowing import Shadowing
from station.daemon.candidate.warm import WarmEngines
from station.daemon.requests import Requests
from station.jobs.beside.virtual_challenge import VIRTUAL, VirtualChallenges
from station.jobs.refresh_process import RefreshProcess
from station.jobs.teaching_from_line import TeachingFromLine
from station.line.challenge.messages import ResetChallenge, StartChallenge
from station.line.inspection.shadow import ShadowDoor
from station.line.recording.stage import Recorder, RecorderSettings
from station.line.signalling.messages import ClearFault, Collect, Message, SetOnline
from station.line.signalling.snapshot import Snapshot
from station.monitoring.stage import Monitoring, MonitoringSettings
from station.monitoring.watch import WatchSettings
from station.records.audit import AuditEntry
from tests.bench.changeovers import Heard, changeover


class Door:
    """The handlers of a station without a line, and what they post.

    A challenge test is refused with `refuses`; None: no stage replies.
    """

    def __init__(self, directory: Path, refuses: str | None = "", monitoring: Monitoring | None = None) -> None:
        self.posted: list[Message] = []
        self.audited: list[AuditEntry] = []
        self.monitoring = monitoring
        self.refuses = refuses
        self.teaching = TeachingFromLine(directory / "teaching", lambda _engine: None)
        made = changeover(directory, Heard(), 'path = "engine"')
        recorder = Recorder(RecorderSettings(directory / "records"), "session")
        self.requests = Requests(
            "session",
            post=self.post,
            snapshot=self.no_snapshot if refuses is not None else self.stands_still,
            changeover=made,
            teaching=self.teaching,
            refreshing=RefreshProcess(directory / "station.toml", directory / "asked", directory / "good"),
            health=lambda: recorder.health,
            monitoring=self.monitoring,
            shadowing=Shadowing(made.configuration, ShadowDoor(), recorder, self.post, WarmEngines(lambda: None)),
            batches=recorder.batches,
            audit=self.audited.append,
        )
        self.handlers = self.requests.handlers

    def post(self, message: Message) -> None:
        self.posted.append(message)
        if isinstance(message, StartChallenge | ResetChallenge) and self.refuses is not None:
            message.reply.put(self.refuses)

    def no_snapshot(self) -> Snapshot:
        raise AssertionError("only the status needs it")

    def stands_still(self) -> Snapshot:
        raise queue.Empty

    def asks(self, command: str, **request: object) -> Mapping[str, Any]:
        asker = OnBehalf("anna", (), str(request.pop("client", "")))
        given = {"user": asker.on_record, "asker": Asker("anna", PAGES, lambda _: True, asker.on_record)}
        return self.handlers[command]({"command": command, **given, **request})


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("online", SetOnline(True)),
        ("offline", SetOnline(False, OfflineReason.BY_OPERATOR)),
        ("clear", ClearFault()),
    ],
)
def test_one_word_commands_are_posted(tmp_path: Path, command: str, message: Message) -> None:
    door = Door(tmp_path)
    assert door.asks(command) == {}
    assert (door.posted, door.audited) == ([message], [])


@pytest.mark.parametrize("command", ["online", "offline", "clear"])
def test_who_asks_from_another_computer_is_on_record(tmp_path: Path, command: str) -> None:
    """At the line nobody sees him."""
    door = Door(tmp_path)
    door.asks(command, client="OPC UA 10.0.7.9")
    assert door.audited == [AuditEntry("operator anna (OPC UA 10.0.7.9)", command, "", "asked", "done")]


@pytest.mark.parametrize(
    ("command", "request_", "why"),
    [
        ("recipe", {}, "recipe = None: the name or the number of a recipe"),
        ("recipe", {"recipe": True}, "recipe = True: the name or the number of a recipe"),
        ("recipe", {"recipe": "flange"}, "refused, everything stays as it was: .*active is not set"),
        ("engine", {"action": "keep"}, "action = 'keep': activate or rollback"),
        ("engine", {"action": "activate"}, "version = None: number, name or start of the id"),
        ("engine", {"action": "rollback", "why": 5}, "why: a text of at most 500 letters"),
        ("engine", {"action": "rollback", "why": "x" * 501}, "why: a text of at most 500 letters"),
        (
            "engine",
            {"action": "activate", "version": "1", "variants": "x"},
            "variants = 'x': keep or remove, or nothing",
        ),
        ("engine", {"action": "activate", "version": "1"}, "refused, everything stays as it was: .*plain folder"),
        ("refresh", {"action": "begin"}, "action = 'begin': start, kinds or stop"),
        ("refresh", {"action": "start", "parts": 5}, "parts = 5: a whole number from 25 to 100000"),
        ("refresh", {"action": "start", "parts": "all"}, "parts = 'all': a whole number"),
        ("refresh", {"action": "start", "only": ["s1/1"]}, "parts = 1: a whole number from 25"),
        ("refresh", {"action": "start", "parts": 50, "only": ["a\nb"]}, "only: a list of at most 2000 names"),
        ("refresh", {"action": "start", "parts": 50, "vetoed": "x"}, "vetoed: a list of at most 2000 names"),
        ("refresh", {"action": "start", "parts": 50}, "a candidate needs .engine. store"),
        ("refresh", {"action": "kinds"}, "a candidate needs .engine. store"),
        ("challenge", {"action": "stop"}, "action = 'stop': start, study, confirm or reset"),
        ("challenge", {"action": "reset", "who": " "}, "who is missing: the name of the person"),
        ("teach", {"parts": 19, "output": "new"}, "parts = 19: a whole number from 20 to 100000"),
        ("teach", {"parts": 100_001, "output": "new"}, "parts = 100001: a whole number from 20 to 100000"),
        ("teach", {"parts": 20, "output": ""}, "output = '': the folder of the new engine"),
        ("teach", {"parts": 20, "output": "new", "false_reject_budget": 1.0}, "a number between 0 and 1"),
        ("teach", {"parts": 20, "output": "new", "review_budget": "10 %"}, "review_budget: a number between 0 and 1"),
        ("teach", {"parts": 20, "output": "new", "parts_per_hour": -1.0}, "parts_per_hour.*: a number above 0"),
        ("teach", {"parts": 20, "output": "new", "max_reviews_per_hour": 9.0}, "give parts_per_hour, too"),
        ("teach", {"parts": 20, "output": "."}, "exists already; choose a new folder"),
    ],
)
def test_a_bad_request_is_refused_and_posts_nothing(
    tmp_path: Path, command: str, request_: dict[str, object], why: str
) -> None:
    door = Door(tmp_path)
    with pytest.raises(ControlError, match=why):
        door.asks(command, **request_)
    assert door.posted == []


def test_a_challenge_test_is_asked_for_in_the_name_of_the_user(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.asks("challenge", action="start")
    door.asks("challenge", action="reset", who="Bo", why="sensor cleaned")
    started, reset = door.posted
    assert isinstance(started, StartChallenge)
    assert started.who == "operator anna"
    assert isinstance(reset, ResetChallenge)
    assert (reset.who, reset.why) == ("Bo (anna)", "sensor cleaned")


def test_a_challenge_test_that_signalling_refuses_is_an_error_for_whoever_asks(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no master parts"):
        Door(tmp_path, refuses="no master parts").asks("challenge", action="start")


@pytest.mark.parametrize("request_", [{"command": "status"}, {"command": "challenge", "action": "start"}])
def test_a_stage_that_gives_no_reply_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: dict[str, str]
) -> None:
    """A station that stops, or whose signalling stands still: the reply was `Empty: `."""
    monkeypatch.setattr(requests, "REPLY_S", 0.01)
    with pytest.raises(ControlError, match="gave no reply in time: it is stopping, or stands still"):
        Door(tmp_path, refuses=None).asks(**request_)


def test_teaching_takes_the_next_parts_of_the_line(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.asks("teach", parts=20, output="new")
    try:
        (collect,) = door.posted
        assert isinstance(collect, Collect)
        assert door.teaching.status.total == 20
    finally:
        door.teaching.close()


@pytest.mark.parametrize(
    ("version", "why"),
    [("2", "no engine is active yet"), (5, "number, name or start of the id"), ("", "number, name or start of the id")],
)
def test_a_shadow_that_cannot_be(tmp_path: Path, version: object, why: str) -> None:
    with pytest.raises(ControlError, match=why):
        Door(tmp_path).asks("shadow", version=version)


def test_no_shadow_can_be_switched_off_at_any_time(tmp_path: Path) -> None:
    assert Door(tmp_path).asks("shadow") == {"version": ""}


def test_a_virtual_challenge_is_asked_for_once(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="enabled = false"):
        Door(tmp_path).asks("monitoring", action="challenge")
    settings = MonitoringSettings(tmp_path / "monitoring.json", WatchSettings(3600, 1, 0.01, 0.005), 5)
    monitoring = Monitoring(settings, lambda _warn: None, lambda _kind, _level, _detail: None)
    challenges = VirtualChallenges(tmp_path / "station.toml", 0.0, lambda _result: None)
    monitoring.companions[VIRTUAL] = challenges
    door = Door(tmp_path, monitoring=monitoring)
    assert door.asks("monitoring", action="challenge") == {}
    with pytest.raises(ControlError, match="under way"):
        door.asks("monitoring", action="challenge")
    with pytest.raises(ControlError, match="learn or challenge"):
        door.asks("monitoring", action="other")
