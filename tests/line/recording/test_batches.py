"""A part belongs to the batch that was open when it was triggered: after restarts, kills and a clock that was set."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from station.line.recording.batches import Batches
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.batches.rows import BatchError, BatchRow, batch_named, newest_batches
from station.records.parts import PartRow, parts
from station.records.schema import DATABASE_FILE, open_reader, open_writer
from station.records.selection import Selection, counted, page_of
from station.results import InspectionRecord, Verdict
from tests.bench.sample_parts import PartMaker

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return started(tmp_path)


def started(folder: Path, session: str = "s1") -> Recorder:
    recorder = Recorder(RecorderSettings(folder, min_free_mb=0), session)
    recorder.start()
    return recorder


def made(recorder: Recorder, number: int, verdict: Verdict = Verdict.PASS, session: str = "s1") -> InspectionRecord:
    """A part that is triggered now."""
    record = replace(PartMaker().inspected(number, verdict), session=session)
    return replace(record, part=replace(record.part, time_ns=recorder.batches.now_ns()))


def rows(folder: Path) -> dict[int, int | None]:
    """The batch of each part, by acquisition id."""
    with closing(open_reader(folder)) as connection:
        return {row.acquisition_id: row.batch for row in parts(connection)}


def test_parts_carry_the_batch_of_their_trigger(tmp_path: Path, recorder: Recorder) -> None:
    early = made(recorder, 1)
    first = recorder.batches.begin("8812", "operator anna", product="flange", order_no="A-7", recipe="r")
    inside = [made(recorder, number) for number in (2, 3)]
    second = recorder.batches.begin("8813", "operator ben", recipe="r")
    assert (first.number, second.number) == (1, 2)
    later = made(recorder, 4)
    recorder.batches.end("operator ben")
    for record in (early, *inside, later, made(recorder, 5)):  # they are recorded after the batch has changed
        recorder.record(record)
    assert recorder.stop(20)
    assert rows(tmp_path) == {1: None, 2: 1, 3: 1, 4: 2, 5: None}
    with closing(open_reader(tmp_path)) as connection:
        new, old = newest_batches(connection, 10)
        assert (old.name, old.product, old.order_no, old.recipe, old.begun_by, old.ended_by) == (
            "8812", "flange", "A-7", "r", "operator anna", "operator ben",
        )  # fmt: skip
        assert old.end_s == new.start_s
        assert batch_named(connection, "now") is None
        assert batch_named(connection, "last") == new
        assert [row.acquisition_id for _, row in page_of(connection, Selection(batch=1), 10)] == [3, 2]
        assert [number for *_, number in counted(connection, Selection(batch=1), "recipe")] == [2]
        assert counted(connection, Selection(batch=99), "recipe") == []


def test_an_open_batch_goes_on_after_a_restart_and_holds_the_parts_of_the_journal(tmp_path: Path) -> None:
    before = started(tmp_path)
    begun = before.batches.begin("8812", "plc", recipe="r")
    assert before.stop(20)
    after = started(tmp_path, "s2")
    assert after.batches.open == begun
    record = made(after, 1, session="s2")
    row = PartRow("s1", 9, 9, "line", 0, begun.start_s + 1, "PASS", "[]", "e", "r", "c", "{}", None, None)
    recovered = replace(record.part, wall_time=begun.start_s + 1, time_ns=-5)
    old = replace(record.part, wall_time=begun.start_s - 1, time_ns=-5)
    assert after.batches.stamped(row, recovered, is_recovered=True).batch == begun.number
    assert after.batches.stamped(row, old, is_recovered=True).batch is None
    after.record(record)
    after.batches.end("plc")
    assert after.batches.begin("8813", "plc", recipe="r").number == 2
    assert after.stop(20)
    assert rows(tmp_path) == {1: 1}


def test_what_is_no_batch_is_refused_with_what_is_allowed(recorder: Recorder) -> None:
    batches = recorder.batches
    for name, why in (("", "name is missing"), ("  ", "name is missing"), ("x" * 65, "at most 64 letters"),
                      ("a\nb", "one line"), (None, "one line"), (7, "one line")):  # fmt: skip
        with pytest.raises(BatchError, match=why):
            batches.begin(name, "anna", recipe="r")
    with pytest.raises(BatchError, match="no batch is open"):
        batches.end("anna")
    assert batches.begin(f" {EVIL} ", "anna", recipe="r").name == EVIL
    with pytest.raises(BatchError, match="is open already"):
        batches.begin(EVIL, "anna", recipe="r")
    assert recorder.stop(20)


def test_without_its_records_no_number_is_given_twice(tmp_path: Path) -> None:
    """Records that cannot be read have batches that are not known."""
    written: list[BatchRow] = []
    batches = Batches(tmp_path, written.append)
    batches.remember()
    with pytest.raises(BatchError, match="records cannot be read now"):
        batches.begin("8812", "anna", recipe="r")
    with closing(open_writer(tmp_path / DATABASE_FILE)) as connection:
        connection.execute("INSERT INTO batches VALUES (41, 'x', '', '', 'r', 1.0, 2.0, 'a', 'b')")
    assert batches.begin("8812", "anna", recipe="r").number == 42
    assert [row.number for row in written] == [42]


def test_a_clock_that_is_set_back_makes_no_batch_end_before_it_began(tmp_path: Path) -> None:
    open_writer(tmp_path / DATABASE_FILE).close()
    wall = iter([1000.0, 400.0, 500.0])
    ticks = iter(range(100))
    written: list[BatchRow] = []
    clocks: tuple[Callable[[], int], Callable[[], float]] = (lambda: next(ticks), lambda: next(wall))
    batches = Batches(tmp_path, written.append, clocks)
    batches.begin("1", "anna", recipe="r")
    batches.begin("2", "anna", recipe="r")
    assert [(row.number, row.start_s, row.end_s) for row in written] == [
        (1, 1000.0, None), (1, 1000.0, 1000.0), (2, 400.0, None),
    ]  # fmt: skip


def test_a_thousand_changes_are_not_kept(tmp_path: Path) -> None:
    open_writer(tmp_path / DATABASE_FILE).close()
    now = 0
    batches = Batches(tmp_path, lambda _row: None, (lambda: now, lambda: float(now)))
    part = PartMaker().inspected(1, Verdict.PASS).part
    row = PartRow("s1", 9, 9, "line", 0, 1.0, "PASS", "[]", "e", "r", "c", "{}", None, None)
    for number in range(1, 1000):
        now = 10 * number
        batches.begin(str(number), "anna", recipe="r")
    for number in (999, 980, 950):
        at = replace(part, time_ns=10 * number + 5)
        assert batches.stamped(row, at, is_recovered=False).batch == number
    assert len(batches._changes) < 100


def test_extra_that_is_no_json_stops_nothing(tmp_path: Path, recorder: Recorder) -> None:
    recorder.record(made(recorder, 1))
    assert recorder.stop(20)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE parts SET extra = 'damaged'")
        connection.execute("DROP INDEX parts_by_batch")
    open_writer(tmp_path / DATABASE_FILE).close()
    with closing(open_reader(tmp_path)) as connection:
        assert counted(connection, Selection(batch=1), "recipe") == []
