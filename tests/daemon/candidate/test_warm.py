"""Which engines stay loaded, who has them, and when they go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.errors import EngineError
from station.configuration.recipe import EngineSection
from station.daemon.candidate import memory, warm
from station.daemon.candidate.gaps import Gaps
from station.daemon.candidate.warm import WarmEngines
from station.line.inspection.loading import EngineScorer
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.waiting import wait_for

SECTION = EngineSection(runtime="onnx", threads=1)


@pytest.fixture
def engines(tmp_path: Path) -> list[Path]:
    return [write_small_engine(tmp_path / f"e{n}", width=64, height=64, reject_score=40.0 + n) for n in range(4)]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[WarmEngines]:
    monkeypatch.setattr(memory, "free_mb", lambda: None)
    monkeypatch.setattr(warm, "free_mb", lambda: None)
    with WarmEngines(lambda: None) as made:
        yield made


def lend(pool: WarmEngines, path: Path) -> EngineScorer:
    return pool.scorer(path, SECTION, 1, "")


def id_of(scorer: EngineScorer) -> str:
    return scorer.engine.engine_id


def test_the_one_before_is_lent_again_without_loading(pool: WarmEngines, engines: list[Path]) -> None:
    first = lend(pool, engines[0])
    second = lend(pool, engines[1])
    first.close()
    first.close()  # twice is once
    assert pool.is_warm(engines[0], SECTION)
    assert pool.status["engines"] == [id_of(first)]
    again = lend(pool, engines[0])
    assert again.engine is first.engine
    assert again.score([again.prepare(pixels())])
    assert pool.status["engines"] == []
    second.close()
    again.close()


def test_one_engine_with_two_users_is_open_until_both_are_gone(pool: WarmEngines, engines: list[Path]) -> None:
    """Other limits are another user of the same engine."""
    first, same = lend(pool, engines[0]), lend(pool, engines[0])
    assert same.engine is first.engine
    first.close()
    assert same.score([same.prepare(pixels())])
    assert pool.status["engines"] == []


def test_only_the_last_one_and_the_expected_one_stay(pool: WarmEngines, engines: list[Path]) -> None:
    pool.expect(engines[3], SECTION)
    wait_for(lambda: pool.is_warm(engines[3], SECTION), "the expected one")
    for path in engines[:3]:
        lend(pool, path).close()
    wait_for(lambda: len(pool.status["engines"]) == 2, "the older ones to go")
    assert [pool.is_warm(path, SECTION) for path in engines] == [False, False, True, True]
    pool.expect(None, SECTION)
    wait_for(lambda: len(pool.status["engines"]) == 1, "the one that is not expected any more to go")


def test_another_engine_in_the_same_folder_is_loaded(pool: WarmEngines, tmp_path: Path) -> None:
    folder = write_small_engine(tmp_path / "engine", width=64, height=64, reject_score=40.0)
    lent = lend(pool, folder)
    write_small_engine(tmp_path / "other", width=64, height=64, reject_score=50.0).rename(tmp_path / "new")
    folder.rename(tmp_path / "old")
    (tmp_path / "new").rename(folder)
    assert not pool.is_warm(folder, SECTION)
    assert id_of(lend(pool, folder)) != id_of(lent)


def test_a_damaged_engine_is_refused_though_it_was_warm(pool: WarmEngines, engines: list[Path]) -> None:
    lend(pool, engines[0]).close()
    model = engines[0] / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(EngineError):
        lend(pool, engines[0])


def test_without_memory_nothing_is_kept_and_it_says_why(
    pool: WarmEngines, engines: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = lend(pool, engines[0])
    active = lend(pool, engines[1])
    kept.close()
    assert pool.no_room_for(engines[0], SECTION) == "", "a warm one needs no memory"
    monkeypatch.setattr(memory, "free_mb", lambda: 100.0)
    assert pool.no_room_for(engines[0], SECTION) == ""
    assert "100 MB are free" in pool.no_room_for(engines[2], SECTION)
    assert pool.status["engines"] == []
    assert "100 MB are free" in pool.status["problem"]
    pool.expect(engines[2], SECTION)
    wait_for(lambda: engines[2].name in pool.status["problem"], "why the expected one is not warm")
    assert active.score([active.prepare(pixels())]), "the active one stays"


def test_where_memory_runs_short_what_is_kept_goes(
    pool: WarmEngines, engines: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "free_mb", lambda: 10.0)
    lend(pool, engines[0]).close()
    wait_for(lambda: not pool.status["engines"], "it to be closed")
    assert "10 MB of memory are free" in pool.status["problem"]


def test_auto_on_the_processor_looks_for_a_plan_again(
    pool: WarmEngines, engines: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    section = EngineSection(runtime="auto", threads=1)
    first = pool.scorer(engines[0], section, 1, "")
    assert pool.scorer(engines[0], section, 1, "").engine is first.engine
    monkeypatch.setattr(warm, "_has_gpu", lambda: True)
    assert not pool.is_warm(engines[0], section)
    assert pool.scorer(engines[0], section, 1, "").engine is not first.engine
    assert first.score([first.prepare(pixels())]), "who has it keeps it"


def test_each_piece_of_loading_waits_for_its_moment(engines: list[Path]) -> None:
    waits: list[float] = []
    pool = WarmEngines(lambda: waits.append(time.monotonic()))
    with closing(lend(pool, engines[0])):
        loading = len(waits)
        with closing(lend(pool, engines[0])):
            assert len(waits) == loading, "a warm one is lent at once"
    assert loading >= 4, "graph, golden images, session, each golden image"


def test_a_gap_begins_when_a_part_has_its_result() -> None:
    gaps = Gaps()
    gaps.wait()  # no part comes: nothing is waited for
    record = SimpleNamespace()
    gaps.record(record)  # type: ignore[arg-type]
    done = threading.Event()

    def work() -> None:
        gaps.wait()
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        gaps.record(record)  # type: ignore[arg-type]
        time.sleep(0.005)
    thread.join()


def pixels() -> NDArray[np.uint8]:
    return np.full((64, 64), 64, np.uint8)
