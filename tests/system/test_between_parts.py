"""Engines and limits change while parts run: no trigger is missed, and no part is judged by half a change."""

from __future__ import annotations

import contextlib
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engines.bundle.reading import read_bundle
from engines.store.store import EngineStore
from station.control import ControlError, request
from station.records.parts import PartRow
from station.records.schema import open_reader
from tests.bench.bench import HEIGHT, WIDTH, Bench, bad, good
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system

SWAPS = 8
"""`benchmarks/between_parts.py` makes hundreds."""
BUSY: dict[str, Any] = {"station__deadline_ms": 8000, "camera__no_frame_ms": 4000}
LIMITS = (40.0, 200.0)
"""Of the two engines: the score of one picture says which of them has judged it."""


def station_with_two(directory: Path, **settings: Any) -> tuple[Bench, EngineStore]:
    bench = Bench(directory, with_engine=False, engine__path=None, engine__store="engines", **(BUSY | settings))
    store = EngineStore(directory / "engines" / "default")
    for number, limit in enumerate(LIMITS):
        engine = write_small_engine(
            directory / f"e{number}", width=WIDTH, height=HEIGHT, reject_score=limit, review_score=limit - 5
        )
        store.add(engine, why="")
    store.activate(store.find("1"), why="first")
    return bench, store


def ask(bench: Bench, message: dict[str, Any]) -> None:
    request(bench.directory / "work" / "control.sock", message, 60.0)


def whole(rows: list[PartRow], scores: dict[str, float]) -> bool:
    """Each row names one engine and one configuration, and its score is that engine's."""
    for row in rows:
        assert row.verdict != "ERROR", row.reason_list
        assert row.score == pytest.approx(scores[row.engine_id], abs=1e-4), row
    return True


def test_swaps_at_full_speed_miss_nothing(tmp_path: Path) -> None:
    """Parts run one after the other in a thread of their own, triggers as fast as the PLC may give them."""
    bench, store = station_with_two(tmp_path)
    with bench:
        bench.start()
        ids = {number: read_bundle(store.find(str(number)).path).manifest.engine_id for number in (1, 2)}
        scores: dict[str, float] = {}
        for number in (1, 2):
            ask(bench, {"command": "engine", "action": "activate", "version": str(number), "why": "scores"})
            part_id = bench.send(bad())
            bench.result(part_id)
            wait_for(lambda: bool(bench.rows()) and bench.rows()[-1].part_id == part_id, "the row")  # noqa: B023
            scores[ids[number]] = bench.rows()[-1].score or 0.0
        assert scores[ids[1]] > 0.5 > scores[ids[2]]
        bench.reset()
        stop = threading.Event()
        sent: list[int] = []

        def parts_run() -> None:
            while not stop.is_set():
                part_id = bench.send(bad())
                sent.append(part_id)
                bench.result(part_id)

        line = threading.Thread(target=parts_run)
        line.start()
        for swap in range(SWAPS):
            before = len(sent)
            version = str(1 + swap % 2)
            ask(bench, {"command": "engine", "action": "activate", "version": version, "why": "swap"})
            wait_for(lambda: len(sent) > before + 1, "parts between two swaps")  # noqa: B023
        stop.set()
        line.join()
        wait_for(bench.settled, "the last part")
        bench.assert_balanced(len(sent))
        assert bench.counts().missed == 0
        rows = bench.rows()
        assert whole(rows, scores)
        assert {row.engine_id for row in rows} == set(ids.values())
        with closing(open_reader(tmp_path / "work" / "records")) as connection:
            said = [row[0] for row in connection.execute("SELECT detail FROM events WHERE kind = 'exchanged'")]
        assert said == ["between two parts"] * len(said)
        assert len(said) >= SWAPS


def test_limits_change_between_two_parts_and_each_row_names_its_own(tmp_path: Path) -> None:
    bench, _ = station_with_two(tmp_path)
    with bench:
        bench.start()
        first = bench.send(bad())
        assert bench.result(first).reject
        bench.write_config(engine__path=None, engine__store="engines", decision__reject_score=0.99, **BUSY)
        ready: list[bool] = []
        watching = threading.Event()

        def watch() -> None:
            while not watching.wait(0.002):
                bench.plc.set()  # it scans fast
                ready.append(bench.plc.ready)

        watcher = threading.Thread(target=watch)
        watcher.start()
        ask(bench, {"command": "reload"})
        watching.set()
        watcher.join()
        assert ready
        assert all(ready), "TriggerReady stands"
        second = bench.send(bad())
        bench.result(second)
        wait_for(lambda: len(bench.rows()) == 2, "both on record")
        rows = {row.part_id: row for row in bench.rows()}
        assert rows[first].config_checksum != rows[second].config_checksum == bench.status()["config_checksum"]
        assert rows[first].reject_score == 0.5
        assert rows[second].reject_score == 0.99


def test_a_kill_in_any_moment_of_an_activation_leaves_one_whole_engine(tmp_path: Path) -> None:
    """Killed at random moments of a change, and in its last step: the next start runs with what the store says."""
    bench, store = station_with_two(tmp_path)
    with bench:
        bench.start()
        for number, delay_s in enumerate((0.0, 0.1, 0.5)):
            version = str(1 + (number + 1) % 2)
            message = {"command": "engine", "action": "activate", "version": version, "why": "killed"}
            asking = threading.Thread(target=_ask_in_vain, args=(bench, message))
            asking.start()
            time.sleep(delay_s)
            bench.kill()
            asking.join()
            bench.start()
            active = store.active()
            assert active is not None
            assert bench.status()["engine_id"] == read_bundle(active.path).manifest.engine_id
            assert bench.result(bench.send(good())).passed
        bench.terminate()
        bench.assert_balanced()


def _ask_in_vain(bench: Bench, message: dict[str, Any]) -> None:
    with contextlib.suppress(ControlError):
        ask(bench, message)
