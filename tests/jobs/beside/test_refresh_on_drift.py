"""A drift that stands has one candidate made: not at once, not twice, not again after a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from station.jobs.beside.refresh_on_drift import AT_MOST_EVERY_S, BY, FILE, RefreshOnDrift
from station.jobs.process import JobError
from station.jobs.refresh_process import USUAL_PARTS as PARTS
from station.jobs.refresh_process import RefreshAsked, RefreshPhase, RefreshProcess, RefreshStatus
from station.records.schema import DATABASE_FILE, open_writer
from tests.bench.waiting import wait_for

LOOK_S = 0.01


class Refreshing(RefreshProcess):
    """Ends when the test says so."""

    def __init__(self) -> None:
        self.asked: list[RefreshAsked] = []
        self.refuses = False
        self.shown = RefreshStatus()

    @property
    def status(self) -> RefreshStatus:
        return self.shown

    def start(self, asked: RefreshAsked) -> None:
        if self.refuses:
            raise JobError("a refresh is under way, asked for by mara; one at a time")
        self.shown = RefreshStatus(RefreshPhase.RUNNING, asked.by, asked.parts)
        self.asked.append(asked)


@dataclass
class Heard:
    work: Path
    refreshing: RefreshProcess
    after_s: float = 0.0
    drifts: bool = True
    looks: int = 0
    events: list[tuple[str, str, str]] = field(default_factory=list)

    def look(self) -> bool:
        self.looks += 1
        return self.drifts

    def looked(self, times: int = 5) -> None:
        """Waits until it has looked as often again."""
        until = self.looks + times
        wait_for(lambda: self.looks >= until, f"{times} looks")

    @contextmanager
    def running(self) -> Iterator[RefreshOnDrift]:
        made = RefreshOnDrift(
            self.after_s, self.look, self.refreshing, self.work, lambda *said: self.events.append(said), look_s=LOOK_S
        )
        made.start()
        try:
            yield made
        finally:
            assert made.stop(30)


def test_a_drift_that_stands_asks_once_and_says_what_came_of_it(tmp_path: Path) -> None:
    refreshing = Refreshing()
    heard = Heard(tmp_path, refreshing)
    with heard.running() as made:
        wait_for(lambda: bool(refreshing.asked), "the refresh")
        wait_for(lambda: made.status["state"] == "under way", "its status")
        refreshing.shown = RefreshStatus(RefreshPhase.DONE, BY, PARTS, detail="7")
        wait_for(lambda: made.status["state"] == "waiting", "its end")
        heard.looked()
        assert refreshing.asked == [RefreshAsked(PARTS, by=BY)], "once for this drift"
        heard.drifts = False
        heard.looked()
        heard.drifts = True
        heard.looked()
        assert len(refreshing.asked) == 1, "another drift of the same day"
    assert [(level, text) for _, level, text in heard.events] == [
        ("info", "a drift stands: a candidate is made of the newest 500 parts"),
        ("info", "candidate 7 is made after a drift: look at it"),
    ]

    again = Heard(tmp_path, refreshing)
    with again.running():
        again.looked()
    assert len(refreshing.asked) == 1, "a restart does not ask again"
    (tmp_path / FILE).write_text(f"{time.time() - AT_MOST_EVERY_S - 1:.0f}\n")
    with Heard(tmp_path, refreshing).running():
        wait_for(lambda: len(refreshing.asked) == 2, "the refresh of another day")


def test_the_time_that_is_kept_is_not_of_the_future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.9)
    refreshing = Refreshing()
    with Heard(tmp_path, refreshing).running():
        wait_for((tmp_path / FILE).is_file, "the time")
    again = Heard(tmp_path, refreshing)
    with again.running():
        again.looked()
    assert len(refreshing.asked) == 1, "in the same second"


@pytest.mark.parametrize("kept", ["x", "", "99999999999"], ids=["no number", "empty", "of the future"])
def test_a_time_that_cannot_be_is_none(tmp_path: Path, kept: str) -> None:
    (tmp_path / FILE).write_text(kept)
    refreshing = Refreshing()
    with Heard(tmp_path, refreshing).running():
        wait_for(lambda: bool(refreshing.asked), "the refresh")


def test_one_that_goes_by_asks_for_nothing(tmp_path: Path) -> None:
    refreshing = Refreshing()
    heard = Heard(tmp_path, refreshing, after_s=3600.0)
    with heard.running():
        heard.looked(10)
        heard.drifts = False
        heard.looked()
    assert refreshing.asked == []
    assert heard.events == []


def test_it_waits_for_the_refresh_of_a_person(tmp_path: Path) -> None:
    refreshing = Refreshing()
    refreshing.refuses = True
    heard = Heard(tmp_path, refreshing)
    with heard.running() as made:
        wait_for(lambda: "asked for by mara" in made.status["problem"], "the refusal")
        refreshing.refuses = False
        wait_for(lambda: bool(refreshing.asked), "the refresh")
        assert made.status["problem"] == ""


@pytest.mark.system
def test_why_a_real_one_makes_no_candidate_is_an_event(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text('[cameras.top]\nproducer = "simtl"\n[engine]\nstore = "engines"\n')
    work = tmp_path / "work"
    (work / "records").mkdir(parents=True)
    open_writer(work / "records" / DATABASE_FILE).close()
    refreshing = RefreshProcess(config, work / "refresh" / "asked", work / "collected")
    heard = Heard(work, refreshing)
    with heard.running() as made:
        wait_for(lambda: len(heard.events) == 2, "its end", timeout_s=120)
        assert "parts" in made.status["problem"] or "images" in made.status["problem"], made.status
    refreshing.close()
    assert heard.events[1][1] == "warning"
    assert heard.events[1][2].startswith("no candidate after a drift: ")
