"""The whole station: what it is in normal times. (What it does when things break: test_faults.py.)"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from station.live.reading import LiveReader, split_part
from station.results import Verdict
from tests.bench.bench import Bench, bad, good
from tests.bench.programs import needs_program
from tests.bench.shell import station
from tests.bench.waiting import DEADLINE_S, wait_for


@pytest.fixture(scope="module")
def one_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("station")) as bench:
        yield bench


@pytest.fixture
def bench(one_station: Bench) -> Bench:
    """The station of this file: every test leaves it on line."""
    one_station.reset()
    return one_station


def test_an_id_latched_while_not_ready_that_never_comes_is_missed_in_all_books(bench: Bench) -> None:
    assert station("offline", "--config", str(bench.config_path)).returncode == 0
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    bench.plc.latch(bench.next_part_id())
    wait_for(lambda: bench.counters()["missed"] == 1, "the id to expire")
    wait_for(lambda: bench.counts().missed == 1, "the missed part on record")
    assert station("online", "--config", str(bench.config_path)).returncode == 0


def test_every_part_is_one_row_with_the_time_of_every_step(bench: Bench) -> None:
    assert bench.part(good()).passed
    assert bench.part(bad()).result == Verdict.FAIL
    bench.assert_balanced(2)
    passed, failed = bench.rows()
    for row in (passed, failed):
        steps = [
            row.views[0].received_ms,
            row.views[0].inspection_start_ms,
            row.views[0].engine_start_ms,
            row.views[0].engine_end_ms,
            row.views[0].decided_ms,
        ]
        assert all(step is not None for step in steps)
        assert steps == sorted(steps, key=lambda step: step or 0.0)
        assert row.signalled_ms is not None
        assert row.config_checksum
        assert row.engine_id == bench.engine_id
    assert passed.views[0].image_path is None
    assert failed.views[0].image_path is not None
    image = bench.directory / "work" / "records" / failed.views[0].image_path
    wait_for(image.exists, "the image on disk")


def test_who_looks_sees_the_last_part_and_the_state(bench: Bench) -> None:
    reader = LiveReader(bench.directory / "run")
    part_id = bench.send(bad())

    def shown() -> dict[str, Any]:
        reader.watch()
        found = reader.part()
        return {} if found is None else split_part(found.payload)[0]

    wait_for(lambda: shown().get("part_id") == part_id, "the part in the live memory")
    part = shown()
    (view,) = part["views"]
    assert (part["verdict"], view["camera"], len(view["outlines"])) == ("FAIL", "top", 1)
    assert min(view["picture"], view["heat"]) > 0

    def state() -> dict[str, Any]:
        found = reader.state()
        return {} if found is None else dict(json.loads(found.payload))

    wait_for(lambda: any(line["part_id"] == part_id for line in state().get("parts", [])), "the line of the part")
    assert state()["simulated"] is True
    assert state()["cameras"]["top"]["streams"] is True
    assert reader.beat_age_s() < DEADLINE_S


def test_one_canonical_line_per_part(bench: Bench) -> None:
    part_id = bench.send(bad())
    bench.result(part_id)

    def lines() -> list[dict[str, Any]]:
        events = [json.loads(line) for line in bench.log().split("\n")[:-1] if line.startswith("{")]
        return [event for event in events if event["event"] == "part" and event["part_id"] == part_id]

    wait_for(lambda: bool(lines()), "the line of the part")
    bench.assert_balanced(1)
    parts = lines()
    assert len(parts) == 1
    assert parts[0]["verdict"] == "FAIL"
    assert {"part_id", "acquisition_id", "reasons", "score", "latency_ms", "engine_id"} <= parts[0].keys()


def test_status_and_one_word_commands(bench: Bench) -> None:
    config = str(bench.config_path)
    assert "ready" in station("status", "--config", config).stdout
    assert station("offline", "--config", config).returncode == 0
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    assert "by a person" in station("status", "--config", config).stdout
    assert bench.plc.status is not None
    assert bench.plc.status.reject
    assert station("online", "--config", config).returncode == 0
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(good()).passed


def test_triggers_while_offline_are_missed_and_never_pass(bench: Bench) -> None:
    station("offline", "--config", str(bench.config_path))
    bench.send(good())
    wait_for(lambda: bench.counters()["missed"] == 1, "the missed trigger")
    assert bench.plc.results == {}
    assert bench.counters()["triggers"] == 0
    assert station("online", "--config", str(bench.config_path)).returncode == 0


def test_the_daemon_never_imports_torch(bench: Bench) -> None:
    """Asked of the running process: no library of PyTorch is mapped, in it or in its camera process."""
    assert bench.part(good()).passed
    assert bench.process is not None
    children = Path(f"/proc/{bench.process.pid}/task/{bench.process.pid}/children").read_text().split()
    for pid in (bench.process.pid, *children):
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "onnxruntime" in maps or pid != bench.process.pid
        assert not re.search(r"torch|libc10", maps)


@needs_program("mbpoll")
def test_mbpoll_reads_the_running_station(bench: Bench) -> None:
    """A client that we did not write, against the running station (one whole handshake: tests/plc)."""
    read = ["mbpoll", "-m", "tcp", "-a", "1", "-p", str(bench.port), "-0", "-1", "-q"]
    registers = subprocess.run([*read, "-t", "3", "-r", "0", "-c", "4", "127.0.0.1"], capture_output=True, text=True)
    assert re.search(r"\[0\]:\s+2\b", registers.stdout), "MapVersion"
    assert re.search(r"\[2\]:\s+7\b", registers.stdout), "State: ContinuousExecution"
    bits = subprocess.run([*read, "-t", "1", "-r", "0", "-c", "9", "127.0.0.1"], capture_output=True, text=True)
    assert re.search(r"\[0\]:\s+1\b", bits.stdout), "Online"
    assert re.search(r"\[8\]:\s+1\b", bits.stdout), "Reject"
