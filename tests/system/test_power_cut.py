"""A power cut at a few points of what a station writes, replayed from the disk; `benchmarks/power_cut.py` takes 200."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.power_cut import Seen, measure
from station.line.recording.journal import PartKey
from station.results import Verdict
from tests.bench.recorded_disk import Replay, Write, can_record, mounted_image, read_writes, recorded_disk
from tests.line.recording.recording_bench import MAKE, recording

needs_mounts = pytest.mark.skipif(not can_record(), reason="mounting a disk needs root, loop devices and FUSE")
PARTS = 30


def write_parts(_seconds: float, _folder: Path, disk: Path) -> Seen:
    """A recorder without a line: rows in three transactions and more, each part with image and map."""
    seen, lock = Seen(from_ns=time.monotonic_ns()), threading.Lock()

    def committed(keys: Sequence[PartKey]) -> None:
        with lock:
            seen.committed |= {number: time.monotonic_ns() for _, number in keys}

    with recording(disk / "work" / "records", on_committed=committed) as recorder:
        for number in range(1, PARTS + 1):
            made = MAKE.inspected(number, Verdict.FAIL)
            recorder.record(replace(made, part=replace(made.part, part_id=number)))
            seen.told[number] = (time.monotonic_ns(), Verdict.FAIL.name)
            if number % 10 == 0:
                assert recorder.flush(20.0)
        seen.until_ns = time.monotonic_ns()
    return seen


@needs_mounts
def test_what_was_committed_survives_and_what_is_missing_is_said() -> None:
    found = measure(12, 0.0, 1, write=write_parts, show=lambda _: None)
    assert found["problems"] == []
    assert (found["parts"], found["cuts"]) == (PARTS, 12)
    assert found["cuts_with_missing_verdicts"] == found["of_them_said_by_the_next_start"] > 0


@needs_mounts
def test_the_disk_keeps_what_was_flushed_and_may_lose_the_rest(tmp_path: Path) -> None:
    """The measure itself: a file that was synced is whole after the cut, one that was only written is not."""
    with recorded_disk(tmp_path, 32) as disk:
        (disk / "only-written").write_bytes(b"x" * 100_000)
        with (disk / "synced").open("wb") as file:
            file.write(b"y" * 5000)
        _sync(disk / "synced")
        cut_ns = time.monotonic_ns()
    writes = read_writes(tmp_path)
    point = sum(write.at_ns < cut_ns for write in writes)
    Replay(writes, tmp_path / "whole.img", 32).cut(point, tmp_path / "cut.img")
    with mounted_image(tmp_path / "cut.img", tmp_path / "after") as disk:
        assert (disk / "synced").read_bytes() == b"y" * 5000
        assert (disk / "only-written").stat().st_size == 0
    Replay(writes, tmp_path / "whole.img", 32).cut(len(writes), tmp_path / "cut.img")
    with mounted_image(tmp_path / "cut.img", tmp_path / "after") as disk:
        assert (disk / "only-written").stat().st_size == 100_000


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def test_of_what_was_not_flushed_any_part_may_be_there(tmp_path: Path) -> None:
    writes = [Write(0, 0, b"a"), Write(0, 0, b""), *(Write(0, at, b"b") for at in range(1, 9))]
    cut = tmp_path / "cut.img"
    Replay(writes, tmp_path / "whole.img", 1).cut(len(writes), cut)
    assert cut.read_bytes()[:10] == b"abbbbbbbb\0"
    Replay(writes, tmp_path / "whole.img", 1).cut(len(writes), cut, random.Random(1))
    there = cut.read_bytes()[:9]
    assert there.startswith(b"a")
    assert 0 < there.count(b"b") < 8
