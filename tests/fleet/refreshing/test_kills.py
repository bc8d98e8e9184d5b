"""Workers killed with -9: every job comes to an end, and nothing half is ever in the results."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from station.fleet.refreshing.results import MARK
from tests.bench.fleet import Fleet
from tests.bench.places import ROOT
from tests.bench.waiting import wait_for
from tests.fleet.refreshing.steps import engine_for

pytestmark = pytest.mark.system
KILLS = 6


def quick_worker(fleet: Fleet) -> subprocess.Popen[str]:
    where = (str(fleet.folder), str(fleet.server.port), fleet.database)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fleet.refreshing.quick_worker", *where],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.timeout(150)
def test_two_workers_killed_at_random_moments(fleet: Fleet) -> None:
    fleet.tries = 10
    stations = [f"ST-{n:02d}" for n in range(8)]
    for station in stations:
        fleet.send_usual(station, 3, 1)
        engine_for(station, fleet.folder / "made" / station)
    fleet.add(*stations)
    chance = random.Random(16)
    workers = [quick_worker(fleet) for _ in range(2)]
    try:
        for kill in range(KILLS):
            victim = workers[kill % 2]
            wait_for(partial(is_at_work, fleet, victim.pid), "a job of the next one that is killed")
            # Gathering, teaching (a second), keeping, saying so; the first kill meets a teaching for sure.
            time.sleep(chance.uniform(0.0, 1.4) if kill else 0.1)
            victim.kill()
            victim.communicate(timeout=20)
            assert_whole(fleet)
            workers[kill % 2] = quick_worker(fleet)
        wait_for(lambda: all(not job.is_open for job in fleet.jobs("r1")), "the end of all jobs")
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate(timeout=20)
    jobs = fleet.jobs("r1")
    assert [job.state for job in jobs] == ["done"] * len(stations), [job.detail for job in jobs]
    assert sum(job.tries for job in jobs) > len(stations), "a kill met a worker at its work"
    assert_whole(fleet)
    assert {job.archive_sha256 for job in jobs} <= {path.stem for path in fleet.results.folder.glob("*.tar")}
    left = [path for path in (fleet.folder / "worker").iterdir() if not path.name.startswith(".")]
    assert len(left) <= 2, "what killed workers had is removed by the next ones"


def is_at_work(fleet: Fleet, pid: int) -> bool:
    """Or nothing is left to do."""
    jobs = fleet.jobs("r1")
    return any(job.state == "running" and job.worker.endswith(f":{pid}") for job in jobs) or not any(
        job.is_open for job in jobs
    )


def assert_whole(fleet: Fleet) -> None:
    for path in fleet.results.folder.iterdir():
        if path.suffix == ".tar":
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
        else:
            assert path.name == MARK or path.name.startswith(".new-") or path.suffix == ".report", path
    for job in fleet.jobs("r1"):
        assert (job.state == "done") == (job.archive_sha256 is not None)


@pytest.mark.timeout(150)
def test_a_real_worker_killed_while_it_teaches_is_tried_again(fleet: Fleet) -> None:
    fleet.send_usual("ST-04")
    (number,) = fleet.add("ST-04")
    first = fleet.start("worker", "--once", "--threads=1")
    try:
        wait_for(lambda: fleet.job(number).step not in ("", "images"), "the teaching")
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait(20)  # its teaching ends by itself: nobody reads what it says
    wait_for(lambda: fleet.job(number).is_lost, "the end of the lease")
    second = fleet.start("worker", "--once", "--threads=1")
    said, errors = second.communicate(timeout=110)
    assert second.returncode == 0, errors
    job = fleet.job(number)
    assert (job.state, job.tries) == ("done", 2), job.detail
    assert f"job {number}, ST-04, try 2 of 3: done: {job.engine_id}" in said
    assert_whole(fleet)
    first.communicate(timeout=20)


def test_a_stopped_worker_puts_its_job_back_at_once(fleet: Fleet) -> None:
    fleet.send_usual("ST-04")
    (number,) = fleet.add("ST-04")
    worker = fleet.start("worker", "--threads=1")
    wait_for(lambda: fleet.job(number).state == "running", "a worker that takes it")
    worker.terminate()
    worker.communicate(timeout=30)
    assert worker.returncode == 143
    job = fleet.job(number)
    assert (job.state, job.tries) == ("waiting", 0)
    assert list((fleet.folder / "work" / "fleet" / "refresh").iterdir()) == []
