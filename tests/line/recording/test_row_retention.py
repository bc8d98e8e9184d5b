"""Rows have a retention of their own: by age and by size, in small batches, and never a part that somebody needs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from station.labels import labels as labelling
from station.labels.quarantine import keep, release
from station.labels.schema import labels_beside
from station.labels.schema import open_writer as open_labels
from station.labels.writing import Reviewer
from station.line.recording.row_retention import BATCH_ROWS, PASS_INTERVAL_S, RowRetention
from station.line.recording.writer import RecordWriter
from station.records.events import events
from station.records.old_rows import used_bytes
from station.records.parts import parts
from station.records.schema import DATABASE_FILE, open_reader, open_writer
from station.records.sessions import session_started
from station.results import Verdict
from tests.bench.waiting import wait_for
from tests.line.recording.recording_bench import MAKE, recording, rows

DAY = 86_400.0
NOW = 1_800_000_000.0
MB = 1_000_000

PARTS = """WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :count - 1)
    INSERT INTO parts (session, acquisition_id, part_id, source, encoder_count, wall_time, verdict, reasons, engine_id,
        recipe, recipe_checksum, config_checksum, late, recovered, extra)
    SELECT 'old', i, i, 'line', 0, :end - :step * (:count - i), 'PASS', '[]', 'e', 'r', '', 'c', 0, 0, :extra FROM n"""
VIEWS = """INSERT INTO views (part, camera, frame_id, verdict, reasons, regions)
    SELECT id, 'top', acquisition_id, 'PASS', '[]', '[]' FROM parts WHERE session = 'old'"""
EVENTS = """INSERT INTO events (session, wall_time, kind, level, detail)
    SELECT 'old', wall_time, 'missed', 'warning', '' FROM parts WHERE session = 'old' AND acquisition_id % 10 = 0"""
EJECTIONS = """INSERT INTO ejections
    (session, acquisition_id, part_id, ejector, wall_time, error, unit, reason, confirmed)
    SELECT session, acquisition_id, part_id, 1, wall_time, 0, 'ms', 10, 1 FROM parts
    WHERE session = 'old' AND acquisition_id % 100 = 0"""


def fill(directory: Path, count: int, *, step_s: float, extra: str = "{}") -> None:
    """`count` parts up to now, one in `step_s`; an event of each tenth, an ejection of each hundredth."""
    with closing(open_writer(directory / DATABASE_FILE)) as connection:
        connection.execute("BEGIN")
        for statement in session_started("old", NOW):
            connection.execute(statement.sql, statement.values)
        connection.execute(PARTS, {"count": count, "end": NOW, "step": step_s, "extra": extra})
        for sql in (VIEWS, EVENTS, EJECTIONS):
            connection.execute(sql)
        connection.execute("COMMIT")


def counted(directory: Path) -> tuple[int, ...]:
    """Parts, views, events `missed`, ejections."""
    with closing(open_reader(directory)) as connection:
        tables = "parts", "views", "events WHERE kind = 'missed'", "ejections"
        return tuple(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


@dataclass
class Housekeeping:
    """The retention of a folder with a clock that only the test turns, and the writer that carries it out."""

    directory: Path
    keep_days: int = 730
    budget_mb: int = 10_000
    wall: float = NOW
    monotonic: float = 0.0
    removed: list[str] = field(default_factory=list)
    transactions: list[int] = field(default_factory=list)
    """The most rows of a table that each of them has deleted."""

    def __post_init__(self) -> None:
        self.retention = RowRetention(
            self.directory,
            "s1",
            keep_days=self.keep_days,
            budget_mb=self.budget_mb,
            remove_images=self.removed.extend,
            clocks=(lambda: self.wall, lambda: self.monotonic),
        )

    def pass_time(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds

    def work(self) -> list[str]:
        """Everything that is to be done now; returns what is said."""
        writer = RecordWriter(self.directory / DATABASE_FILE)
        writer.open()
        while statements := self.retention.step():
            assert writer.write(statements) == []
            self.transactions.append(max(len(json.loads(statement.values["ids"])) for statement in statements))
        writer.close()
        return [note.detail for note in self.retention.notes()]

    def work_after_an_hour(self) -> list[str]:
        assert self.work() == []
        self.pass_time(PASS_INTERVAL_S)
        return self.work()


def test_rows_that_are_older_go_in_small_batches(tmp_path: Path) -> None:
    fill(tmp_path, 200_000, step_s=DAY / 1000)  # the last 200 days
    keeping = Housekeeping(tmp_path, keep_days=190)
    said = keeping.work_after_an_hour()
    kept = counted(tmp_path)
    assert kept[0] == kept[1]
    assert kept == pytest.approx((190_000, 190_000, 19_000, 1_900), abs=100)  # an hour has passed: 42 more
    assert said == [
        f"{200_000 - kept[0]} parts, {20_000 - kept[2]} events and {2_000 - kept[3]} ejections were deleted: older "
        "than keep_rows_days"
    ]
    assert max(keeping.transactions) <= BATCH_ROWS
    assert len(keeping.transactions) >= 20
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT min(wall_time) FROM parts").fetchone()[0] >= keeping.wall - 190 * DAY
    assert keeping.work() == []  # until the next hour
    keeping.pass_time(DAY)
    assert "1000 parts, 100 events and 10 ejections" in keeping.work()[0]


def test_rows_that_take_too_much_go_oldest_first(tmp_path: Path) -> None:
    fill(tmp_path, 40_000, step_s=60.0, extra='{"x": "' + "x" * 200 + '"}')
    keeping = Housekeeping(tmp_path, budget_mb=8)
    said = keeping.work()  # at once: age has no part in it
    count, views, missed, ejected = counted(tmp_path)
    assert 4_000 < count < 36_000
    assert views == count
    assert (missed, ejected) == pytest.approx((count / 10, count / 100), abs=BATCH_ROWS)
    with closing(open_reader(tmp_path)) as connection:
        assert used_bytes(connection) <= 8 * MB
        assert next(row.acquisition_id for row in parts(connection)) == 40_000 - count
    assert said == [
        f"{40_000 - count} parts, {4_000 - missed} events and {400 - ejected} ejections were deleted: the rows took "
        "more than rows_budget_mb"
    ]
    assert max(keeping.transactions) <= BATCH_ROWS


def test_missed_triggers_alone_are_bounded_too(tmp_path: Path) -> None:
    fill(tmp_path, 50_000, step_s=1.0)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection, connection:
        for table in ("ejections", "views", "parts"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute(
            "INSERT INTO events (session, wall_time, kind, level, detail) "
            "SELECT e.session, e.wall_time, 'missed', 'warning', printf('%0200d', 0) "
            "FROM events AS e, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)"
        )
    Housekeeping(tmp_path, budget_mb=5).work()
    with closing(open_reader(tmp_path)) as connection:
        assert 0 < used_bytes(connection) <= 5 * MB
    assert counted(tmp_path)[2] > 1000


def label(directory: Path, *chosen: int) -> None:
    with closing(open_reader(directory)) as reader:
        found = {row.acquisition_id: row for row in parts(reader) if row.acquisition_id in chosen}
    with closing(open_labels(labels_beside(directory))) as connection:
        for number in chosen:
            labelling.decide(connection, found[number], "defective", Reviewer("anna", "operator"))


def test_a_part_with_a_label_stays(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    fill(records, 3000, step_s=DAY)
    label(records, 5, 700, 2000)
    with closing(open_labels(labels_beside(records))) as connection, closing(open_reader(records)) as reader:
        withdrawn = next(row for row in parts(reader) if row.acquisition_id == 700)
        labelling.withdraw(connection, withdrawn, Reviewer("anna", "operator"))  # it was said all the same
    keeping = Housekeeping(records, keep_days=500)
    keeping.work_after_an_hour()
    with closing(open_reader(records)) as connection:
        numbers = [row.acquisition_id for row in parts(connection)]
    assert numbers[:3] == [5, 700, 2000]
    assert numbers[3:] == list(range(2501, 3000))


def test_a_part_in_the_quarantine_stays_until_it_is_released(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    fill(records, 3000, step_s=DAY)
    anna = Reviewer("anna", "quality")
    with closing(open_labels(labels_beside(records))) as connection, closing(open_reader(records)) as reader:
        found = {row.acquisition_id: row for row in parts(reader) if row.acquisition_id in (7, 900)}
        keep(connection, found[7], anna, "customer's complaint")
        keep(connection, found[900], anna, "another one")
        release(connection, found[900], anna, "settled")
    keeping = Housekeeping(records, keep_days=500)
    keeping.work_after_an_hour()
    with closing(open_reader(records)) as connection:
        numbers = [row.acquisition_id for row in parts(connection)]
    assert numbers == [7, *range(2501, 3000)]


def test_labels_of_before_the_quarantine_are_read(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    fill(records, 600, step_s=DAY)
    label(records, 5)
    with closing(sqlite3.connect(labels_beside(records))) as connection:
        connection.execute("DROP VIEW quarantined")
        connection.execute("DROP TABLE quarantine")
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    keeping = Housekeeping(records, keep_days=500)
    keeping.work_after_an_hour()
    assert counted(records)[0] == 500


def test_where_all_must_stay_it_is_said(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    fill(records, 40, step_s=1.0, extra='{"x": "' + "x" * 100_000 + '"}')
    label(records, *range(40))
    keeping = Housekeeping(records, budget_mb=1)
    assert keeping.work()[-1:] == [
        "the rows take more than rows_budget_mb = 1: all 40 parts have labels or are in the quarantine"
    ]
    assert counted(records)[0] == 40


def test_labels_that_cannot_be_read_keep_all(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    fill(records, 100, step_s=DAY)
    keeping = Housekeeping(records, keep_days=10)
    labels_beside(records).write_bytes(b"no database at all, but some text that is long enough" * 100)
    with capture_logs() as logs:
        assert keeping.work_after_an_hour() == []
    assert [line["event"] for line in logs] == ["old rows stay for now"] * 2
    assert counted(records)[0] == 100
    labels_beside(records).unlink()
    keeping.pass_time(PASS_INTERVAL_S)
    assert keeping.work() != []


def test_a_clock_that_was_just_set_deletes_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 100, step_s=DAY)
    keeping = Housekeeping(tmp_path, keep_days=1000)
    keeping.wall += 5000 * DAY  # a wrong date, which is corrected half an hour later
    assert keeping.work() == []
    keeping.pass_time(PASS_INTERVAL_S / 2)
    keeping.wall -= 5000 * DAY
    keeping.pass_time(PASS_INTERVAL_S / 2)
    assert keeping.work() == []
    keeping.pass_time(PASS_INTERVAL_S)
    assert keeping.work() == []
    assert counted(tmp_path)[0] == 100


def test_a_station_deletes_between_its_own_rows(tmp_path: Path) -> None:
    """Rows are written meanwhile, the images of old parts go with their rows, and the event says how many went."""
    with recording(tmp_path) as recorder:
        recorder.record(MAKE.inspected(1, Verdict.FAIL))
        assert recorder.flush(20)
    (image,) = tmp_path.glob("images/*/*-top.png")
    fill(tmp_path, 20_000, step_s=1.0)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE parts SET wall_time = 1 WHERE session = 's1'")
    with recording(tmp_path, session="s2", rows_budget_mb=2) as recorder:
        for number in range(2, 42):
            recorder.record(MAKE.inspected(number, Verdict.PASS))
            assert recorder.flush(20)

        def deleted() -> list[str]:
            with closing(open_reader(tmp_path)) as connection:
                return [event.detail for event in events(connection, kind="rows_deleted")]

        wait_for(lambda: len(deleted()) == 1, "the rows that are too many are deleted")
        assert recorder.health.ok
    assert "were deleted: the rows took more than rows_budget_mb" in deleted()[0]
    assert not image.exists()
    assert not list(tmp_path.glob("images/*/*-000001-*"))
    left = rows(tmp_path)
    assert [row.acquisition_id for row in left if row.session == "s1"] == list(range(2, 42))
    assert 0 < sum(row.session == "old" for row in left) < 20_000
