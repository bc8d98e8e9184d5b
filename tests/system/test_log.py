"""What happens to the log decides nothing: verdicts, records and the way the station ends stay as they are."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path

from tests.bench.bench import Bench, bad, good
from tests.bench.waiting import DEADLINE_S

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


def test_nobody_reads_the_log(tmp_path: Path) -> None:
    """A pipe of one page that nobody empties: after a few lines every write to it would wait for ever."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    with Bench(tmp_path) as bench:
        bench.start(stderr=writing)
        os.close(writing)
        works_and_ends(bench)
    os.close(reading)


def test_every_line_of_a_json_log_is_json(tmp_path: Path) -> None:
    """What the camera's library prints stands there as an event, once, however often the camera connects."""
    with Bench(tmp_path) as bench:
        bench.start()
        assert bench.terminate() == 0
        bench.start()
        assert bench.terminate() == 0
        events = [json.loads(line) for line in bench.log().splitlines()]
    said = [event["detail"] for event in events if event["event"] == "camera_library"]
    assert any("DSAnnounceCompositeBuffer" in line for line in said)
    assert len(said) == 2 * len(set(said)), "once in each of the two runs"
