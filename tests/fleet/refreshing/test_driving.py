"""As many workers as there is work for, until there is none; workers that cannot work are not started for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.fleet.refreshing.driving import drive
from station.fleet.refreshing.executors import Gone, Local
from station.fleet.refreshing.jobs import Counts, FleetError
from tests.bench.waiting import wait_for


@dataclass
class Plant:
    """A table and an executor without a clock: each look is a step of the workers."""

    waiting: int
    width: int
    fates: list[str]
    """What becomes of the next worker: done, killed (its lease ends later), useless (before it takes anything)."""
    code: int = 0
    running: int = 0
    most: int = 0
    started: int = 0
    done: int = 0
    tries: int = 0
    lost: int = 0
    silent: int = 0
    over: list[Gone] = field(default_factory=list)

    def counts(self) -> Counts:
        self.lost, self.silent = self.lost + self.silent, 0  # their leases are over by the next look
        state = {"waiting": self.waiting, "running": self.lost, "done": self.done}
        return Counts(state, self.lost, self.tries)

    def start(self, words: Sequence[str]) -> None:
        self.started += 1
        self.running += 1
        self.most = max(self.most, self.running)
        fate = self.fates.pop(0) if self.fates else "done"
        if fate == "useless":
            self.over.append(Gone(self.code, "Traceback\nstation: no such share"))
            return
        if self.waiting:
            self.waiting -= 1
        elif self.lost:
            self.lost -= 1
        else:
            self.over.append(Gone(0, ""))
            return
        self.tries += 1
        if fate == "done":
            self.done += 1
        else:
            self.silent += 1
        self.over.append(Gone(0 if fate == "done" else -9, ""))

    def ended(self) -> list[Gone]:
        over, self.over = self.over, []
        self.running -= len(over)
        return over

    def close(self) -> None:
        return


@given(
    jobs=st.integers(0, 12), width=st.integers(1, 5), fates=st.lists(st.sampled_from(["done", "killed"]), max_size=20)
)
def test_every_job_ends_whatever_becomes_of_workers(jobs: int, width: int, fates: list[str]) -> None:
    plant, kills = Plant(jobs, width, list(fates)), fates.count("killed")
    shown: list[Counts] = []
    found = drive(plant.counts, plant, ["x"], shown.append, lambda _s: None)
    assert (found.open, plant.done) == (0, jobs)
    assert plant.most <= width
    assert plant.started <= jobs + kills
    assert [one.ended for one in shown] == sorted(one.ended for one in shown)


def test_workers_that_cannot_work_are_an_error_with_their_last_word() -> None:
    plant = Plant(3, 2, ["useless"] * 9, code=2)
    with pytest.raises(FleetError, match="a worker cannot work here: no such share"):
        drive(plant.counts, plant, [], lambda _c: None, lambda _s: None)
    assert plant.started <= 2


def test_workers_that_crash_are_given_up_after_some() -> None:
    plant = Plant(3, 2, ["done", *["useless"] * 99], code=-11)
    with pytest.raises(FleetError, match="workers ended with code -11"):
        drive(plant.counts, plant, [], lambda _c: None, lambda _s: None)
    assert plant.started < 12


@pytest.mark.system
def test_processes_of_this_computer() -> None:
    local = Local(2)
    local.start(["no-such-command"])
    over: list[Gone] = []

    def is_over() -> bool:
        over.extend(local.ended())
        return bool(over)

    wait_for(is_over, "the end of a command that does not exist")
    assert over[0].code == 2
    assert 'no command "no-such-command"' in over[0].said
    assert local.running == 0
    local.start(["--help"])
    local.close()
    assert local.running == 0
