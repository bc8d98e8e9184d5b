"""The table of jobs: each is one worker's, for as long as it is heard; what cannot be used says what to do."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest

from station.fleet.refreshing.jobs import Asked, Job, Result
from station.fleet.refreshing.table import Table
from station.northbound.postgres.link import Server
from station.northbound.postgres.trouble import Trouble
from station.results import Verdict
from tests.bench.fleet import REFRESHER, REFRESHERS_WORD, Fleet
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system
RESULT = Result("cover", "e" * 64, "a" * 64, 1000, {"images": 3, "notes": ["\0 half \ud800"]}, 12.5)


def took(table: Table, lease_s: float = 60.0) -> Job:
    job = table.take(lease_s)
    assert job is not None
    return job


def test_a_job_goes_from_waiting_to_done(fleet: Fleet) -> None:
    (number,) = fleet.add("ST-04", seed=7)
    assert fleet.job(number).state == "waiting"
    table = fleet.table("w1")
    job = took(table)
    assert (job.number, job.station, job.tries, job.options["seed"]) == (number, "ST-04", 1, 7)
    assert table.take(60.0) is None
    assert table.beat(job, 60.0, "learn", 3, 9)
    shown = fleet.job(number)
    assert (shown.state, shown.step, shown.step_done, shown.step_total, shown.worker) == (
        "running",
        "learn",
        3,
        9,
        "w1",
    )
    assert table.done(job, RESULT)
    done = fleet.job(number)
    assert (done.state, done.engine_id, done.archive_sha256, done.core_s) == ("done", "e" * 64, "a" * 64, 12.5)
    assert done.report == {"images": 3, "notes": ["\ufffd half \ufffd"]}
    assert not table.beat(job, 60.0, "", 0, 0)
    assert not table.failed(job, "late", again=True)


def test_a_station_has_one_open_job(fleet: Fleet) -> None:
    first = fleet.add("ST-04", "ST-05")
    assert len(first) == 2
    assert len(fleet.add("ST-05", "ST-06", round_name="r2")) == 1
    table = fleet.table("w")
    for _ in range(3):
        table.done(took(table), RESULT)
    assert len(fleet.add("ST-04", round_name="r3")) == 1


def test_many_workers_never_take_the_same_one(fleet: Fleet) -> None:
    fleet.add(*(f"ST-{n:02d}" for n in range(40)))
    taken: list[int] = []
    barrier = threading.Barrier(6)

    def work(name: str) -> None:
        table = fleet.table(name)
        barrier.wait(20)
        while (job := table.take(60.0)) is not None:
            taken.append(job.number)
        table.close()

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert len(taken) == 40
    assert max(Counter(taken).values()) == 1


def test_a_worker_that_is_not_heard_loses_its_job_and_changes_nothing_any_more(fleet: Fleet) -> None:
    (number,) = fleet.add("ST-04")
    lost, other = fleet.table("lost"), fleet.table("other")
    before = took(lost, 0.2)
    wait_for(lambda: fleet.job(number).is_lost, "the end of the lease")
    assert fleet.job(number).state == "running"
    now = took(other)
    assert (now.number, now.tries) == (number, 2)
    for said in (lost.beat(before, 60.0, "x", 1, 1), lost.done(before, RESULT), lost.failed(before, "x", again=False)):
        assert not said
    assert fleet.job(number).worker == "other"
    assert other.done(now, RESULT)


def test_lost_too_often_it_has_failed_and_says_where(fleet: Fleet) -> None:
    fleet.tries = 2
    (number,) = fleet.add("ST-04")
    table = fleet.table("host:1")
    for _ in range(2):
        job = took(table, 0.2)
        table.beat(job, 0.2, "features", 3, 9)
        wait_for(lambda: fleet.job(number).is_lost, "the end of the lease")
    assert table.take(60.0) is None
    failed = fleet.job(number)
    assert failed.state == "failed"
    assert failed.detail == "its worker host:1 was lost in try 2 of 2, at step features"
    assert table.counts("r1").of == {"failed": 1}


def test_failed_tries_are_counted_and_a_stopped_worker_is_none(fleet: Fleet) -> None:
    (number,) = fleet.add("ST-04")
    table = fleet.table("w")
    for attempt in (1, 2):
        job = took(table)
        assert job.tries == attempt
        assert table.put_back(job, "stopped")
        job = took(table)
        assert job.tries == attempt
        assert table.failed(job, f"out of memory, {attempt}", again=True)
        assert fleet.job(number).state == "waiting"
    assert table.failed(took(table), "out of memory, 3", again=True)
    assert (fleet.job(number).state, fleet.job(number).detail) == ("failed", "out of memory, 3")
    (number,) = fleet.add("ST-04")
    assert table.failed(took(table), "no images", again=False)
    assert fleet.job(number).tries == 1
    assert fleet.job(number).state == "failed"


def test_rounds_and_withdrawing(fleet: Fleet) -> None:
    fleet.add("ST-04", "ST-05")
    fleet.add("ST-06", round_name="r2")
    table = fleet.table("w")
    job = table.take(60.0, "r2")
    assert job is not None
    assert job.station == "ST-06"
    assert table.take(60.0, "r2") is None
    assert table.withdraw("r1", "anna") == 2
    assert table.withdraw("r2", "anna") == 0, "somebody is at it"
    assert {one.state for one in fleet.jobs("r1")} == {"withdrawn"}
    assert table.take(60.0) is None
    counts = table.counts("r2")
    assert (counts.total, counts.open, counts.leased, counts.may_be_taken, counts.tries) == (1, 1, 1, 0, 1)


def test_which_stations_and_which_engine(fleet: Fleet) -> None:
    fleet.send("ST-04", {1: Verdict.PASS})
    fleet.send("ST-05", {1: Verdict.PASS}, days_ago=50)
    fleet.send("ST-06", {1: Verdict.PASS}, recipe="other")
    table = fleet.table("w")
    assert table.stations("default", 30) == ["ST-04"]
    assert table.stations("default", 60) == ["ST-04", "ST-05"]
    fleet.add("ST-04", "ST-99")
    assert table.engine_of(took(table)) == "e" * 64
    assert table.engine_of(took(table)) is None


def test_what_cannot_be_used_says_what_to_do(fleet: Fleet) -> None:
    fleet.add("ST-04")

    def said(server: Server) -> str:
        table = Table(server, "w")
        with pytest.raises(Trouble) as problem:
            table.take(60.0)
        table.close()
        assert REFRESHERS_WORD not in str(problem.value)
        return str(problem.value)

    server = fleet.seen_by_refresher
    assert "password" in said(replace(server, password="x"))
    assert "refused" in said(replace(server, port=1))
    assert "[postgres] database" in said(replace(server, database="nowhere"))
    station = fleet.server.seen_by_station(fleet.database)
    assert "GRANT station_refresher TO" in said(station), "a station may not"
    fleet.ask("UPDATE station_fleet.version SET version = 2")
    assert "has version 2, this station refreshes with version 1; bring this station up to date" in said(server)
    fleet.ask("UPDATE station_fleet.version SET version = 1")
    fleet.ask("ALTER TABLE station_fleet.refresh_jobs RENAME TO gone")
    assert "station fleet schema |" in said(server)
    fleet.ask("DROP TABLE station_fleet.gone")
    assert fleet.server.install(fleet.database).returncode == 0, "an older schema of the same version gets the table"
    assert fleet.add("ST-04")


def test_whoever_refreshes_may_not_write_what_stations_send(fleet: Fleet) -> None:
    rights = fleet.ask(
        "SELECT has_table_privilege(r, 'station_fleet.parts', 'INSERT'), "
        "has_table_privilege(r, 'station_fleet.parts', 'SELECT'), "
        "has_table_privilege(r, 'station_fleet.refresh_jobs', 'DELETE'), "
        "has_table_privilege('station_writer', 'station_fleet.refresh_jobs', 'SELECT') FROM (VALUES (%s)) AS v(r)",
        (REFRESHER,),
    )
    assert rights == [(False, True, False, False)]


def test_a_server_that_comes_back(fleet: Fleet) -> None:
    table = fleet.table("w")
    fleet.add("ST-04")
    job = took(table)
    fleet.server.ask(
        "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (REFRESHER,)
    )
    with pytest.raises(Trouble):
        table.beat(job, 60.0, "", 0, 0)
    assert table.beat(job, 60.0, "", 0, 0)
    assert table.add("r9", [Asked("ST-1", "default")], parts=1, options={}, by="\0", tries=1)
