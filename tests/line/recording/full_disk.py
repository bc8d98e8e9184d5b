"""A recorder on a disk that fills up and gets space again; run as a program, in a process of its own.

    python -m tests.line.recording.full_disk DIRECTORY filled | file-limit | full-at-start

`filled` and `full-at-start` need a small file system of their own at DIRECTORY and fill it for real. `file-limit` lets
no file grow (RLIMIT_FSIZE), which fails every write on any machine. Ends with 0 when all promises were kept.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from station.codes import WarningCode
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.events import events
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from station.results import Verdict
from tests.bench.sample_parts import PartMaker, textured
from tests.bench.waiting import wait_for

MAKE = PartMaker(pixels=lambda seed: textured(seed, (200, 200, 3)))


def fill(directory: Path) -> None:
    """Until not even one byte fits."""
    with (directory / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def limit_files(_: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))


def free(directory: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    (directory / "filler").unlink(missing_ok=True)


def rows(directory: Path) -> list[PartRow]:
    with closing(open_reader(directory)) as reader:
        return list(parts(reader))


def settings(directory: Path) -> RecorderSettings:
    return RecorderSettings(directory, min_free_mb=0)


def runs_full(directory: Path, make_full: Callable[[Path], None], warning: WarningCode) -> None:
    """Good, full, good again: nothing is lost but images, and those rows say so."""
    recorder = Recorder(settings(directory), "s1")
    recorder.start()
    for number in range(1, 4):
        recorder.record(MAKE.inspected(number, Verdict.FAIL))
    assert recorder.flush(30)
    assert recorder.health.ok, recorder.health

    make_full(directory)
    for number in range(4, 7):
        recorder.record(MAKE.inspected(number, Verdict.FAIL))
    wait_for(lambda: "images are not stored" in recorder.health.detail, "the warning for images")
    for number in range(7, 2007):  # more rows than the write-ahead log has room for
        recorder.record(MAKE.without_frame(number))
    wait_for(lambda: "records wait" in recorder.health.detail, "the warning for rows")
    health = recorder.health
    assert (health.ok, health.warning, health.lost) == (False, warning, 0), health
    assert health.waiting > 0, health
    assert not recorder.flush(0.5)

    free(directory)
    wait_for(lambda: recorder.health.ok, "recovery")
    recorder.record(MAKE.inspected(2007, Verdict.FAIL))
    assert recorder.stop(30)

    found = rows(directory)
    assert [row.acquisition_id for row in found] == list(range(1, 2008))
    assert [row.acquisition_id for row in found for view in row.views if view.image_path] == [1, 2, 3, 2007]
    assert [row.acquisition_id for row in found for view in row.views if view.image_skipped] == [4, 5, 6]
    with closing(open_reader(directory)) as reader:
        kinds = [event.kind for event in events(reader)]
    assert kinds == ["images_skipped", "images_stored"], kinds
    assert not list(directory.rglob("*.tmp"))


def starts_full(directory: Path) -> None:
    """The station starts and sorts parts; records follow when there is space."""
    fill(directory)
    recorder = Recorder(settings(directory), "s1")
    recorder.start()
    recorder.record(MAKE.inspected(1, Verdict.FAIL))
    wait_for(lambda: "images are not stored" in recorder.health.detail, "the warning for images")
    assert recorder.health.warning is WarningCode.DISK_FULL, recorder.health
    assert "records wait" in recorder.health.detail, recorder.health
    free(directory)
    wait_for(lambda: recorder.health.ok, "recovery")
    recorder.record(MAKE.inspected(2, Verdict.FAIL))
    assert recorder.stop(30)
    assert [row.views[0].image_path is not None for row in rows(directory)] == [False, True]


if __name__ == "__main__":
    folder, scenario = Path(sys.argv[1]), sys.argv[2]
    if scenario == "filled":
        runs_full(folder, fill, WarningCode.DISK_FULL)
    elif scenario == "file-limit":
        runs_full(folder, limit_files, WarningCode.RECORDS_DELAYED)
    elif scenario == "full-at-start":
        starts_full(folder)
    else:
        sys.exit(f"unknown scenario {scenario}")
