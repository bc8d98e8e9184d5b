"""What a power cut may take: not what was committed, and the next start says what else may be missing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from station.line.recording.journal import Journal
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.events import events
from station.records.images import is_whole_png, write_atomic
from station.records.schema import DATABASE_FILE, open_reader, open_writer
from station.results import Verdict
from tests.line.recording.recording_bench import MAKE, recording, rows

FULL = 2


def test_each_transaction_is_synced(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / DATABASE_FILE)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (FULL,)


def test_an_image_is_synced_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda _fd: synced.append(sorted(path.name for path in tmp_path.iterdir())))
    write_atomic(tmp_path / "image.png", b"data")
    assert synced == [["image.png.tmp"]]
    assert (tmp_path / "image.png").read_bytes() == b"data"


def test_an_image_that_is_empty_is_no_image_at_the_next_start(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        for number in (1, 2, 3):
            recorder.record(MAKE.inspected(number, Verdict.FAIL))
    first, second, third = (row.views[0] for row in rows(tmp_path))
    (tmp_path / str(first.image_path)).write_bytes(b"")
    (tmp_path / str(second.map_path)).write_bytes(b"")
    with recording(tmp_path, session="s2") as recorder:
        assert recorder.flush(20)
    assert [row.views[0].image_deleted for row in rows(tmp_path)] == [True, True, False]
    assert [path.stat().st_size > 0 for path in tmp_path.rglob("*.png")] == [True, True]
    assert is_whole_png(tmp_path / str(third.image_path))


def started(directory: Path, session: str) -> list[str]:
    """Starts a station's recording, as the daemon does; the events that it leaves."""
    with Journal(directory / "journal.bin", session) as journal:
        recorder = Recorder(RecorderSettings(directory, min_free_mb=0), session, on_committed=journal.commit)
        recorder.start()
        if journal.is_new:
            recorder.journal_is_new()
        assert recorder.stop(20)
    with closing(open_reader(directory)) as reader:
        return [event.detail for event in events(reader, session=session, kind="power_cut")]


def forget_the_end(directory: Path, session: str) -> None:
    with closing(sqlite3.connect(directory / DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE sessions SET clean = NULL WHERE session = ?", [session])


def test_the_next_start_says_what_may_be_missing(tmp_path: Path) -> None:
    assert started(tmp_path, "s1") == []
    assert started(tmp_path, "s2") == []  # the one before ended in order
    forget_the_end(tmp_path, "s2")
    (said,) = started(tmp_path, "s3")  # and the journal has gone with the memory
    assert "session s2" in said
    assert "may be missing" in said


def test_a_kill_keeps_the_journal_and_nothing_is_missing(tmp_path: Path) -> None:
    assert started(tmp_path, "s1") == []
    forget_the_end(tmp_path, "s1")
    journal = Journal(tmp_path / "journal.bin", "s1")
    journal.open_part(MAKE.without_frame(1).part)
    journal.close()
    assert started(tmp_path, "s2") == []
