"""What comes into the queue: every part in REVIEW, and of the others a random sample whose pictures are kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from station.labels import intake
from station.labels.intake import FIRST_S, ReviewRules, take_in
from station.labels.schema import LABELS_FILE, open_writer
from station.records import schema as records
from station.records.engines.shadows import ShadowRow, ShadowRun, insert_shadow, upsert_run
from station.records.parts import insert_part, part_row
from station.records.sample import in_sample
from station.results import Verdict
from tests.bench.sample_parts import WALL_TIME, PartMaker

RULES = ReviewRules(due_s=600, pass_share=0.2, fail_share=0.5, blind_share=0.3)
NOW = WALL_TIME + 1000


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / LABELS_FILE)) as connection:
        yield connection


@pytest.fixture
def written(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(records.open_writer(tmp_path / records.DATABASE_FILE)) as connection:
        connection.execute("INSERT INTO sessions (session) VALUES ('s1')")
        connection.row_factory = sqlite3.Row
        yield connection


def write(connection: sqlite3.Connection, numbers: range, verdict: Verdict, *, image: bool = True) -> None:
    for number in numbers:
        part = insert_part(part_row(PartMaker().inspected(number, verdict)))
        for statement in (part, *part.dependent):
            connection.execute(statement.sql, statement.values)
    if image:
        connection.execute("UPDATE views SET image_path = part || '.png'")


def queued(labels: sqlite3.Connection) -> dict[int, str]:
    return dict(labels.execute("SELECT acquisition_id, why FROM items ORDER BY acquisition_id").fetchall())


def test_all_reviews_and_a_random_sample_of_the_rest(labels: sqlite3.Connection, written: sqlite3.Connection) -> None:
    write(written, range(1, 101), Verdict.PASS)
    write(written, range(101, 121), Verdict.FAIL)
    write(written, range(121, 126), Verdict.REVIEW)
    write(written, range(126, 131), Verdict.ERROR)
    passed = [number for number in range(1, 101) if in_sample("s1", number, 0.2)]
    failed = [number for number in range(101, 121) if in_sample("s1", number, 0.5)]
    expected = {**dict.fromkeys([*passed, *failed], "sample"), **dict.fromkeys(range(121, 126), "review")}
    assert take_in(labels, written, RULES, NOW) == (len(expected), True)
    assert queued(labels) == expected
    due = labels.execute("SELECT due_at - wall_time FROM items WHERE why = 'review'").fetchall()
    assert {value for (value,) in due} == {600.0}
    needs = [value for (value,) in labels.execute("SELECT needs FROM items")]
    assert 0 < needs.count(2) < len(needs) / 2


def test_what_is_new_is_taken_in_once(labels: sqlite3.Connection, written: sqlite3.Connection) -> None:
    write(written, range(1, 4), Verdict.REVIEW)
    assert [take_in(labels, written, RULES, NOW)[0] for _ in range(2)] == [3, 0]
    write(written, range(4, 6), Verdict.REVIEW)
    assert take_in(labels, written, RULES, NOW) == (2, True)
    assert set(queued(labels)) == {1, 2, 3, 4, 5}


def test_without_a_picture_and_in_a_challenge_test_there_is_nothing_to_review(
    labels: sqlite3.Connection, written: sqlite3.Connection
) -> None:
    write(written, range(51, 53), Verdict.REVIEW)
    write(written, range(1, 51), Verdict.PASS, image=False)
    written.execute("UPDATE parts SET challenge = 1 WHERE acquisition_id = 51")
    take_in(labels, written, RULES, NOW)
    assert queued(labels) == {52: "review"}


def test_the_first_time_begins_a_day_ago_and_replaced_records_begin_anew(
    labels: sqlite3.Connection, written: sqlite3.Connection
) -> None:
    write(written, range(1, 11), Verdict.REVIEW)
    assert take_in(labels, written, RULES, WALL_TIME + FIRST_S + 5.5) == (5, True)
    written.execute("DELETE FROM views")
    written.execute("DELETE FROM parts")
    write(written, range(11, 13), Verdict.REVIEW)
    assert take_in(labels, written, RULES, NOW) == (2, True), "their rows have the numbers of the old ones"
    assert set(queued(labels)) == {6, 7, 8, 9, 10, 11, 12}


def test_a_part_that_a_shadow_judges_otherwise_is_asked_about_once(
    labels: sqlite3.Connection, written: sqlite3.Connection
) -> None:
    """Only such parts, never a master part, and a part of the random sample stays one."""
    write(written, range(1, 41), Verdict.PASS)
    drawn = next(number for number in range(1, 41) if in_sample("s1", number, RULES.pass_share))
    other = next(number for number in range(1, 41) if not in_sample("s1", number, RULES.pass_share))
    run = ShadowRun(7, "shadow", "0002-b", "b", "a", "disc", "c", "anna")
    said = {drawn: "FAIL", other: "REVIEW"}
    rows = [ShadowRow(7, "s1", n, n, WALL_TIME, 0, "PASS", 0.1, said.get(n, "PASS"), 0.9, "", 1) for n in range(1, 41)]
    rows.append(ShadowRow(7, "s1", 99, 99, WALL_TIME, 3, "FAIL", 0.9, "PASS", 0.1, "", 1))
    rows.append(ShadowRow(7, "s1", 98, 98, WALL_TIME, 0, "PASS", 0.1, "ERROR", None, "", 1))
    for statement in (upsert_run(run), *map(insert_shadow, rows)):
        written.execute(statement.sql, statement.values)
    take_in(labels, written, RULES, NOW)
    why = queued(labels)
    assert (why[drawn], why[other]) == ("sample", "shadow")
    assert list(why.values()).count("shadow") == 1
    assert not why.keys() & {98, 99}
    assert take_in(labels, written, RULES, NOW) == (0, True)


def test_much_that_is_new_is_taken_in_bit_by_bit(
    labels: sqlite3.Connection, written: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a weekend no page waits until all of it is there."""
    write(written, range(1, 6), Verdict.REVIEW)
    monkeypatch.setattr(intake, "MOST_ROWS", 1)
    assert [take_in(labels, written, RULES, NOW, 0.0) for _ in range(3)] == [(1, False)] * 3
    assert take_in(labels, written, RULES, NOW) == (2, True)
