"""The chaos run in short: the real station through faults of every kind that ends quickly; `benchmarks/chaos` is long.

The second half holds the accounts to runs that went wrong: an account that finds nothing is worth nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.chaos.accounts import Dark, Recorded, Sample, memory, settle
from benchmarks.chaos.run import Asked, run
from benchmarks.chaos.schedule import ENDS_THE_DAEMON, KILLS_UNTIL, UNDISTURBED, Kind, schedule
from station.records.parts import PartRow
from station.simulation.plant.plc import ID_NOT_ACKNOWLEDGED
from station.simulation.run.processes import LineState
from tests.bench.programs import needs_program

SHORT = (
    Kind.KILL,
    Kind.INCOMPLETE_FRAME,
    Kind.LOST_FRAME,
    Kind.LATE_ACK,
    Kind.DOUBLE_TRIGGER,
    Kind.WRONG_PART_ID,
    Kind.DISK_FULL,
    Kind.LOG_GONE,
    Kind.CLOCK_SET,
    Kind.BROKEN_CONFIGURATION,
    Kind.BAD_ARCHIVE,
    Kind.ENGINE,
    Kind.CONTROL_GARBAGE,
    Kind.MODBUS_GARBAGE,
)


@needs_program("cc")
@pytest.mark.timeout(300)
def test_nothing_that_happens_makes_a_bad_part_pass_or_a_verdict_disappear(tmp_path: Path) -> None:
    found = run(tmp_path / "w", Asked(parts=100, faults=len(SHORT), rate_per_s=15.0, kinds=SHORT), Console(quiet=True))
    assert found["problems"] == [], found  # the figures say which pulse was counted how
    assert found["faults"]["in_all"] == len(SHORT)
    assert found["starts"] == 2
    assert found["on_record"]["triggers"] > 0


def test_the_same_seed_gives_the_same_faults_and_no_daemon_is_ended_late() -> None:
    faults = schedule(10_000, 500, seed=4)
    assert faults == schedule(10_000, 500, seed=4)
    assert faults != schedule(10_000, 500, seed=5)
    assert {fault.kind for fault in faults} == set(Kind)
    ending = [fault.at_part for fault in faults if fault.kind in ENDS_THE_DAEMON]
    assert max(ending) < 10_000 * KILLS_UNTIL
    assert max(fault.at_part for fault in faults) < 10_000 * (1 - UNDISTURBED)


# ---- the accounts ---------------------------------------------------------------------------------------------------


def row(part_id: int, verdict: str, acquisition_id: int | None = None) -> PartRow:
    number = part_id if acquisition_id is None else acquisition_id
    return PartRow("s", number, part_id, "line", 0, 0.0, verdict, "[]", "", "", "", "{}", None, None)


def balanced() -> tuple[dict[int, str], LineState, list[PartRow]]:
    """Three parts, the second of them bad, and nothing wrong."""
    line = LineState(triggers=3, results_read={"PASS": 2, "FAIL": 1})
    verdicts = {1: "PASS", 2: "FAIL", 3: "PASS"}
    for serial, verdict in verdicts.items():
        line.ends[serial] = {"bin": "good" if verdict == "PASS" else "reject"}
        line.judgements[serial] = {"result": verdict, "why": "", "at_barrier_s": float(serial), "id_given": True}
    return {1: "good", 2: "spot", 3: "good"}, line, [row(serial, verdict) for serial, verdict in verdicts.items()]


def problems(
    truths: dict[int, str],
    line: LineState,
    rows: list[PartRow],
    *,
    missed: int = 0,
    dark: tuple[Dark, ...] = (),
    pictures_missed: int = 0,
) -> str:
    recorded = Recorded(tuple(rows), missed, {"frame_missed": pictures_missed})
    return "; ".join(settle(truths, line, recorded, dark)[1])


def test_what_balances_is_no_problem() -> None:
    assert problems(*balanced()) == ""


def test_a_bad_part_in_the_good_bin_is_found() -> None:
    truths, line, rows = balanced()
    line.ends[2] = {"bin": "good"}
    assert "bad parts passed: 2" in problems(truths, line, rows)


def test_a_verdict_that_the_plc_has_read_and_nobody_recorded_is_found() -> None:
    truths, line, rows = balanced()
    assert "verdicts that the PLC has read are not on record: 3" in problems(truths, line, rows[:2])
    assert "parts in the good bin without a PASS on record: 3" in problems(truths, line, rows[:2])
    assert "not on record: 2" in problems(truths, line, [rows[0], replace(rows[1], verdict="ERROR"), rows[2]])


@pytest.mark.parametrize("explained", ["missed", "dark", "not heard"])
def test_a_pulse_that_nobody_accounts_for_is_found_unless_it_is_explained(explained: str) -> None:
    truths, line, rows = balanced()
    line.triggers, truths[4], line.ends[4] = 4, "good", {"bin": "reject"}
    line.judgements[4] = {"result": "NONE", "why": "no result in time", "at_barrier_s": 4.0, "id_given": False}
    assert "1 pulses have no row of their part id" in problems(truths, line, rows)
    changed: dict[str, Any] = {}
    if explained == "missed":
        changed["missed"] = 1
    elif explained == "dark":
        changed["dark"] = (Dark(3.5, 4.5),)
    else:
        line.unseen.append(4)
    assert problems(truths, line, rows, **changed) == ""


def test_a_part_that_was_opened_and_never_recorded_is_found() -> None:
    truths, line, rows = balanced()
    rows[2] = replace(rows[2], acquisition_id=4)
    assert "session s: parts without a row: 3" in problems(truths, line, rows)


def test_more_triggers_than_pulses_are_found() -> None:
    truths, line, rows = balanced()
    assert "but 4 triggers and missed ones" in problems(truths, line, rows, missed=1)


@pytest.mark.parametrize("why", ["late", "unseen", "never there"])
def test_an_id_that_no_picture_takes_counts_once_and_nothing_else_does(why: str) -> None:
    """Part 4's id came behind its own picture, or nothing heard its pulse, or it was taken off before the barrier."""
    truths, line, rows = balanced()
    came_s = None if why == "never there" else 4.0
    text = ID_NOT_ACKNOWLEDGED if why == "late" else "no result in time"
    line.judgements[4] = {"result": "NONE", "why": text, "at_barrier_s": came_s, "id_given": True}
    truths[4], line.ends[4] = "good", {"bin": "reject"}
    pictures = 1 if why == "late" else 0
    line.triggers += came_s is not None
    if why == "unseen":
        line.unseen.append(4)
    rows += [row(0, "PASS", acquisition_id=4)] * pictures
    own = [*rows, row(4, "ERROR", acquisition_id=4 + pictures)]
    assert problems(truths, line, own) == problems(truths, line, rows, missed=1) == ""
    too_many = f"but {4 + pictures} triggers and missed ones"
    assert f"but {5 + pictures} triggers and missed ones" in problems(truths, line, own, missed=1)
    assert too_many in problems(truths, line, [*rows, row(0, "ERROR", acquisition_id=4 + pictures)])
    assert too_many in problems(truths, line, rows, missed=1, pictures_missed=1), "that one had a picture"
    line.judgements[4]["id_given"] = False  # the station cannot know an id that the PLC never gave
    assert too_many in problems(truths, line, own)


def test_pulses_that_nobody_heard_hide_no_part_that_was_counted_twice() -> None:
    truths, line, rows = balanced()
    line.triggers += 20
    line.unseen += range(4, 24)
    assert problems(truths, line, rows) == ""
    assert "but 4 triggers and missed ones" in problems(truths, line, [*rows, row(0, "PASS", acquisition_id=4)])


def test_memory_that_grows_within_a_session_is_found_and_that_of_a_new_process_is_not() -> None:
    flat = [Sample(1, float(at), 100.0 + at % 3, 20, 15) for at in range(100)]
    assert memory(flat)[1] == []
    grows = [replace(sample, memory_mb=100.0 + sample.at_s) for sample in flat]
    assert "memory grew" in memory(grows)[1][0]
    files = [replace(sample, files=20 + int(sample.at_s)) for sample in flat]
    assert "open_files grew" in memory(files)[1][0]
    restarted = [replace(sample, pid=int(sample.at_s) // 5, memory_mb=100.0 + sample.at_s) for sample in flat]
    assert memory(restarted)[1] == []
    starts = [replace(sample, memory_mb=20.0, files=3, ready=False) for sample in flat[:60]]
    assert memory([*starts, *flat[60:]])[1] == [], "a long start is no growth"
    assert memory([*(replace(sample, ready=sample.at_s == 0) for sample in grows)])[1] != []
