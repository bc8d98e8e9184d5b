"""One change at a time, and an entry in the audit log for each, also when the station stops meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engines.errors import EngineError
from station.daemon.change_record import NOT_ENDED, STOPPING, ChangeRefused, Made, OneChange
from station.jobs.ended import SHOWN_S
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.audit import AuditRow, audit_rows
from station.records.schema import open_reader
from tests.bench.waiting import wait_for


class Clock:
    """The monotonic clock, set by the test."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(RecorderSettings(tmp_path, min_free_mb=0), "s1")
    made.start()
    yield made
    made.stop(20)


def changes_with(recorder: Recorder, clock: Clock | None = None) -> OneChange:
    made = OneChange(recorder, (EngineError,), lambda: False, clock or Clock())
    made.started()
    return made


def entered(recorder: Recorder, folder: Path) -> list[AuditRow]:
    """What stands in the audit log after the stop of the recorder."""
    assert recorder.stop(20)
    with closing(open_reader(folder)) as connection:
        return list(audit_rows(connection, 100))


def refusing(why: str) -> Made:
    raise EngineError(why)


def test_what_became_of_a_change_is_entered(recorder: Recorder, tmp_path: Path) -> None:
    changes = changes_with(recorder)
    changes.make(lambda: Made("new", "why"), "anna", "engine", "2", before="old")
    with pytest.raises(ChangeRefused, match="golden"):
        changes.make(lambda: refusing("golden"), "anna", "engine", "3", before="old")
    with pytest.raises(ZeroDivisionError):
        changes.make(lambda: Made(str(1 // 0)), "plc", "recipe", "4", before="")
    found = [(row.action, row.after, row.result, row.detail) for row in entered(recorder, tmp_path)]
    assert found == [
        ("engine", "new", "done", "why"),
        ("engine", "3", "refused", "golden"),
        ("recipe", "4", "refused", "ZeroDivisionError: integer division or modulo by zero; see the log"),
    ]


def test_a_stop_calls_off_what_is_under_way_and_its_entry_is_made(recorder: Recorder, tmp_path: Path) -> None:
    changes = changes_with(recorder)
    begun, refused = threading.Event(), threading.Event()

    def waits() -> Made:
        begun.set()
        while True:
            changes.check()

    def asks() -> None:
        with pytest.raises(ChangeRefused, match="the station is stopping"):
            changes.make(waits, "anna", "recipe", "flange", before="disc")
        refused.set()

    thread = threading.Thread(target=asks)
    thread.start()
    assert begun.wait(20)
    assert changes.close(20)
    assert refused.wait(20)
    with pytest.raises(ChangeRefused, match="the station is stopping"):
        changes.make(lambda: Made("x"), "ben", "engine", "1", before="")
    assert [(row.who, row.result, row.detail) for row in entered(recorder, tmp_path)] == [
        ("anna", "refused", STOPPING),
        ("ben", "refused", STOPPING),
    ]
    thread.join(20)


def test_a_change_that_does_not_end_with_the_station_is_on_record_once(recorder: Recorder, tmp_path: Path) -> None:
    """It lost its row: the recorder had ended before the change did."""
    changes = changes_with(recorder)
    begun, gate = threading.Event(), threading.Event()

    def hangs() -> Made:
        begun.set()
        assert gate.wait(60)
        return Made("after all")

    thread = threading.Thread(target=changes.make, args=(hangs, "anna", "recipe", "flange"), kwargs={"before": "disc"})
    thread.start()
    assert begun.wait(20)
    assert not changes.close(0.05)
    found = entered(recorder, tmp_path)
    assert [(row.who, row.action, row.after, row.result, row.detail) for row in found] == [
        ("anna", "recipe", "flange", "refused", NOT_ENDED)
    ]
    gate.set()
    thread.join(20)
    assert recorder.health.lost == 0, "no second entry"


def test_who_waits_for_the_cameras_is_not_waited_for(recorder: Recorder) -> None:
    changes = OneChange(recorder, (), lambda: False)
    refused: list[str] = []

    def asks() -> None:
        try:
            changes.make(lambda: Made("x"), "anna", "engine", "1", before="")
        except ChangeRefused as problem:
            refused.append(str(problem))

    thread = threading.Thread(target=asks)
    thread.start()
    wait_for(changes._turn.locked, "the change to wait for the cameras")
    assert changes.close(20)
    thread.join(20)
    assert refused == [STOPPING]


def test_a_refusal_is_shown_for_an_hour_whatever_the_wall_clock_does(recorder: Recorder) -> None:
    clock = Clock()
    changes = changes_with(recorder, clock)
    with pytest.raises(ChangeRefused):
        changes.make(lambda: refusing("golden"), "anna", "engine", "3", before="old")
    clock.now_s += 600
    assert (changes.refusal, changes.refused_ago_s) == ("engine 3, asked by anna: golden", 600.0)
    clock.now_s += SHOWN_S
    assert (changes.refusal, changes.refused_ago_s) == ("", None)
    with pytest.raises(ChangeRefused):
        changes.make(lambda: refusing("again"), "anna", "engine", "3", before="old")
    assert "again" in changes.refusal
    changes.make(lambda: Made("new"), "anna", "engine", "2", before="old")
    assert (changes.refusal, changes.refused_ago_s) == ("", None)
