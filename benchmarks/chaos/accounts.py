"""After a run: what the line saw held against what is on record. Pure but for the database that is read."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.records.events import MISSED, events
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from station.simulation.accounts.books import ids_without_a_picture
from station.simulation.accounts.report import ids_in_words
from station.simulation.parts.pictures import GOOD
from station.simulation.plant.belt import Bin
from station.simulation.run.processes import LineState

INSPECTED = {"PASS", "FAIL", "REVIEW"}
MEMORY_MB = 8.0
"""What memory may grow in the longest session, beside a twentieth of itself."""


@dataclass(frozen=True, slots=True)
class Dark:
    """A time in which pulses may be seen by nobody: the station, or what takes the pictures, was not there."""

    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What a running daemon has taken, now and then."""

    pid: int
    at_s: float
    memory_mb: float
    files: int
    threads: int
    ready: bool = True
    """The PLC saw TriggerReady then."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is on record."""

    rows: tuple[PartRow, ...]
    missed: int
    kinds: Mapping[str, int]
    """Events by kind."""


def read_records(folder: Path) -> Recorded:
    with open_reader(folder) as connection:
        kinds = Counter(event.kind for event in events(connection))
        return Recorded(tuple(parts(connection)), kinds[MISSED], kinds)


def settle(
    truths: Mapping[int, str], line: LineState, recorded: Recorded, dark: Sequence[Dark]
) -> tuple[dict[str, Any], list[str]]:
    """The figures, and what must not be."""
    verdicts = Counter(row.verdict for row in recorded.rows)
    by_id: dict[int, set[str]] = defaultdict(set)
    for row in recorded.rows:
        by_id[row.part_id].add(row.verdict)
    late = {
        serial for serial in line.unexposed if line.judgements.get(serial, {}).get("result") in INSPECTED
    }  # the software camera was held up: a real one exposes at the edge
    good_bin = {serial for serial, end in line.ends.items() if end["bin"] == Bin.GOOD.value}
    bad_passed = sorted(serial for serial in good_bin if truths.get(serial) not in (GOOD, None))
    signalled = {serial: judgement["result"] for serial, judgement in line.judgements.items()}
    not_on_record = sorted(
        serial for serial, result in signalled.items() if result != "NONE" and result not in by_id[serial]
    )
    without_pass = sorted(good_bin - {row.part_id for row in recorded.rows if row.verdict == "PASS"})
    unseen = set(line.unseen)
    heard = {
        serial: judgement["at_barrier_s"]
        for serial, judgement in line.judgements.items()
        if judgement["at_barrier_s"] is not None and serial not in unseen
    }
    unexplained = [
        serial for serial, at_s in heard.items() if serial not in by_id and not any(_within(at_s, gap) for gap in dark)
    ]
    without_id = sum(row.part_id not in heard for row in recorded.rows)
    repeated = sum(count - 1 for count in Counter(row.part_id for row in recorded.rows).values())
    wrong_good = sorted(
        serial for serial, result in signalled.items() if result == "FAIL" and truths.get(serial) == GOOD
    )
    ids_alone = _ids_alone(line, recorded)
    to_account_for = line.triggers - len(line.unseen) + ids_alone
    figures = {
        "parts": len(line.ends),
        "good_bin": len(good_bin),
        "pulses": line.triggers,
        "pulses_that_no_camera_heard": len(line.unseen),
        "pulses_that_the_camera_missed": line.camera_missed,
        "ids_on_record_without_a_picture": ids_alone,
        "on_record": {"triggers": len(recorded.rows), "missed": recorded.missed, **verdicts},
        "of_them_from_the_journal": sum(row.recovered for row in recorded.rows),
        "read_by_the_plc": line.results_read,
        "withdrawn_while_the_plc_read": line.withdrawn_while_read,
        "pulses_in_dark_times_without_a_row": len(heard.keys() - by_id.keys()) - len(unexplained),
        "pulses_without_a_row_of_their_id": len(unexplained),
        "rows_of_other_ids_and_missed": without_id + repeated + recorded.missed,
        "late_pictures_of_the_software_camera": len(late),
        "good_parts_failed": len(wrong_good),
        "bad_parts_passed": bad_passed,
        "events": dict(recorded.kinds),
    }
    problems = []
    if found := [serial for serial in bad_passed if serial not in late]:
        problems.append(f"bad parts passed: {ids_in_words(found)}")
    if not_on_record:
        problems.append(f"verdicts that the PLC has read are not on record: {ids_in_words(not_on_record)}")
    if without_pass:
        problems.append(f"parts in the good bin without a PASS on record: {ids_in_words(without_pass)}")
    for name, count in line.results_read.items():
        if count > verdicts[name]:
            problems.append(f"the PLC has read {count} results {name}, on record are {verdicts[name]}")
    if line.withdrawn_while_read > recorded.kinds.get("results_withdrawn", 0):
        problems.append(
            f"ResultsValid stood {line.withdrawn_while_read} times without a result, and less was withdrawn"
        )
    if len(unexplained) > without_id + repeated + recorded.missed:
        problems.append(
            f"{len(unexplained)} pulses have no row of their part id, and only {without_id + repeated} rows with "
            f"another id and {recorded.missed} missed triggers account for them: {ids_in_words(unexplained)}"
        )
    accounted = len(recorded.rows) + recorded.missed
    if accounted > to_account_for:
        problems.append(
            f"{line.triggers} pulses of the light barrier, {len(line.unseen)} of them heard by no camera, and "
            f"{ids_alone} ids on record without a picture, but {accounted} triggers and missed ones"
        )
    problems += [text for session, text in _gaps(recorded.rows).items() if session]
    if found := sorted(set(wrong_good) - late - _spoiled(line)):
        problems.append(f"good parts have the verdict of another picture: {ids_in_words(found)}")
    return figures, problems


def _ids_alone(line: LineState, recorded: Recorded) -> int:
    """How many parts are on record for an id that no picture could take: as an error under that id, or as a missed
    trigger. A missed trigger says no id, but where it had a picture there is an event of the picture, too. And the PLC
    may have written a wrong one.
    """
    given = ids_without_a_picture(line)
    errors = {row.part_id for row in recorded.rows if row.verdict == "ERROR"}
    without_picture = max(0, recorded.missed - recorded.kinds.get("frame_missed", 0))
    return len(given & errors) + min(len(given - errors), without_picture + line.faults["wrong-part-id"])


def _spoiled(line: LineState) -> set[int]:
    """Parts of which the PLC itself says that another picture may have their id."""
    return {serial for serial, judgement in line.judgements.items() if judgement["why"].startswith("an edge of the")}


def _gaps(rows: Sequence[PartRow]) -> dict[str, str]:
    """Sessions whose acquisition ids do not count from the first to the last: a part was opened and never recorded."""
    ids: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        ids[row.session].append(row.acquisition_id)
    return {
        session: f"session {session}: parts without a row: {ids_in_words(sorted(missing))}"
        for session, found in ids.items()
        if (missing := set(range(min(found), max(found) + 1)) - set(found))
    }


def _within(at_s: float, gap: Dark) -> bool:
    return gap.from_s <= at_s <= gap.until_s


def memory(samples: Sequence[Sample]) -> tuple[dict[str, Any], list[str]]:
    """What the longest life has taken: its second quarter beside its last.

    From when it was ready: on a slow machine a start takes longer than a short run, and it is there that it grows.
    """
    lives: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.ready or sample.pid in lives:
            lives[sample.pid].append(sample)
    longest = max(lives.values(), key=lambda life: life[-1].at_s - life[0].at_s, default=[])
    if len(longest) < 8:
        return {"samples": len(longest)}, []
    quarter = len(longest) // 4
    early, late = longest[quarter : 2 * quarter], longest[-quarter:]
    before, after = (statistics.median(sample.memory_mb for sample in some) for some in (early, late))
    figures: dict[str, Any] = {
        "longest_session_s": round(longest[-1].at_s - longest[0].at_s),
        "second_quarter_mb": round(before, 1),
        "last_quarter_mb": round(after, 1),
        "open_files": [round(statistics.median(sample.files for sample in some)) for some in (early, late)],
        "threads": [round(statistics.median(sample.threads for sample in some)) for some in (early, late)],
        "highest_mb_of_any_session": round(max(sample.memory_mb for sample in samples), 1),
    }
    problems = []
    if after > before * 1.05 + MEMORY_MB:
        problems.append(f"memory grew from {before:.1f} to {after:.1f} MB in one session")
    for name in ("open_files", "threads"):
        if figures[name][1] > figures[name][0] + 8:
            problems.append(f"{name} grew from {figures[name][0]} to {figures[name][1]} in one session")
    return figures, problems
