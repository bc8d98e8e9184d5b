"""A log call never raises and never waits; what could not be written is counted and reported when it can be."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from station.daemon.log_stream import QUEUE_LINES, LogStream
from tests.bench.waiting import wait_for


def lost_line(lines: int) -> str:
    return f"lost {lines}\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe, to be closed by its test where it wants to."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(end)


def test_lines_come_out_in_their_order(pipe: tuple[int, int]) -> None:
    stream = LogStream(pipe[1], lost_line)
    for number in range(100):
        stream.write(f"{number}\n")
    stream.close(10.0)
    assert os.read(pipe[0], 10_000).decode().split() == [str(number) for number in range(100)]
    assert stream.lost == 0


def test_a_reader_that_went_away_costs_lines_only(pipe: tuple[int, int]) -> None:
    stream = LogStream(pipe[1], lost_line)
    os.close(pipe[0])
    for _ in range(10):
        stream.write("gone\n")
    stream.close(10.0)
    assert stream.lost == 10


def test_nobody_reads_and_no_call_waits(pipe: tuple[int, int]) -> None:
    """With a write that waited this test would never end."""
    stream = LogStream(pipe[1], lost_line)
    lines = 2 * QUEUE_LINES
    for _ in range(lines):
        stream.write("x" * 1000 + "\n")
    assert stream.lost > 0
    with ThreadPoolExecutor(1) as pool, os.fdopen(pipe[0], closefd=False) as everything:
        read = pool.submit(everything.readlines)
        stream.write("after\n")  # waits its turn behind what the queue holds, or is one more that is lost
        stream.close(10.0)
        os.close(pipe[1])
        written = read.result(timeout=30)
    reports = [int(line.split()[1]) for line in written if line.startswith("lost")]
    assert sum(reports) == stream.lost, "gaps are reported with their size"
    assert len(written) - len(reports) == lines + 1 - stream.lost


def test_a_full_disk_is_reported_when_it_has_space_again() -> None:
    """`/dev/full` refuses every write as a full disk does; the same descriptor is then given a file with space."""
    full = os.open("/dev/full", os.O_WRONLY)
    stream = LogStream(full, lost_line)
    for _ in range(3):
        stream.write("refused\n")
    wait_for(lambda: stream.lost == 3, "three lines to be refused")
    reading, writing = os.pipe()
    os.dup2(writing, full)
    stream.write("written\n")
    stream.close(10.0)
    assert os.read(reading, 1000) == b"lost 3\nwritten\n"
    for descriptor in (reading, writing, full):
        os.close(descriptor)


def test_close_does_not_wait_for_a_file_that_stands_still(pipe: tuple[int, int]) -> None:
    stream = LogStream(pipe[1], lost_line)
    for _ in range(2 * QUEUE_LINES):
        stream.write("x" * 1000 + "\n")
    stream.close(0.05)
    os.close(pipe[0])  # lets the thread go
    stream.close(10.0)


def test_text_that_is_no_text_is_written_all_the_same(pipe: tuple[int, int]) -> None:
    stream = LogStream(pipe[1], lost_line)
    stream.write("a lone \ud800 surrogate\n")
    stream.close(10.0)
    assert os.read(pipe[0], 1000) == b"a lone \\ud800 surrogate\n"
