"""What happens to the log decides nothing: verdicts, records and the way the station ends stay as they are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.bench.bench import DEADLINE_S, Bench, bad, good

PARTS = 12


def works_and_ends(bench: Bench) -> None:
    """Good parts pass, bad ones do not, each one is on record, and SIGTERM ends the station as always."""
    verdicts = [bench.part(bad() if number % 3 == 2 else good()).passed for number in range(PARTS)]
    assert verdicts == [number % 3 != 2 for number in range(PARTS)]
    bench.assert_balanced(PARTS)
    assert bench.process is not None
    bench.process.send_signal(signal.SIGTERM)
    assert bench.process.wait(DEADLINE_S) == 0
    assert bench.assert_balanced(PARTS).triggers == PARTS


def test_the_reader_of_the_log_goes_away(tmp_path: Path) -> None:
    """`station run 2>&1 | head -3`."""
    reading, writing = os.pipe()
    with Bench(tmp_path) as bench, os.fdopen(reading) as lines:
        bench.start(stderr=writing, wait_ready=False)
        os.close(writing)
        for _ in range(3):
            assert lines.readline()
        lines.close()
        bench.wait_ready()
        works_and_ends(bench)


def test_the_log_lies_on_a_full_disk(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench, Path("/dev/full").open("wb") as full:
        bench.start(stderr=full.fileno())
        works_and_ends(bench)
