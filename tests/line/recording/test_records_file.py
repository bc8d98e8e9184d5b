"""A disk that never answers, and a database that somebody removes, replaces or damages: each has its outcome."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from station.codes import WarningCode
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.events import events
from station.records.schema import DATABASE_FILE, RecordingError, open_reader, open_writer
from station.results import Verdict
from tests.bench.waiting import wait_for
from tests.line.recording.recording_bench import MAKE, recording, rows


def standing_still(recorder_directory: Path) -> Path:
    """A FIFO where the image of part 1 is written: the write waits until somebody reads."""
    gate = recorder_directory / "images" / "2027-01-15" / "080001.000-s1-000001-FAIL-top.png.tmp"
    gate.parent.mkdir(parents=True)
    os.mkfifo(gate)
    return gate


def test_a_disk_that_never_answers_is_a_warning(tmp_path: Path) -> None:
    gate = standing_still(tmp_path)
    with recording(tmp_path, waiting_rows=30, delayed_s=0.05) as recorder:
        recorder.record(MAKE.inspected(1, Verdict.FAIL))
        wait_for(lambda: not recorder.health.ok, "the warning")
        health = recorder.health
        assert health.warning is WarningCode.RECORDS_DELAYED
        assert health.oldest_s > 0.05
        assert "has waited for the disk" in health.detail
        for number in range(2, 52):
            recorder.record(MAKE.without_frame(number))
        assert recorder.health.lost >= 20
        gate.read_bytes()  # the disk answers again
        wait_for(lambda: recorder.health.ok, "recovery")
        assert recorder.health.oldest_s < 0.05


def test_a_stop_does_not_wait_for_a_disk_that_never_answers(tmp_path: Path) -> None:
    gate = standing_still(tmp_path)
    recorder = Recorder(RecorderSettings(tmp_path, min_free_mb=0), "s1")
    recorder.start()
    recorder.record(MAKE.inspected(1, Verdict.FAIL))
    assert not recorder.stop(0.1)
    assert recorder.is_alive
    gate.read_bytes()
    wait_for(lambda: not recorder.is_alive, "the end of the recorder")


def remove(file: Path) -> None:
    file.unlink()


def remove_the_log_too(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def put_another_there(file: Path) -> None:
    other = file.with_name("other.db")
    open_writer(other).close()
    other.replace(file)


def test_a_file_that_was_moved_away_while_running_is_whole(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.without_frame(1))
        assert recorder.flush(20)
        (tmp_path / DATABASE_FILE).rename(tmp_path / "last-year.db")
        recorder.record(MAKE.without_frame(2))
        assert recorder.flush(20)
    assert [row.acquisition_id for row in rows(tmp_path / "last-year.db")] == [1]
    assert [row.acquisition_id for row in rows(tmp_path)] == [2]


@pytest.mark.parametrize("befall", [remove, remove_the_log_too, put_another_there])
def test_no_row_goes_into_a_file_that_nobody_will_read(tmp_path: Path, befall: Callable[[Path], None]) -> None:
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.without_frame(1))
        assert recorder.flush(20)
        befall(tmp_path / DATABASE_FILE)
        for number in range(2, 5):
            recorder.record(MAKE.without_frame(number))
            assert recorder.flush(20)
        assert (recorder.health.ok, recorder.health.replaced) == (True, 1)
    assert [row.acquisition_id for row in rows(tmp_path)] == [2, 3, 4]
    with closing(open_reader(tmp_path)) as reader:
        assert [event.kind for event in events(reader)] == ["records_replaced"]
        assert [tuple(row) for row in reader.execute("SELECT session, clean FROM sessions")] == [("s1", 1)]


def drop_a_table(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE parts")


def put_a_newer_one_there(file: Path) -> None:
    remove_the_log_too(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


def scribble(file: Path) -> None:
    remove_the_log_too(file)
    file.write_bytes(b"no database" * 1000)


def put_a_folder_there(file: Path) -> None:
    remove_the_log_too(file)
    file.mkdir()


DAMAGED = [
    (drop_a_table, "has no table parts; move the file away"),
    (put_a_newer_one_there, "schema version 99"),
    (scribble, "move the file away"),
    (put_a_folder_there, "is a folder; move it away"),
]


@pytest.mark.parametrize(("befall", "why"), DAMAGED)
def test_damage_while_running_is_a_warning_and_rows_wait_for_another_file(
    tmp_path: Path, befall: Callable[[Path], None], why: str
) -> None:
    file = tmp_path / DATABASE_FILE
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.without_frame(1))
        assert recorder.flush(20)
        befall(file)
        recorder.record(MAKE.without_frame(2))
        wait_for(lambda: why in recorder.health.detail, "the warning")
        assert recorder.health.warning is WarningCode.RECORDS_DELAYED
        file.rename(tmp_path / "moved-away")
        wait_for(lambda: recorder.health.ok, "recovery")
    assert [row.acquisition_id for row in rows(tmp_path)] == [2]


@pytest.mark.parametrize(("befall", "why"), DAMAGED)
def test_damage_before_a_start_is_refused_with_what_to_do(
    tmp_path: Path, befall: Callable[[Path], None], why: str
) -> None:
    with recording(tmp_path):
        pass
    befall(tmp_path / DATABASE_FILE)
    with pytest.raises(RecordingError, match=why):
        Recorder(RecorderSettings(tmp_path), "s2").start()
