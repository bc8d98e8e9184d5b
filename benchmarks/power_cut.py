"""A power cut at 200 points of what a station writes: the promise holds, and the next start says what may be missing.

    sudo python -m benchmarks.power_cut [--points 200] [--seconds 20] [--seed 1] [--json FILE]

The real daemon with the software camera writes rows and images to an ext4 whose disk remembers every write and every
flush (`tests/bench/recorded_disk.py`), while a client sees which rows are committed and the PLC what it is shown. Then
the disk is made as it is when the power goes at a point: at every second one with any part of the writes since the
last flush, else with all of them. The kernel replays the file system's journal, a station starts to record on it, and:

* every row that was committed is there, with its verdict, and the database is whole;
* an image that a row names is a whole image, or the row says that it is gone;
* where a verdict is missing that the PLC was shown, the next start says so (event `power_cut`);
* how old the oldest missing verdict was at the cut: at most 0.2 s is promised, while the disk is not late.

Exit code 1 when one of the first three does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from station.line.recording.journal import Journal
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.events import events
from station.records.images import is_whole_png
from station.records.parts import parts
from station.records.schema import DATABASE_FILE, RecordingError, open_reader
from station.results import Verdict
from station.simulation.run.processes import stopped_in_order
from tests.bench.bench import Bench, bad, good
from tests.bench.recorded_disk import Replay, Write, mounted_image, read_writes, recorded_disk
from tests.bench.waiting import wait_for

MEGABYTES = 64
POLL_S = 0.02
STOP_S = 20.0
SLOW_S, RESULT_S = 60.0, 5.0
PROMISED_S = 0.2


@dataclass(slots=True)
class Seen:
    """What others saw while it was written. Times are monotonic ns."""

    told: dict[int, tuple[int, str]] = field(default_factory=dict)
    """By part id: when the PLC had the verdict, and which."""
    committed: dict[int, int] = field(default_factory=dict)
    """By part id: when its row was first seen by another connection."""
    from_ns: int = 0
    until_ns: int = 0


class Watcher:
    """Another connection to the records: what it sees is committed, so it must survive."""

    def __init__(self, folder: Path, seen: Seen) -> None:
        self._folder, self._seen = folder, seen
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")
        self._thread.start()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(open_reader(self._folder)) as connection:
            last = 0
            while not self._stop.wait(POLL_S):
                found = connection.execute("SELECT id, part_id FROM parts WHERE id > ? ORDER BY id", (last,)).fetchall()
                now_ns = time.monotonic_ns()
                for last, part_id in found:  # noqa: B007  the last one is where the next look begins
                    self._seen.committed[part_id] = now_ns


def write_for(seconds: float, folder: Path, disk: Path) -> Seen:
    """A station that inspects until it is killed."""
    seen = Seen()
    settings: dict[str, Any] = {
        "station__work_dir": str(disk / "work"),
        "records__pass_image_share": 0.3,
        "records__min_free_mb": 0,
        "log__level": "warning",
    }
    with Bench(folder, **settings) as bench:
        bench.start()
        seen.from_ns = time.monotonic_ns()
        end_s = time.monotonic() + seconds
        with Watcher(disk / "work" / "records", seen):
            while time.monotonic() < end_s:
                wait_for(lambda: bench.plc.ready, "TriggerReady", SLOW_S)
                part_id = bench.send(bad() if len(seen.told) % 3 == 0 else good())
                try:
                    wait_for(lambda part_id=part_id: part_id in bench.plc.results, "the result", RESULT_S)  # type: ignore[misc]
                except AssertionError:  # a trigger that came while the station was not ready: nobody was shown anything
                    continue
                result = bench.plc.results[part_id][0]
                seen.told[part_id] = (time.monotonic_ns(), Verdict(result.result).name)
        bench.kill()
        seen.until_ns = time.monotonic_ns()
    return seen


@dataclass(frozen=True, slots=True)
class After:
    """What one power cut has left."""

    problems: tuple[str, ...]
    missing: int
    """Verdicts that the PLC was shown and nobody finds."""
    oldest_missing_s: float
    said: bool
    """The next start said that something may be missing."""
    images_gone: int


def look(records: Path, seen: Seen, cut_ns: int, memory: Path) -> After:
    """Starts a station's recording on what the cut has left and holds it to the promise."""
    problems = []
    database = records / DATABASE_FILE
    if database.exists():
        with contextlib.closing(sqlite3.connect(database)) as connection:
            if (whole := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                problems.append(f"the database is damaged: {whole}")
    try:
        details = _next_start(records, memory)
    except RecordingError as problem:
        return After((f"the next start refuses the records: {problem}",), 0, 0.0, False, 0)
    with contextlib.closing(open_reader(records)) as connection:
        rows = {row.part_id: row for row in parts(connection)}
    committed = [part_id for part_id, at_ns in seen.committed.items() if at_ns <= cut_ns]
    if lost := [part_id for part_id in committed if part_id not in rows]:
        problems.append(f"{len(lost)} rows that were committed are gone")
    told = {part_id: of for part_id, of in seen.told.items() if of[0] <= cut_ns}
    if wrong := [id_ for id_, (_, verdict) in told.items() if id_ in rows and rows[id_].verdict != verdict]:
        problems.append(f"{len(wrong)} rows have another verdict than the PLC was shown")
    missing = [at_ns for part_id, (at_ns, _) in told.items() if part_id not in rows]
    if missing and not details:
        problems.append(f"{len(missing)} verdicts are missing and the next start does not say so")
    gone = 0
    for row in rows.values():
        for view in row.views:
            gone += view.image_deleted
            for name in (view.image_path, view.map_path):
                if name and not view.image_deleted and not is_whole_png(records / name):
                    problems.append(f"a row names the image {name}, which is not whole")
    oldest_s = (cut_ns - min(missing, default=cut_ns)) / 1e9
    return After(tuple(problems), len(missing), oldest_s, bool(details), gone)


def _next_start(records: Path, memory: Path) -> list[str]:
    """What a station says that finds these records and no journal. Raises RecordingError."""
    with Journal(memory / "journal.bin", "after") as journal:
        recorder = Recorder(RecorderSettings(records, min_free_mb=0), "after", on_committed=journal.commit)
        recorder.start()
        if journal.is_new:
            recorder.journal_is_new()
        recorder.stop(STOP_S)
    with contextlib.closing(open_reader(records)) as connection:
        return [event.detail for event in events(connection, session="after", kind="power_cut")]


def points_of(writes: Sequence[Write], seen: Seen, count: int) -> list[int]:
    """So many places, evenly over what was written while parts came."""
    inside = [number for number, write in enumerate(writes) if seen.from_ns <= write.at_ns <= seen.until_ns]
    return sorted({inside[number * (len(inside) - 1) // max(1, count - 1)] for number in range(count)})


def cuts(
    folder: Path, writes: Sequence[Write], seen: Seen, points: Sequence[int], seed: int
) -> Iterator[tuple[int, After]]:
    """What each of these power cuts leaves."""
    replay, rng = Replay(writes, folder / "whole.img", MEGABYTES), random.Random(seed)
    cut, mounted = folder / "cut.img", folder / "after"
    for number, point in enumerate(points):
        replay.cut(point, cut, rng if number % 2 else None)
        with tempfile.TemporaryDirectory(prefix="cut-") as memory, mounted_image(cut, mounted) as disk:
            yield point, look(disk / "work" / "records", seen, writes[point].at_ns, Path(memory))


def measure(
    points: int,
    seconds: float,
    seed: int,
    *,
    write: Callable[[float, Path, Path], Seen] = write_for,
    show: Callable[[str], object] = print,
) -> dict[str, Any]:
    """All figures of one run. `write`: who writes to the disk, for so many seconds."""
    with tempfile.TemporaryDirectory(prefix="power-cut-") as name:
        folder = Path(name)
        with recorded_disk(folder, MEGABYTES) as disk:
            seen = write(seconds, folder, disk)
        writes = read_writes(folder)
        chosen = points_of(writes, seen, points)
        show(f"{len(seen.told)} parts, {len(writes)} writes and flushes; {len(chosen)} power cuts")
        problems: list[str] = []
        found: list[After] = []
        for point, after in cuts(folder, writes, seen, chosen, seed):
            found.append(after)
            problems += [f"cut at write {point}: {problem}" for problem in after.problems]
            if len(found) % 20 == 0:
                show(f"{len(found)} of {len(chosen)} power cuts, {len(problems)} problems")
    return figures(seen, writes, found, problems)


def figures(seen: Seen, writes: Sequence[Write], found: Sequence[After], problems: Sequence[str]) -> dict[str, Any]:
    """For the file."""
    late = sorted(after.oldest_missing_s for after in found)
    commits = [
        (seen.committed[part_id] - at_ns) / 1e9
        for part_id, (at_ns, _) in seen.told.items()
        if part_id in seen.committed
    ]
    return {
        "parts": len(seen.told),
        "writes": sum(not write.is_flush for write in writes),
        "flushes": sum(write.is_flush for write in writes),
        "cuts": len(found),
        "cuts_with_missing_verdicts": sum(after.missing > 0 for after in found),
        "of_them_said_by_the_next_start": sum(after.missing > 0 and after.said for after in found),
        "missing_verdicts_at_most": max((after.missing for after in found), default=0),
        "age_of_the_oldest_missing_verdict_s": {
            "median": round(late[len(late) // 2], 3),
            "p99": round(late[int(len(late) * 0.99)], 3),
            "max": round(late[-1], 3),
        },
        "cuts_above_0.2_s": sum(age > PROMISED_S for age in late),
        "longest_from_result_to_commit_seen_s": round(max(commits, default=0.0), 3),
        "images_marked_as_gone_at_most": max((after.images_gone for after in found), default=0),
        "problems": list(problems),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = measure(options.points, options.seconds, options.seed)
    print(json.dumps(found, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    with stopped_in_order():
        sys.exit(main())
