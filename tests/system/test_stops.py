"""Ends and starts of a station that nobody wished for: SIGTERM under load, kill -9, a damaged engine, a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from station.daemon.supervisor import EXIT_RECORDS_LOST
from station.results import Verdict
from tests.bench.bench import START_S, Bench, assert_works, bad, good
from tests.bench.bench_plc import PlcResult
from tests.bench.waiting import wait_for

ERROR = int(Verdict.ERROR)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A station that the test ends."""
    with Bench(tmp_path) as bench:
        bench.start()
        yield bench


def test_corrupt_engine_is_refused(bench: Bench) -> None:
    """At the start with exit code 2; at a reload the old engine stays in force."""
    model = bench.engine_path / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    reload = subprocess.run(
        [sys.executable, "-m", "station", "reload", "--config", str(bench.config_path)], capture_output=True, text=True
    )
    assert reload.returncode == 2
    assert "model.onnx" in reload.stderr
    assert_works(bench)
    assert bench.terminate() == 0
    bench.assert_balanced(2)
    bench.start(wait_ready=False)
    assert bench.process is not None
    assert bench.process.wait(START_S) == 2
    assert "model.onnx" in bench.log()


def test_sigterm_under_load(bench: Bench) -> None:
    sent = [bench.send(good() if index % 3 else bad()) for index in range(12)]
    assert bench.terminate() == 0
    counts = bench.assert_balanced()
    on_record = {row.part_id: row.verdict for row in bench.rows()}
    for index, part_id in enumerate(sent):
        assert on_record.get(part_id) in (("PASS", "ERROR") if index % 3 else ("FAIL", "ERROR"))
    assert counts.triggers == len(sent)
    assert bench.process is not None
    assert not (bench.directory / "work" / "control.sock").exists()


def test_kill_9_and_restart(bench: Bench) -> None:
    """What the PLC was told stands in the books after the restart, what it was not told is an error part."""
    told: dict[int, PlcResult] = {}
    killed: dict[int, bool] = {}
    """Whether the PLC had the result of the last part before each kill."""
    for after_s in (0.0, 0.004, 0.05):
        for index in range(5):
            bench.part(good() if index % 2 else bad())
        last = bench.send(good())
        time.sleep(after_s)  # the kill finds the part before its frame, in the engine, or signalled and not yet on disk
        bench.kill()
        told |= {part_id: results[0] for part_id, results in bench.plc.results.items()}
        killed[last] = last in told
        bench.start()
        assert_works(bench)
    assert bench.terminate() == 0  # all rows are on disk from here on
    bench.assert_balanced()
    rows = {row.part_id: row for row in bench.rows()}
    assert len(rows) == len(bench.rows()), "a part stands in the books twice"
    for part_id, result in told.items():
        assert rows[part_id].verdict == Verdict(result.result).name
    for last, was_told in killed.items():
        if last in rows and not was_told:
            assert rows[last].verdict in ("ERROR", "PASS")
            assert last not in bench.plc.results, "a result of before the kill was signalled after it"


def can_mount() -> bool:
    probe = ["unshare", *UNSHARE, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    try:
        return subprocess.run(probe, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


UNSHARE = ["-m"] if os.geteuid() == 0 else ["-Urm"]


@pytest.mark.skipif(not can_mount(), reason="needs root or user namespaces to mount a small file system")
def test_full_disk(tmp_path: Path) -> None:
    """The records folder lies on a file system of 1 MB: signals go on, the station warns, rows are not lost."""
    records = tmp_path / "work" / "records"
    records.mkdir(parents=True)
    config = json.dumps(str(tmp_path / "station.toml"))
    script = f"mount -t tmpfs -o size=1m none {records} && exec {sys.executable} -m station run --config {config}"
    with Bench(tmp_path, command=("unshare", *UNSHARE, "sh", "-c", script), records__min_free_mb=0) as bench:
        bench.start()
        pictures = 60
        for index in range(pictures):
            picture = bad()
            picture[80:] = np.random.default_rng(index).integers(55, 75, picture[80:].shape)  # hard to compress
            assert bench.part(picture).result == Verdict.FAIL
        wait_for(lambda: any("disk" in warning for warning in bench.status()["warnings"]), "the warning")
        assert bench.part(good()).passed
        counters = bench.status()["counters"]
        # No verdict is ERROR: none came behind its deadline, as it would if signalling waited for the disk.
        assert counters["triggers"] == counters["failed"] + counters["passed"] == pictures + 1
        code = bench.terminate()  # rows, too, may have found no room
        assert code in (0, EXIT_RECORDS_LOST)
        assert ("records are missing" in bench.log()) == (code == EXIT_RECORDS_LOST)
