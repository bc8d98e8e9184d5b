"""The database killed under a worker: the job is done, or tried again, or has a reason; nothing half is published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from station.fleet.refreshing import worker as worker_module
from station.fleet.refreshing.results import Results
from station.northbound.postgres.trouble import Trouble
from tests.bench.fleet import Fleet
from tests.bench.postgres import PostgresServer, postgres
from tests.bench.waiting import wait_for
from tests.fleet.refreshing.steps import QuickStep, worker_of
from tests.fleet.refreshing.test_kills import assert_whole

pytestmark = pytest.mark.system
AWAY_S = 1.0


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    """A server that may be killed, apart from that of the other tests."""
    with postgres() as server:
        yield server


@pytest.fixture
def sent(own: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr(worker_module, "PAUSE_S", 0.1)
    fleet = Fleet(tmp_path, own, own.new_database())
    fleet.send_usual("ST-04", 4, 1)
    fleet.add("ST-04")
    yield fleet
    fleet.close()


def killed_for_a_while(server: PostgresServer, *, orderly: bool = False) -> threading.Timer:
    """Started again after `AWAY_S`, as systemd does."""
    server.stop() if orderly else server.kill()
    back = threading.Timer(AWAY_S, server.start)
    back.start()
    return back


@pytest.mark.parametrize("orderly", [False, True])
def test_while_it_teaches(sent: Fleet, orderly: bool) -> None:
    step = QuickStep(lambda _job: killed_for_a_while(sent.server, orderly=orderly).join())
    ended = worker_of(sent, step).work_one()
    assert ended is not None
    assert ended.outcome == "done", ended.detail
    (job,) = sent.jobs()
    assert (job.state, job.tries, job.archive_sha256 is not None) == ("done", 1, True)
    assert_whole(sent)


def test_while_it_says_that_it_is_done(sent: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive is there and its row is not: said once more, as soon as there is somebody to say it to."""
    keep = Results.keep
    away: list[threading.Timer] = []

    def kept(self: Results, *of: object) -> object:
        made = keep(self, *of)  # type: ignore[arg-type]
        away.append(killed_for_a_while(sent.server))
        return made

    monkeypatch.setattr(Results, "keep", kept)
    ended = worker_of(sent, QuickStep()).work_one()
    away[0].join()
    assert ended is not None
    assert ended.outcome == "done", ended.detail
    assert_whole(sent)


def test_while_it_gathers_costs_a_try_and_says_why(sent: Fleet) -> None:
    read = sent.readable.read
    away: list[threading.Timer] = []

    def reading(name: str, most: int) -> bytes | None:
        if not away:
            away.append(killed_for_a_while(sent.server))
        return read(name, most)

    sent.readable.read = reading  # type: ignore[method-assign]
    worker = worker_of(sent, QuickStep())
    ended = worker.work_one()
    away[0].join()
    assert ended is not None
    if ended.outcome == "again":  # it asked for more in vain; where everything was read before, it is done
        job = sent.jobs()[0]
        assert (job.state, job.tries, job.archive_sha256) == ("waiting", 1, None)
        assert "127.0.0.1" in job.detail
        ended = worker.work_one()
        assert ended is not None
    assert ended.outcome == "done", ended.detail
    assert_whole(sent)


def test_for_longer_than_a_worker_waits(sent: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its engine lies in the results, no row names it, and the next one makes it again."""
    monkeypatch.setattr(worker_module, "FINISH_S", 0.3)
    with pytest.raises(Trouble):
        worker_of(sent, QuickStep(lambda _job: sent.server.kill())).work_one()
    sent.server.start()
    (job,) = sent.jobs()
    assert (job.state, job.archive_sha256) == ("running", None)
    wait_for(lambda: sent.jobs()[0].is_lost, "the end of the lease")
    ended = worker_of(sent, QuickStep(), folder="another").work_one()
    assert ended is not None
    assert (ended.outcome, ended.job.tries) == ("done", 2), ended.detail
    assert_whole(sent)


def test_lost_with_its_last_try_it_has_failed_with_a_reason(sent: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "FINISH_S", 0.0)
    sent.ask("UPDATE station_fleet.refresh_jobs SET most_tries = 1")
    with pytest.raises(Trouble):
        worker_of(sent, QuickStep(lambda _job: sent.server.kill())).work_one()
    sent.server.start()
    wait_for(lambda: sent.jobs()[0].is_lost, "the end of the lease")
    assert worker_of(sent, QuickStep()).work_one() is None
    (job,) = sent.jobs()
    assert (job.state, "was lost in try 1 of 1" in job.detail) == ("failed", True)
    assert_whole(sent)


def test_the_command_outlives_it(sent: Fleet) -> None:
    """It says what it waits for, and works at what comes afterwards."""
    said: list[str] = []
    with sent.start("worker", "--threads=1") as process:
        reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        reader.start()

        def ended(number: int) -> Callable[[], bool]:
            return partial(lambda: sent.job(number).state == "failed")

        wait_for(ended(sent.jobs()[0].number), "a job with too few images, which it has looked at")
        assert "at least 20 are needed" in sent.jobs()[0].detail
        sent.server.kill()
        wait_for(lambda: any("127.0.0.1" in line for line in said), "what it says")
        sent.server.start()
        (number,) = sent.add("ST-04", round_name="r2")
        wait_for(ended(number), "the next job")
        assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 143
        reader.join(10)
