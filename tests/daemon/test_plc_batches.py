"""Batches that the PLC asks for: refused with a code, bounded however it flaps, on record before it is told so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.command_results import CommandResult
from station.daemon.plc.batches import BURST, REFILL_S, PlcBatches, in_ascii
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.batches.rows import BatchError, batch_named
from station.records.schema import DATABASE_FILE, open_reader


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(RecorderSettings(tmp_path, min_free_mb=0), "s1")
    recorder.start()
    yield recorder
    recorder.stop(20)


@pytest.fixture
def plc(recorder: Recorder, clock: Clock) -> PlcBatches:
    return PlcBatches(recorder, lambda: "flange", clock)


def refused(error: pytest.ExceptionInfo[BatchError]) -> CommandResult:
    return error.value.code


def test_when_the_plc_reads_that_it_is_done_a_power_cut_keeps_the_batch(tmp_path: Path, plc: PlcBatches) -> None:
    plc.begin("8812")
    with closing(open_reader(tmp_path)) as connection:  # the recorder was not stopped
        row = batch_named(connection, "now")
        assert row is not None
        assert (row.name, row.recipe, row.begun_by) == ("8812", "flange", "plc")
    plc.begin("8813")
    plc.end()
    with closing(open_reader(tmp_path)) as connection:
        assert batch_named(connection, "now") is None
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        rows = connection.execute("SELECT who, before, after FROM audit WHERE action = 'batch' ORDER BY id").fetchall()
    assert rows == [("plc", "none", "8812"), ("plc", "8812", "8813"), ("plc", "8813", "none")]


def test_a_batch_of_a_person_is_his_and_one_of_the_plc_a_person_may_end(recorder: Recorder, plc: PlcBatches) -> None:
    recorder.batches.begin("8812", "operator anna", recipe="flange")
    for asked in (partial(plc.begin, "8813"), plc.end):
        with pytest.raises(BatchError, match="begun by operator anna") as error:
            asked()
        assert refused(error) is CommandResult.BATCH_OF_A_PERSON
    assert recorder.batches.number == 1
    recorder.batches.end("operator anna")
    plc.begin("8813")
    assert recorder.batches.end("operator ben").name == "8813"


def test_a_plc_that_flaps_writes_a_bounded_number_of_rows(tmp_path: Path, plc: PlcBatches, clock: Clock) -> None:
    """A coil that toggles with every scan: 400 commands, as many rows as the bucket holds, and no batch is torn."""
    codes = []
    for number in range(200):
        for asked in (partial(plc.begin, f"{number}"), plc.end):
            try:
                asked()
            except BatchError as problem:
                codes.append(problem.code)
    assert len(codes) == 400 - BURST
    assert set(codes) == {CommandResult.TOO_MANY_BATCHES}
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        counted = [
            connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("batches", "audit", "events")
        ]
    assert counted[0] <= BURST
    assert counted[1] <= BURST
    assert counted[2] <= 110, "events of one kind are bounded by the recorder"
    clock.now_s += REFILL_S
    plc.begin("after a while")
    with pytest.raises(BatchError) as error:
        plc.end()
    assert refused(error) is CommandResult.TOO_MANY_BATCHES


@given(st.text(st.characters(max_codepoint=255), max_size=32))
def test_what_registers_hold_is_text_or_refused(registers: str) -> None:
    """Never markup, a line end or a control character; `check_text` looks at the rest."""
    if all(" " <= letter <= "~" for letter in registers):
        assert in_ascii(registers) == registers
        return
    with pytest.raises(BatchError) as error:
        in_ascii(registers)
    assert refused(error) is CommandResult.BATCH_NAME_LETTERS
    assert str(error.value).isascii()
    assert str(error.value).isprintable()
