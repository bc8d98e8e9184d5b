"""What has ended is shown for an hour of the monotonic clock: old builds and teachings leave the status."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.jobs import plan, teaching_from_line
from station.jobs.ended import SHOWN_S, Ended
from station.jobs.plan import PlanBuildError, PlanBuilding
from station.jobs.process import JobError
from station.jobs.teaching_from_line import TeachingFromLine
from tests.bench.waiting import wait_for


class Clock:
    """The monotonic clock, set by the test."""

    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def test_an_end_gets_old() -> None:
    clock = Clock()
    ended = Ended(clock)
    assert (ended.ago_s, ended.is_old) == (None, False)
    ended.mark()
    clock.now_s += SHOWN_S
    assert (ended.ago_s, ended.is_old) == (SHOWN_S, False)
    clock.now_s += 1
    assert ended.is_old
    ended.forget()
    assert (ended.ago_s, ended.is_old) == (None, False)


def test_a_build_that_failed_leaves_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise PlanBuildError("no GPU")

    monkeypatch.setattr(plan, "build_plan", refuses)
    clock = Clock()
    building = PlanBuilding(clock)
    building.start(tmp_path, precision="fp16", threads=1, on_end=lambda _: None)
    building.close()
    assert (building.status.phase.value, building.status.detail) == ("failed", "no GPU")
    clock.now_s += SHOWN_S + 1
    assert building.status.as_dict()["phase"] == "idle"
    building.start(tmp_path, precision="fp16", threads=1, on_end=lambda _: None)
    building.close()
    assert building.status.phase.value == "failed", "the next one is shown"


def test_a_teaching_that_failed_leaves_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise JobError("too few")

    monkeypatch.setattr(teaching_from_line, "teach", refuses)
    monkeypatch.setattr(TeachingFromLine, "_collect", lambda *_: tmp_path)
    clock = Clock()
    teaching = TeachingFromLine(tmp_path / "work", lambda _: None, clock)
    teaching.start(20, tmp_path / "engine")
    wait_for(lambda: teaching.status.phase.value == "failed", "the teaching to fail")
    teaching.close()
    assert teaching.status.detail == "too few"
    clock.now_s += SHOWN_S + 1
    assert teaching.status.as_dict()["phase"] == "idle"
