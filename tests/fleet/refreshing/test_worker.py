"""A worker: a job to its end, and every way in which it does not come to one."""

from __future__ import annotations

import fcntl
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engines.bundle.archive import open_archive
from station.fleet.refreshing import worker as worker_module
from station.fleet.refreshing.jobs import FleetError, Job, Unlucky
from station.fleet.refreshing.results import MARK
from station.fleet.refreshing.worker import LOCK
from station.northbound.postgres.trouble import Trouble
from tests.bench.fleet import REFRESHER, Fleet
from tests.bench.waiting import wait_for
from tests.fleet.refreshing.steps import QuickStep, worker_of

pytestmark = pytest.mark.system


@pytest.fixture
def sent(fleet: Fleet) -> Fleet:
    fleet.send_usual("ST-04", 4, 1)
    fleet.add("ST-04")
    return fleet


def there(fleet: Fleet) -> set[str]:
    return {path.name for path in fleet.results.folder.iterdir()} - {MARK}


def test_an_engine_lies_under_its_hash_with_its_report(sent: Fleet) -> None:
    step = QuickStep()
    worker = worker_of(sent, step)
    ended = worker.work_one()
    assert ended is not None
    assert ended.outcome == "done", ended.detail
    (job,) = sent.jobs()
    assert (job.state, job.product, job.engine_id) == ("done", "cover", ended.detail)
    assert there(sent) == {f"{job.archive_sha256}.tar", f"{job.archive_sha256}.report"}
    assert job.archive_sha256 is not None
    archive = sent.results.archive(job.archive_sha256)
    assert archive.stat().st_size == job.archive_bytes
    with open_archive(archive) as opened:
        assert opened.digests().sha256 == job.archive_sha256
    assert (sent.results.report(job.archive_sha256) / "refresh" / "comparison.json").exists()
    assert job.report == {"images": 5}
    assert list((sent.folder / "worker").iterdir()) == []
    ((_, gathered, active),) = step.seen
    assert (len(gathered.images), active) == (5, "e" * 64)
    assert worker.work_one() is None


def refuse(problem: Exception) -> QuickStep:
    def before(_job: Job) -> None:
        raise problem

    return QuickStep(before)


def test_what_would_end_the_same_way_is_not_tried_again(sent: Fleet) -> None:
    ended = worker_of(sent, refuse(FleetError("20 images are needed"))).work_one()
    assert ended is not None
    assert (ended.outcome, sent.jobs()[0].state, sent.jobs()[0].detail) == ("failed", "failed", "20 images are needed")
    assert there(sent) == set()


def test_bad_luck_is_tried_as_often_as_configured(sent: Fleet) -> None:
    worker = worker_of(sent, refuse(Unlucky("killed for its memory")))
    outcomes = [ended.outcome for _ in range(3) if (ended := worker.work_one()) is not None]
    assert outcomes == ["again", "again", "failed"]
    assert worker.work_one() is None
    assert (sent.jobs()[0].tries, sent.jobs()[0].detail) == (3, "killed for its memory")


def test_a_folder_of_results_that_is_away_or_full(sent: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    (sent.results.folder / MARK).unlink()
    worker = worker_of(sent, QuickStep())
    assert "has no file .station-engines: is the share mounted" in worker.reach()
    ended = worker.work_one()
    assert ended is not None
    assert (ended.outcome, "is the share mounted" in ended.detail) == ("again", True)
    (sent.results.folder / MARK).touch()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("station.fleet.refreshing.results.sync_tree", full)
    ended = worker.work_one()
    assert ended is not None
    assert (ended.outcome, "No space left on device" in ended.detail) == ("again", True)
    assert there(sent) == set(), "nothing half"
    monkeypatch.undo()
    monkeypatch.setattr(Path, "write_bytes", full)
    ended = worker.work_one()
    assert ended is not None
    assert (ended.outcome, "No space left on device" in ended.detail) == ("failed", True)
    assert sent.jobs()[0].state == "failed"


def test_a_stopped_worker_puts_its_job_back(sent: Fleet) -> None:
    def stop(_job: Job) -> None:
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        worker_of(sent, QuickStep(stop)).work_one()
    (job,) = sent.jobs()
    assert (job.state, job.tries, "was stopped" in job.detail) == ("waiting", 0, True)
    assert list((sent.folder / "worker").iterdir()) == []


def test_a_worker_that_was_given_up_throws_its_engine_away(sent: Fleet) -> None:
    """It stood still for longer than its lease: a stopped virtual machine, a hung share."""

    def taken_away(job: Job) -> None:
        sent.ask(
            "UPDATE station_fleet.refresh_jobs SET leased_until = now() - interval '1 s' WHERE job = %s", (job.number,)
        )
        other = sent.table("other")
        assert other.take(60.0) is not None
        other.close()

    ended = worker_of(sent, QuickStep(taken_away)).work_one()
    assert ended is not None
    assert ended.outcome == "lost"
    (job,) = sent.jobs()
    assert (job.state, job.worker, job.tries, job.archive_sha256) == ("running", "other", 2, None)


def test_it_is_heard_while_it_works(sent: Fleet) -> None:
    sent.lease_s = 1.0

    def lease() -> datetime:
        ((until,),) = sent.ask("SELECT leased_until FROM station_fleet.refresh_jobs")
        assert isinstance(until, datetime)
        return until

    def long(_job: Job) -> None:
        first = lease()
        wait_for(lambda: lease() > first + timedelta(seconds=1.5), "beats, for longer than a lease")

    ended = worker_of(sent, QuickStep(long)).work_one()
    assert ended is not None
    assert ended.outcome == "done"


def test_a_database_that_is_away_at_the_end_is_waited_for(sent: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "PAUSE_S", 0.1)

    def shut(_job: Job) -> None:
        sent.server.ask("postgres", f"ALTER DATABASE {sent.database} CONNECTION LIMIT 0")
        sent.server.ask(
            "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (REFRESHER,)
        )
        timer = threading.Timer(
            1.0, sent.server.ask, ("postgres", f"ALTER DATABASE {sent.database} CONNECTION LIMIT -1")
        )
        timer.start()

    step = QuickStep(shut)
    ended = worker_of(sent, step).work_one()
    assert ended is not None
    assert ended.outcome == "done", ended.detail
    monkeypatch.setattr(worker_module, "FINISH_S", 0.0)
    sent.add("ST-04", round_name="r2")
    with pytest.raises(Trouble):
        worker_of(sent, step).work_one()
    assert step.seen[-1][0].round == "r2"
    wait_for(lambda: sent.ask("SELECT 1") == [(1,)], "the database")


def test_folders_of_killed_workers_go_and_those_of_others_stay(sent: Fleet) -> None:
    above = sent.folder / "worker"
    for name in ("1-1-9", "2-1-9"):
        (above / name).mkdir(parents=True)
        (above / name / LOCK).touch()
    (above / "note").touch()
    with (above / "2-1-9" / LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        worker_of(sent, QuickStep()).work_one()
        assert {path.name for path in above.iterdir()} == {"2-1-9", "note"}


def test_what_killed_workers_left_in_the_results_goes_after_a_day(sent: Fleet) -> None:
    for name, age in ((".new-old", 90_000), (".new-young", 10)):
        folder = sent.results.folder / name
        folder.mkdir()
        at = sent.now - age
        os.utime(folder, (at, at))
    sent.results.tidy()
    assert there(sent) == {".new-young"}


def test_an_archive_is_found_by_nothing_but_a_hash(sent: Fleet) -> None:
    for name in ("../station", "a" * 64, ""):
        with pytest.raises(FleetError, match="is not there"):
            sent.results.archive(name)
