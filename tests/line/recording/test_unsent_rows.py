"""What the plant was not sent yet stays for a while, but never at the cost of the disk; what goes unsent is said."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from station.forwarding.progress import Cursor, Cursors, forwarding_beside
from station.line.recording.row_retention import PASS_INTERVAL_S, RowRetention
from station.line.recording.writer import RecordWriter
from station.records.schema import DATABASE_FILE, open_reader
from tests.line.recording.test_row_retention import DAY, NOW, counted, fill

HOUR_STEP = DAY / 100


class Housekeeping:
    """A retention of 2 days over 10 days of parts, whose clock has not been set for an hour."""

    def __init__(self, directory: Path, *, budget_mb: int = 10_000, keep_unsent_days: int | None = 7) -> None:
        self.directory = directory
        self.monotonic = 0.0
        self.retention = RowRetention(
            directory, "s1", keep_days=2, budget_mb=budget_mb, remove_images=lambda _: None,
            keep_unsent_days=keep_unsent_days, clocks=(lambda: NOW + self.monotonic, lambda: self.monotonic),
        )  # fmt: skip

    def work(self) -> list[tuple[str, str]]:
        """Kinds and details of what is said in the next pass."""
        self.retention.step()
        self.monotonic += PASS_INTERVAL_S
        writer = RecordWriter(self.directory / DATABASE_FILE)
        writer.open()
        for _ in range(30):  # more than a pass has batches
            if statements := self.retention.step():
                assert writer.write(statements) == []
        writer.close()
        return [(note.kind, note.detail) for note in self.retention.notes()]

    def oldest_days(self) -> float:
        with closing(open_reader(self.directory)) as connection:
            first = connection.execute("SELECT min(wall_time) FROM parts").fetchone()[0]
        return float((NOW - first) / DAY)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    folder = tmp_path / "records"
    folder.mkdir()
    fill(folder, 1000, step_s=HOUR_STEP)
    return folder


def sent(records: Path, last_id: int) -> None:
    with closing(Cursors(forwarding_beside(records))) as cursors:
        cursors.place("webhook", Cursor(last_id, "old", last_id - 1))


def test_what_was_sent_goes_by_its_age(records: Path) -> None:
    sent(records, 1000)
    said = Housekeeping(records).work()
    assert counted(records)[0] == pytest.approx(200, abs=10)
    assert [kind for kind, _ in said] == ["rows_deleted"]


def test_what_was_not_sent_stays_for_its_days_and_what_goes_then_is_said(records: Path) -> None:
    sent(records, 100)
    keeping = Housekeeping(records)
    said = keeping.work()
    assert keeping.oldest_days() == pytest.approx(7, abs=0.2)
    assert [kind for kind, _ in said] == ["rows_deleted", "parts_not_sent"]
    gone = 1000 - counted(records)[0]
    assert said[1][1].startswith(f"{gone - 100} parts were deleted that were not sent to the plant")
    sent(records, 1000)
    keeping.work()
    assert counted(records)[0] == pytest.approx(200, abs=20), "once sent, they go"


def test_the_disk_wins_over_the_plant(records: Path) -> None:
    fill_more = "x" * 20_000
    for file in records.glob("*"):
        file.unlink()
    fill(records, 1000, step_s=60.0, extra=f'{{"x": "{fill_more}"}}')
    sent(records, 10)
    said = Housekeeping(records, budget_mb=5).work()
    assert counted(records)[0] <= 500
    assert [kind for kind, _ in said] == ["rows_deleted", "parts_not_sent"]


@pytest.mark.parametrize("state", ["off", "never", "broken"])
def test_nothing_waits_for_a_connector_that_is_not_there(records: Path, state: str) -> None:
    if state != "never":
        sent(records, 100)
    if state == "broken":
        for file in forwarding_beside(records).parent.glob("plant.db*"):
            file.unlink()
        forwarding_beside(records).write_bytes(b"x" * 5000)
    keeping = Housekeeping(records, keep_unsent_days=None if state == "off" else 7)
    said = keeping.work()
    kinds = [kind for kind, _ in said]
    if state == "broken":
        assert keeping.oldest_days() == pytest.approx(7, abs=0.2), "not known: what is young enough stays"
        assert kinds == ["rows_deleted", "parts_not_sent"]
    else:
        assert counted(records)[0] == pytest.approx(200, abs=10)
        assert kinds == ["rows_deleted"]
