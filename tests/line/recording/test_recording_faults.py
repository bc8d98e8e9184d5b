"""What costs the recorder an image or a map, and never a row: memory, a locked or damaged database, a full disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from station.codes import WarningCode
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.events import events
from station.records.images import ImageError, MapScale, decode_map, encode_map, encode_png, write_atomic
from station.records.schema import DATABASE_FILE, RecordingError, open_reader
from station.results import Verdict
from tests.bench.sample_parts import PartMaker, textured
from tests.bench.waiting import wait_for
from tests.line.recording.recording_bench import MAKE, recording, rows


def test_images_that_would_take_too_much_memory_are_given_up(tmp_path: Path) -> None:
    maker = PartMaker(pixels=lambda seed: textured(seed, (700, 500, 3)))  # 1.05 MB
    with recording(tmp_path, waiting_images_mb=1) as recorder:
        recorder.record(maker.inspected(1, Verdict.FAIL))
    (row,) = rows(tmp_path)
    assert row.views[0].image_path is None
    assert row.views[0].image_skipped == "too many images wait for the disk"
    assert row.score == 0.5


def test_no_more_images_wait_than_the_queue_holds(tmp_path: Path) -> None:
    recorder = Recorder(RecorderSettings(tmp_path, min_free_mb=0, queue_size=8), "s1")
    for number in range(1, 13):  # the thread does not run yet
        recorder.record(MAKE.inspected(number, Verdict.FAIL))
    recorder.start()
    assert recorder.stop(20)
    assert [row.acquisition_id for row in rows(tmp_path)] == list(range(1, 13))
    assert [row.acquisition_id for row in rows(tmp_path) if row.views[0].image_path] == list(range(1, 9))


def test_pixels_that_cannot_be_encoded_cost_only_the_image(tmp_path: Path) -> None:
    maker = PartMaker(pixels=lambda seed: textured(seed, (4, 4, 7)))
    with recording(tmp_path) as recorder:
        recorder.record(maker.inspected(1, Verdict.ERROR))
    (row,) = rows(tmp_path)
    assert row.views[0].image_path is None
    assert "cannot be encoded" in str(row.views[0].image_skipped)


def test_map_that_is_not_finite_costs_only_the_map(tmp_path: Path) -> None:
    record = MAKE.inspected(1, Verdict.ERROR)
    (view,) = record.views
    assert view.scores is not None
    scores = replace(view.scores, image_score=float("nan"), anomaly_map=np.full((4, 4), np.nan, np.float32))
    with recording(tmp_path) as recorder:
        recorder.record(replace(record, views=(replace(view, scores=scores, measurement=None),)))
    (row,) = rows(tmp_path)
    assert row.views[0].image_path is not None
    assert (row.views[0].map_path, row.score, row.views[0].raw_score) == (None, None, None)
    assert "cannot be stored" in str(row.views[0].image_skipped)


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that holds the database (a person with a tool): the recorder cannot write."""
    with recording(tmp_path, session="before"):
        pass
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_rows_wait_while_the_database_is_locked(tmp_path: Path, lock: sqlite3.Connection) -> None:
    with recording(tmp_path) as recorder:
        for number in range(1, 21):
            recorder.record(MAKE.inspected(number, Verdict.FAIL))
        wait_for(lambda: recorder.health.waiting >= 20, "all of them")
        wait_for(lambda: not recorder.health.ok, "the warning")
        health = recorder.health
        assert health.warning is WarningCode.RECORDS_DELAYED
        assert "locked" in health.detail
        lock.execute("ROLLBACK")
        wait_for(lambda: recorder.health.ok, "recovery")
        assert recorder.flush(20)
    assert [row.acquisition_id for row in rows(tmp_path)] == list(range(1, 21))
    assert all(row.views[0].image_path for row in rows(tmp_path))


def test_more_rows_than_may_wait_are_counted_and_reported(tmp_path: Path, lock: sqlite3.Connection) -> None:
    with recording(tmp_path, waiting_rows=30) as recorder:
        wait_for(lambda: not recorder.health.ok, "the warning")
        with capture_logs() as logs:
            for number in range(1, 51):
                recorder.record(MAKE.without_frame(number))
        lost = recorder.health.lost
        assert lost >= 20
        assert sum(entry["event"] == "record lost" for entry in logs) == lost
        lock.execute("ROLLBACK")
        wait_for(lambda: recorder.health.ok, "recovery")
        recorder.record(MAKE.without_frame(51))
    numbers = [row.acquisition_id for row in rows(tmp_path)]
    assert numbers == [*range(1, 51 - lost), 51]
    with closing(open_reader(tmp_path)) as reader:
        (event,) = events(reader, kind="records_lost")
    assert event.level == "error"
    assert event.detail == f"{lost} records were lost: too many waited for the disk"


def test_a_record_that_comes_while_the_recording_stops_is_not_put_down_to_the_disk(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder._stopping = True
        recorder.event("late", "info")
        recorder._stopping = False
        recorder.event("next", "info")
    with closing(open_reader(tmp_path)) as reader:
        assert [event.detail for event in events(reader, kind="records_lost")] == [
            "1 records were lost: recording has stopped"
        ]


def test_stop_gives_up_in_time_when_the_database_stays_locked(tmp_path: Path, lock: sqlite3.Connection) -> None:
    recorder = Recorder(RecorderSettings(tmp_path, min_free_mb=0), "s1")
    recorder.start()
    recorder.record(MAKE.without_frame(1))
    assert not recorder.stop(0.2)
    wait_for(lambda: not recorder.is_alive, "the end of the recorder")
    assert rows(tmp_path) == []


def test_row_that_the_database_refuses_does_not_hold_up_the_others(tmp_path: Path) -> None:
    poison = MAKE.without_frame(2)
    poison = replace(poison, part=replace(poison.part, part_id=2**70))
    with capture_logs() as logs, recording(tmp_path) as recorder:
        for record in (MAKE.without_frame(1), poison, MAKE.without_frame(3)):
            recorder.record(record)
        assert recorder.flush(20)
        assert recorder.health.lost == 1
    assert [row.acquisition_id for row in rows(tmp_path)] == [1, 3]
    assert [entry["acquisition_id"] for entry in logs if entry["event"] == "row refused by the database"] == [2]


def test_no_image_is_stored_while_too_little_space_is_free(tmp_path: Path) -> None:
    with recording(tmp_path, min_free_mb=10**9) as recorder:
        recorder.record(MAKE.inspected(1, Verdict.FAIL))
        assert recorder.flush(20)
        wait_for(lambda: not recorder.health.ok, "the warning")
        assert recorder.health.warning is WarningCode.DISK_FULL
        assert "must stay free" in recorder.health.detail
    (row,) = rows(tmp_path)
    assert row.views[0].image_path is None
    assert "must stay free" in str(row.views[0].image_skipped)
    with closing(open_reader(tmp_path)) as reader:
        assert [event.kind for event in events(reader)] == ["images_skipped"]


def test_row_whose_image_is_gone_is_corrected_at_the_next_start(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.inspected(1, Verdict.FAIL))
        recorder.record(MAKE.inspected(2, Verdict.FAIL))
    (tmp_path / str(rows(tmp_path)[0].views[0].image_path)).unlink()
    (tmp_path / str(rows(tmp_path)[0].views[0].map_path)).unlink()
    with recording(tmp_path, session="s2") as recorder:
        assert recorder.flush(20)
    assert [(row.views[0].image_path is None, row.views[0].image_deleted) for row in rows(tmp_path)] == [
        (True, True),
        (False, False),
    ]


def test_damaged_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(RecordingError, match="move the file away"):
        Recorder(RecorderSettings(tmp_path), "s1").start()


def test_database_of_a_newer_station_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(RecordingError, match="schema version 99"):
        Recorder(RecorderSettings(tmp_path), "s1").start()
    with pytest.raises(RecordingError, match="schema version 99"):
        open_reader(tmp_path)


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="cannot be made"):
        Recorder(RecorderSettings(tmp_path / "file"), "s1").start()


def test_reader_cannot_write(tmp_path: Path) -> None:
    with recording(tmp_path), closing(open_reader(tmp_path)) as reader, pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM parts")


def test_reader_without_records_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read"):
        open_reader(tmp_path)


def test_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_flat_map_can_be_stored() -> None:
    data, scale = encode_map(np.full((3, 5), 2.5, np.float32))
    np.testing.assert_array_equal(decode_map(bytes(data), scale), np.full((3, 5), 2.5, np.float32))


def test_unreadable_map_and_empty_image_are_told() -> None:
    with pytest.raises(ImageError, match="not a readable image"):
        decode_map(b"none", MapScale(0, 1))
    with pytest.raises(ImageError, match="cannot be encoded"):
        encode_png(np.empty((0, 0), np.uint8))
