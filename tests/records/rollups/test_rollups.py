"""Rollups say exactly what the rows say, whatever is asked, and however they were taken in."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.records.rollups import counting, taking_in
from station.records.rollups.counting import counted_with, spans_of
from station.records.rollups.taking_in import FILE, MOST_ROWS, QUARTER_S, as_left, opened, take_in
from station.records.schema import DATABASE_FILE, open_reader, open_writer
from station.records.selection import Kind, Selection, counted, page_of
from station.results import Verdict
from tests.bench.many_parts import NOW, OLD_RECIPE, RARE_REASON, RARE_RECIPE, STEP_S, ManyParts, fill

COUNT = 60_000
KINDS: tuple[Kind, ...] = ("minute", "recipe", "reason", "engine")
FAIL, PASS, REVIEW, ERROR = Verdict.FAIL, Verdict.PASS, Verdict.REVIEW, Verdict.ERROR


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ManyParts:
    made = fill(tmp_path_factory.mktemp("many"), COUNT)
    with closing(sqlite3.connect(made.folder / DATABASE_FILE)) as connection, connection:
        connection.execute(
            "UPDATE parts SET extra = json_set(extra, '$.batch', 1 + id / 9000) WHERE id BETWEEN 20000 AND 45000"
        )
    return made


@pytest.fixture(scope="module")
def rollups(made: ManyParts) -> Iterator[sqlite3.Connection]:
    with opened(made.folder / FILE) as rollups, closing(open_reader(made.folder)) as records:
        assert take_in(rollups, records, 60.0)
        yield rollups


def random_selection(draw: random.Random) -> Selection:
    begin = NOW - COUNT * STEP_S
    since, until = sorted(draw.uniform(begin - 900, NOW + 900) for _ in range(2))
    return Selection(
        since=draw.choice([None, since, since // QUARTER_S * QUARTER_S]),
        until=draw.choice([None, until, until // QUARTER_S * QUARTER_S]),
        verdicts=draw.choice([(), (FAIL,), (PASS,), (PASS, ERROR), (REVIEW, FAIL), (ERROR, FAIL, REVIEW)]),
        recipe=draw.choice([None, None, "flange", OLD_RECIPE, RARE_RECIPE, "nobody"]),
        reason=draw.choice(
            [None, None, ReasonCode(10), ReasonCode(13), ReasonCode(RARE_REASON), ReasonCode.LOST_FRAME]
        ),
        production=draw.choice([True, True, False]),
        batch=draw.choice([None, None, 3, 5, 77]),
    )


@pytest.mark.parametrize("seed", range(12))
def test_they_equal_a_full_count(made: ManyParts, rollups: sqlite3.Connection, seed: int) -> None:
    draw = random.Random(seed)
    with closing(open_reader(made.folder)) as records:
        for _ in range(5):
            selection, kind = random_selection(draw), draw.choice(KINDS)
            rows = counted(records, selection, kind)
            if kind == "minute":  # to the quarter of an hour
                quarters: dict[tuple[int, Verdict], int] = {}
                for minute, verdict, number in rows:
                    key = (minute // 15 * 15, verdict)
                    quarters[key] = quarters.get(key, 0) + number
                found: dict[tuple[int, Verdict], int] = {}
                for minute, verdict, number in counted_with(rollups, records, selection, kind):
                    key = (minute // 15 * 15, verdict)
                    found[key] = found.get(key, 0) + number
                assert found == quarters, selection
            else:
                assert counted_with(rollups, records, selection, kind) == rows, (selection, kind)


def test_all_of_them_without_a_row_being_read(made: ManyParts, rollups: sqlite3.Connection) -> None:
    with closing(open_reader(made.folder)) as records:
        assert sum(number for *_, number in counted_with(rollups, records, Selection(), "recipe")) == COUNT
        read: list[str] = []
        records.set_trace_callback(read.append)
        counted_with(rollups, records, Selection(production=True), "reason")
        assert len(read) == 2, "the end of the step, and what is not taken in yet"
        assert all("id > 60000" in one for one in read)


@pytest.mark.parametrize("seed", range(4))
def test_those_that_another_process_left_behind_count_with_the_rows_that_came_since(
    made: ManyParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A command reads what the pages have counted, in steps that hold up nobody, however old it is."""
    draw = random.Random(200 + seed)
    monkeypatch.setattr(taking_in, "MOST_ROWS", 1 + draw.randrange(COUNT))
    monkeypatch.setattr(counting, "MOST_ROWS", 7000)
    with opened(tmp_path / FILE) as rollups, closing(open_reader(made.folder)) as records:
        take_in(rollups, records, 0.0)
    with closing(open_reader(made.folder)) as records, as_left(tmp_path / FILE, records) as left:
        assert left is not None
        for _ in range(3):
            selection, kind = random_selection(draw), draw.choice(KINDS[1:])
            assert counted_with(left, records, selection, kind) == counted(records, selection, kind), selection
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            left.execute("DELETE FROM rollups")


def test_those_of_other_records_and_of_another_version_are_not_used(made: ManyParts, tmp_path: Path) -> None:
    fill(tmp_path / "other", 900, now=NOW - 1000)
    with closing(sqlite3.connect(tmp_path / "other" / DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE parts SET session = 'elsewhere'")
    with opened(tmp_path / FILE) as rollups, closing(open_reader(tmp_path / "other")) as records:
        assert take_in(rollups, records, 60.0)
    with closing(open_reader(made.folder)) as records:
        for file in (tmp_path / FILE, tmp_path / "none.db"):
            with as_left(file, records) as left:
                assert left is None
    with closing(open_reader(tmp_path / "other")) as records, as_left(tmp_path / FILE, records) as left:
        assert left is not None


@pytest.mark.parametrize("seed", range(6))
def test_a_page_through_the_quarters_that_hold_its_parts_is_the_page(
    made: ManyParts, rollups: sqlite3.Connection, seed: int
) -> None:
    draw = random.Random(100 + seed)
    with closing(open_reader(made.folder)) as records:
        for _ in range(5):
            selection, limit = random_selection(draw), draw.choice([1, 20, 400])
            before = draw.choice([None, (NOW - draw.uniform(0, COUNT * STEP_S), 2**40)])
            whole = page_of(records, selection, limit, before)
            spans = spans_of(
                rollups, selection, newer=False, beyond=None if before is None else before[0], at_least=limit
            )
            assert page_of(records, selection, limit, before, spans=spans) == whole, selection


def test_what_came_since_is_counted_from_its_rows_and_taken_in_once(tmp_path: Path) -> None:
    fill(tmp_path, 2000)
    with opened(tmp_path / FILE) as rollups, closing(open_reader(tmp_path)) as records:
        assert take_in(rollups, records, 60.0)
        with closing(open_writer(tmp_path / DATABASE_FILE)) as writer:
            writer.execute(
                "INSERT INTO parts SELECT 3000, session, 9999, 9999, source, encoder_count, wall_time, signalled_ms, "
                "verdict, reasons, score, reject_score, defect_area_mm2, engine_id, recipe, recipe_checksum, "
                "config_checksum, challenge, late, late_verdict, recovered, extra FROM parts WHERE id = 1000"
            )
        for _ in range(2):
            assert sum(n for *_, n in counted_with(rollups, records, Selection(), "recipe")) == 2001
            assert take_in(rollups, records, 60.0)
        assert rollups.execute("SELECT SUM(n) FROM rollups").fetchone() == (2001,)


def test_in_short_steps_that_can_be_given_up_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 1000)
    monkeypatch.setattr(taking_in, "MOST_ROWS", 300)
    assert MOST_ROWS == 20_000
    with opened(tmp_path / FILE) as rollups, closing(open_reader(tmp_path)) as records:
        ended = [take_in(rollups, records, 0.0) for _ in range(4)]
        assert ended == [False, False, False, True]
        assert rollups.execute("SELECT SUM(n) FROM rollups").fetchone() == (1000,)


def test_what_retention_takes_stays_in_them(tmp_path: Path) -> None:
    fill(tmp_path, 1000)
    with opened(tmp_path / FILE) as rollups, closing(open_reader(tmp_path)) as records:
        take_in(rollups, records, 60.0)
        with closing(open_writer(tmp_path / DATABASE_FILE)) as writer:
            writer.execute("DELETE FROM views WHERE part <= 400")
            writer.execute("DELETE FROM parts WHERE id <= 400")
        take_in(rollups, records, 60.0)
        assert sum(n for *_, n in counted_with(rollups, records, Selection(), "recipe")) == 1000


def test_other_records_begin_them_anew(tmp_path: Path) -> None:
    fill(tmp_path / "old", 1500)
    fill(tmp_path / "new", 800, now=NOW - 1000)
    with opened(tmp_path / FILE) as rollups:
        for folder, count in (("old", 1500), ("new", 800), ("old", 1500)):
            with closing(open_reader(tmp_path / folder)) as records:
                take_in(rollups, records, 60.0)
                assert sum(n for *_, n in counted_with(rollups, records, Selection(), "recipe")) == count


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    fill(tmp_path, 500)
    (tmp_path / FILE).write_bytes(b"this is no database, and is longer than a header of one" * 50)
    with opened(tmp_path / FILE) as rollups, closing(open_reader(tmp_path)) as records:
        assert take_in(rollups, records, 60.0)
        assert rollups.execute("SELECT SUM(n) FROM rollups").fetchone() == (500,)
