"""A failed challenge test, or an engine that does not judge, ends a probation: with a warning, or with the way back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engines.store.store import EngineStore
from station.control import request
from station.records.challenge_runs import RunVerdict
from station.records.challenges import runs
from station.records.schema import open_reader
from tests.bench.bench import HEIGHT, WIDTH, Bench, Picture, good
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.faulty_engine import HANGS, RAISES, faulty, write_faulty_engine
from tests.bench.waiting import wait_for
from tests.system.test_probation import (
    activate,
    active,
    doubtful,
    entered,
    entries,
    on_record,
    state,
    wait_on_probation,
)

pytestmark = pytest.mark.system

BUSY: dict[str, Any] = {"station__deadline_ms": 8000, "camera__no_frame_ms": 4000}
ROLLBACK: dict[str, Any] = {"engine__on_probation_failure": "rollback"}
MASTERS = """
[challenge]
[[challenge.parts]]
name = "dark spot that is allowed"
expected = "pass"
[[challenge.parts]]
name = "scratch"
"""


def station(directory: Path, *, with_faults: bool = False, **settings: Any) -> Bench:
    """Two versions: the second rejects more, or raises and hangs when the picture says so."""
    settings = BUSY | {"engine__path": None, "engine__store": "engines", "engine__probation_parts": 500} | settings
    bench = Bench(directory, with_engine=False, **settings)
    bench.config_path.write_text(bench.config_path.read_text() + MASTERS)
    store = EngineStore(directory / "engines" / "default")
    one = write_small_engine(directory / "one", width=WIDTH, height=HEIGHT)
    if with_faults:
        two = write_faulty_engine(directory / "two", width=WIDTH, height=HEIGHT)
    else:
        two = write_small_engine(directory / "two", width=WIDTH, height=HEIGHT, reject_score=20.0, review_score=15.0)
    store.activate(store.add(one, why="first"), why="first")
    store.add(two, why="second")
    return bench


def on_probation(bench: Bench) -> None:
    bench.start()
    activate(bench, "2")
    wait_on_probation(bench)


def ask(bench: Bench, **message: str) -> None:
    request(bench.directory / "work" / "control.sock", message, 20.0)


def show(bench: Bench, picture: Picture) -> None:
    """The next master part, after the key at the line."""
    wait_for(lambda: bench.status()["challenge"]["awaits_confirmation"], "the station to ask for a part")
    ask(bench, command="challenge", action="confirm")
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    bench.part(picture)


def failed_tests(bench: Bench) -> int:
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        return sum(run.verdict is RunVerdict.FAILED for run, _ in runs(connection, 10))


def is_warned(bench: Bench) -> bool:
    return any("probation" in text for text in bench.status()["warnings"])


def test_a_master_part_that_only_the_new_engine_judges_wrongly(tmp_path: Path) -> None:
    """Back to the one before. The test stays failed."""
    with station(tmp_path, **ROLLBACK) as bench:
        on_probation(bench)
        ask(bench, command="challenge", action="start")
        show(bench, doubtful())
        wait_for(lambda: active(bench) == 1, "the way back")
        said = entered(bench, "probation", "station", "refused")
        assert said.startswith("probation failed: it has judged a master part wrongly: test 1, dark spot"), said
        assert said.endswith("the one before says PASS of it")
        assert "probation failed" in entered(bench, "engine", "station", "done")
        assert bench.status()["challenge"]["state"] == "failed", "that takes a person, as ever"
        ask(bench, command="challenge", action="reset", who="Berta", why="engine exchanged")
        assert bench.result(bench.send(doubtful())).passed

        activate(bench, "2")  # a person wants it all the same: the station does not go back a second time
        wait_on_probation(bench)
        ask(bench, command="challenge", action="start")
        show(bench, doubtful())
        wait_for(lambda: is_warned(bench), "the warning")
        assert active(bench) == 2
        bench.terminate()


def test_a_master_part_that_both_judge_wrongly_is_not_the_engine(tmp_path: Path) -> None:
    """An escape: it had to be rejected, and passes with both. The lamp may have failed."""
    with station(tmp_path, **ROLLBACK) as bench:
        on_probation(bench)
        ask(bench, command="challenge", action="start")
        show(bench, good())
        show(bench, good())
        wait_for(lambda: is_warned(bench), "the warning")
        assert entered(bench, "probation", "station", "refused").endswith("the one before says PASS of it")
        assert active(bench) == 2
        assert bench.terminate() == 0
        bench.start(wait_ready=False)
        wait_for(lambda: bench.settled() and is_warned(bench), "the warning after a restart", 60.0)
        bench.terminate()


def test_a_failed_test_that_a_kill_cuts_short_is_found_again(tmp_path: Path) -> None:
    with station(tmp_path, **ROLLBACK) as bench:
        on_probation(bench)
        ask(bench, command="challenge", action="start")
        show(bench, doubtful())
        wait_for(lambda: failed_tests(bench) == 1 and on_record(bench) == 1, "both on record")
        bench.kill()
        bench.start(wait_ready=False)
        wait_for(lambda: active(bench) == 1, "the way back", 60.0)
        version = EngineStore(tmp_path / "engines" / "default").find("1")
        wait_for(lambda: bench.status()["engine_id"].startswith(version.id_start), "its engine")
        assert len([1 for who, result, _ in entries(bench, "engine") if (who, result) == ("station", "done")]) <= 1
        bench.terminate()


def test_an_engine_that_raises_is_left(tmp_path: Path) -> None:
    with station(tmp_path, with_faults=True, station__errors_in_a_row_to_fault=8, **ROLLBACK) as bench:
        on_probation(bench)
        for picture in (faulty(good(), RAISES), good(), faulty(good(), RAISES), faulty(good(), RAISES)):
            bench.result(bench.send(picture))
        assert active(bench) == 2, "single parts that cannot be judged end nothing"
        bench.result(bench.send(faulty(good(), RAISES)))
        wait_for(lambda: active(bench) == 1, "the way back")
        assert "it does not judge: 3 parts in a row: ENGINE_RAISED" in entered(bench, "probation", "station", "refused")
        wait_for(lambda: state(bench)["state"] == "off", "the end of the probation")
        assert bench.result(bench.send(faulty(good(), RAISES))).passed, "the one before has no such fault"
        bench.terminate()


def test_an_engine_that_hangs_is_left_at_the_next_start(tmp_path: Path) -> None:
    settings = {"station__engine_hang_s": 3.0, "station__deadline_ms": 500}
    with station(tmp_path, with_faults=True, **ROLLBACK, **settings) as bench:
        on_probation(bench)
        bench.send(faulty(good(), HANGS))
        assert bench.process is not None
        bench.process.wait(60)
        bench.start()
        wait_for(lambda: active(bench) == 1, "the way back", 60.0)
        assert "it does not judge: " in entered(bench, "probation", "station", "refused")
        assert bench.result(bench.send(good())).passed
        bench.terminate()


def test_without_the_way_back_it_warns(tmp_path: Path) -> None:
    with station(tmp_path, with_faults=True, station__errors_in_a_row_to_fault=8) as bench:
        on_probation(bench)
        for _ in range(3):
            bench.result(bench.send(faulty(good(), RAISES)))
        wait_for(lambda: is_warned(bench), "the warning")
        assert active(bench) == 2
        bench.terminate()
