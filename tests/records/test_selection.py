"""Parts page by page: every part once, neighbours, and plans that read what they return."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from station.line.recording.stage import Recorder, RecorderSettings
from station.records.schema import open_reader
from station.records.selection import Mark, Selection, mark_of, neighbour, newest_of, page_of, recorded_after
from station.results import Verdict
from tests.bench.pages import some_parts

NOT_PASSED = Selection(verdicts=(Verdict.FAIL, Verdict.REVIEW))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    recorder = Recorder(RecorderSettings(folder, pass_image_share=0.0, min_free_mb=0), "s1")
    recorder.start()
    for part in some_parts(count=30):
        recorder.record(part)
    assert recorder.stop(20)
    return folder


@pytest.fixture
def connection(records: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_reader(records)) as connection:
        yield connection


@pytest.mark.parametrize("selection", [Selection(), NOT_PASSED, Selection(since=1_800_000_010.0)])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_pages_hold_every_part_once_newest_first(
    connection: sqlite3.Connection, selection: Selection, size: int
) -> None:
    seen: list[int] = []
    mark: Mark | None = None
    while page := page_of(connection, selection, size, mark):
        assert len(page) <= size
        seen += [row.part_id for _, row in page]
        mark = page[-1][0]
    assert seen == [row.part_id for row in reversed(newest_of(connection, selection, 100))]
    assert len(seen) > 10


def test_neighbours_are_those_of_the_selection(connection: sqlite3.Connection) -> None:
    order = [row for _, row in page_of(connection, NOT_PASSED, 100)]
    for newer, row, older in zip([None, *order], order, [*order[1:], None], strict=False):
        mark = mark_of(connection, row)
        assert neighbour(connection, NOT_PASSED, mark, newer=True) == newer
        assert neighbour(connection, NOT_PASSED, mark, newer=False) == older


@pytest.mark.parametrize(
    ("selection", "index"),
    [
        (Selection(), "parts_by_time"),
        (Selection(since=5.0, until=9e9, recipe="x"), "parts_by_recipe"),
        (Selection(part_id=1004), "parts_by_id_and_time"),
        (NOT_PASSED, "parts_by_verdict"),
    ],
)
def test_no_page_scans_all_parts(connection: sqlite3.Connection, selection: Selection, index: str) -> None:
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    page_of(connection, selection, 50, (1_900_000_000.0, 5))
    connection.set_trace_callback(None)
    plan = " / ".join(str(row["detail"]) for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[0]}"))
    assert index in plan
    assert "SCAN parts" not in plan


def test_what_was_recorded_is_followed_in_bounded_looks(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few parts a filter lets through, a look ends; and who goes on behind it misses none."""
    monkeypatch.setattr("station.records.selection.STEP_ROWS", 4)
    whole = [row for _, row in reversed(page_of(connection, NOT_PASSED, 100))]
    for limit in (1, 3, 100):
        seen, after, looks = [], 0, 0
        while True:
            rows, reached = recorded_after(connection, NOT_PASSED, after, limit)
            if reached == after:
                break
            seen += [row for _, row in rows]
            after, looks = reached, looks + 1
        assert seen == whole
        assert looks > 5
    assert recorded_after(connection, NOT_PASSED, 10_000, 5) == ([], 10_000)
