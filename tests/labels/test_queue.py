"""The review queue: nobody gets a part twice, two people never the same one, and labels follow from what was said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from station.labels.dispositions import dispositions
from station.labels.labels import decide, read_labels
from station.labels.queue import (
    LEASE_S,
    Item,
    NewItem,
    ask,
    enqueue,
    find,
    item_of,
    postpone,
    renew,
    take,
    take_this,
    upcoming,
    waiting,
)
from station.labels.reviewing import DrawnRegion, Opinion, ReviewConflict, regions_of, review, standing_of, undo
from station.labels.schema import LABELS_FILE, LabelError, open_writer
from station.labels.writing import Reviewer, changing
from station.records.parts import part_row
from station.results import Verdict
from tests.bench.sample_parts import PartMaker

ANNA, BEN, QUINN = Reviewer("anna", "operator"), Reviewer("ben", "operator"), Reviewer("quinn", "quality")
NOW = 2_000_000_000.0
DUE = NOW + 3600


def new(number: int, **changes: object) -> NewItem:
    base = NewItem("s1", number, 1000 + number, NOW - 100 + number, "REVIEW", "review", None, DUE + number)
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / LABELS_FILE


@pytest.fixture
def labels(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(file)) as connection:
        yield connection


def fill(labels: sqlite3.Connection, *items: NewItem) -> None:
    with changing(labels):
        assert enqueue(labels, items, NOW) == len(items)


def took(labels: sqlite3.Connection, by: Reviewer, now: float = NOW, *, overrules: bool = False) -> Item:
    return take(labels, by, overrules=overrules, now=now) or pytest.fail(f"nothing for {by.name}")


def say(
    labels: sqlite3.Connection, item: Item, answer: str, by: Reviewer, *, now: float = NOW, overrules: bool = False
) -> int:
    opinion = Opinion(answer)  # type: ignore[arg-type]
    return review(labels, item.id, item.version, opinion, by, overrules=overrules, now=now)


def words(file: Path) -> dict[int, str]:
    return {one.acquisition_id: one.label for one in read_labels(file)}


def test_the_first_due_comes_first_and_two_people_get_two_parts(labels: sqlite3.Connection) -> None:
    fill(labels, new(2), new(1), new(3, why="sample", verdict="PASS", due_at=None, inclusion=0.002))
    first, second = took(labels, ANNA), took(labels, BEN)
    assert (first.acquisition_id, second.acquisition_id) == (1, 2)
    assert took(labels, ANNA) == replace(first, leased_until=NOW + LEASE_S), "after a reload it is the same part"
    assert [item.acquisition_id for item in upcoming(labels, ANNA, overrules=False, now=NOW, but=first.id)] == [3]
    assert waiting(labels, ANNA, overrules=False, now=NOW).parts == 2
    assert waiting(labels, ANNA, overrules=False, now=NOW).oldest_at == NOW


def test_a_part_in_the_sample_that_somebody_asked_about_stays_in_the_sample(labels: sqlite3.Connection) -> None:
    asked = new(1, why="asked", verdict="PASS", due_at=None)
    assert ask(labels, asked, NOW).why == "asked"
    with changing(labels):
        enqueue(labels, [replace(asked, why="sample", inclusion=0.002)], NOW)
    assert (find(labels, "s1", 1).why, find(labels, "s1", 1).inclusion) == ("sample", 0.002)
    assert ask(labels, asked, NOW).why == "sample"


def test_a_decision_takes_the_part_out_and_its_label_holds(labels: sqlite3.Connection, file: Path) -> None:
    fill(labels, new(1))
    item = took(labels, ANNA)
    region = DrawnRegion("top", ((0.0, 0.0), (0.5, 0.25), (1.0, 1.0)))
    opinion = Opinion("defective", comment="at the rim", regions=(region,), took_ms=1500, request="r1")
    decision = review(labels, item.id, item.version, opinion, ANNA, overrules=False, now=NOW)
    assert regions_of(labels, decision) == [region]
    assert take(labels, ANNA, overrules=False, now=NOW) is None
    assert words(file) == {1: "defective"}
    again = review(labels, item.id, item.version, opinion, ANNA, overrules=False, now=NOW)
    assert again == decision, "a page that got no answer asks again: it was saved once"
    with pytest.raises(LabelError, match="saved for somebody else"):
        review(labels, item.id, item.version, opinion, BEN, overrules=False, now=NOW)


def test_who_comes_second_is_shown_what_the_first_said_and_nothing_is_overwritten(
    labels: sqlite3.Connection, file: Path
) -> None:
    fill(labels, new(1))
    mine = took(labels, ANNA)
    later = NOW + LEASE_S + 1
    theirs = took(labels, BEN, later)
    assert theirs.id == mine.id
    with pytest.raises(ReviewConflict, match="ben has this part now"):
        say(labels, mine, "good", ANNA, now=later)
    say(labels, theirs, "defective", BEN, now=later)
    with pytest.raises(ReviewConflict, match="ben has decided this part meanwhile: defective") as refused:
        say(labels, mine, "good", ANNA, now=later)
    assert [(one.reviewer, one.label) for one in refused.value.said] == [("ben", "defective")]
    assert words(file) == {1: "defective"}


def test_a_lease_that_ran_out_and_that_nobody_took_still_decides(labels: sqlite3.Connection, file: Path) -> None:
    fill(labels, new(1))
    item = took(labels, ANNA)
    assert renew(labels, item.id, ANNA, NOW + 50)
    assert take(labels, BEN, overrules=False, now=NOW + 50 + LEASE_S - 1) is None
    say(labels, item, "good", ANNA, now=NOW + 1000)
    assert words(file) == {1: "good"}
    assert not renew(labels, item.id, ANNA, NOW + 1000)


def test_later_puts_a_part_behind_the_others(labels: sqlite3.Connection) -> None:
    fill(labels, new(1), new(2))
    first = took(labels, ANNA)
    postpone(labels, first.id, ANNA, NOW)
    assert took(labels, ANNA).acquisition_id == 2
    assert took(labels, BEN).acquisition_id == 1


def test_undo_opens_the_part_again_for_the_one_who_undid(labels: sqlite3.Connection, file: Path) -> None:
    fill(labels, new(1), new(2))
    item = took(labels, ANNA)
    say(labels, item, "good", ANNA)
    with pytest.raises(LabelError, match="nothing of yours stands for part 1001: the last word is of anna"):
        undo(labels, item.id, BEN, now=NOW)
    opened = undo(labels, item.id, ANNA, now=NOW)
    assert (opened.state, words(file)) == ("open", {})
    again = take_this(labels, item.id, ANNA, overrules=False, now=NOW) or pytest.fail("not given")
    assert take_this(labels, item.id, BEN, overrules=False, now=NOW) is None
    say(labels, again, "defective", ANNA)
    assert words(file) == {1: "defective"}
    assert labels.execute("SELECT COUNT(*) FROM decisions").fetchone()[0] == 3


def test_two_people_look_blindly_and_both_have_to_agree(labels: sqlite3.Connection, file: Path) -> None:
    fill(labels, new(1, needs=2))
    first = took(labels, ANNA)
    assert first.is_blind
    say(labels, first, "good", ANNA)
    assert words(file) == {}, "one of two"
    assert take(labels, ANNA, overrules=True, now=NOW) is None, "nobody is both of them"
    second = took(labels, BEN)
    assert standing_of(labels, second) == [], "the second does not see the first"
    with pytest.raises(ReviewConflict) as refused:
        say(labels, first, "good", ANNA)
    assert refused.value.said == ()
    say(labels, second, "good", BEN)
    assert words(file) == {1: "good"}
    assert item_of(labels, first.id).state == "answered"


@pytest.mark.parametrize(("said", "state"), [(("good", "defective"), "disagree"), (("good", "unsure"), "unsure")])
def test_where_two_differ_quality_settles_it(
    said: tuple[str, str], state: str, labels: sqlite3.Connection, file: Path
) -> None:
    fill(labels, new(1, needs=2))
    for by, answer in zip((ANNA, BEN), said, strict=True):
        say(labels, took(labels, by), answer, by)
    item = find(labels, "s1", 1)
    assert (item.state, words(file)) == (state, {})
    assert take(labels, Reviewer("cleo", "operator"), overrules=False, now=NOW) is None
    with pytest.raises(ReviewConflict, match="who may overrule decides it"):
        say(labels, item, "good", ANNA)
    settled = took(labels, QUINN, overrules=True)
    assert {one.reviewer for one in standing_of(labels, settled)} == {"anna", "ben"}
    say(labels, settled, "defective", QUINN, overrules=True)
    assert words(file) == {1: "defective"}
    kinds = [kind for (kind,) in labels.execute("SELECT kind FROM decisions ORDER BY id")]
    assert kinds == ["decide", "decide", "overrule"]


def test_the_shell_and_the_queue_are_one_truth(labels: sqlite3.Connection, file: Path) -> None:
    part = part_row(PartMaker().inspected(1, Verdict.REVIEW))
    decide(labels, part, "good", ANNA)
    fill(labels, new(1, needs=2))
    assert find(labels, "s1", 1).state == "answered", "it was labelled before it came into the queue"
    fill(labels, new(2))
    item = took(labels, BEN)
    decide(labels, part_row(PartMaker().inspected(2, Verdict.REVIEW)), "good", ANNA)
    with pytest.raises(ReviewConflict, match="anna has decided"):
        say(labels, item, "defective", BEN)
    assert words(file) == {1: "good", 2: "good"}


def test_an_unanswered_part_is_treated_as_fail_and_never_labelled(labels: sqlite3.Connection, file: Path) -> None:
    fill(labels, new(1), new(2), new(3), new(4), new(5, why="sample", due_at=None))
    for number, answer, at in ((2, "good", NOW), (3, "unsure", NOW), (4, "good", DUE + 100)):
        item = find(labels, "s1", number)
        review(labels, item.id, item.version, Opinion(answer), ANNA, overrules=False, now=at)  # type: ignore[arg-type]

    def treated(now: float) -> dict[int, tuple[str, str | None]]:
        found = dispositions(labels, 0, NOW + 1000, now)
        return {one.acquisition_id: (one.treatment, one.verdict) for one in found}

    before = treated(NOW + 1)
    assert (before[1], before[2], before[3]) == (("open", None), ("good", "PASS"), ("open", None))
    after = treated(DUE + 200)
    assert after == dict.fromkeys((1, 3, 4), ("timed out", "FAIL")) | {2: ("good", "PASS")}
    assert words(file) == {2: "good", 4: "good"}, "that nobody answered is no label; a late answer is one"


@pytest.mark.parametrize(
    ("opinion", "why"),
    [
        (Opinion("perhaps"), 'answer "perhaps"; allowed: good, defective, unsure'),  # type: ignore[arg-type]
        (Opinion("good", "scratch"), "only a defective part has a class"),
        (Opinion("defective", "scratch"), 'no class "scratch"'),
        (Opinion("good", comment="two\nlines"), "one line of 1 to 1000 letters"),
        (Opinion("defective", regions=(DrawnRegion("top", ((0, 0), (1, 1))),)), "a region of 2 points"),
        (Opinion("defective", regions=(DrawnRegion("top", ((0, 0), (1, 1), (2, 0))),)), "outside of the picture"),
        (Opinion("defective", regions=(DrawnRegion("top", ((0, 0),) * 257),)), "a region of 257 points"),
        (Opinion("defective", regions=(DrawnRegion("top", ((0, 0),) * 3),) * 33), "33 regions"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_of_it_stays(
    opinion: Opinion, why: str, labels: sqlite3.Connection
) -> None:
    fill(labels, new(1))
    item = took(labels, ANNA)
    with pytest.raises(LabelError, match=why):
        review(labels, item.id, item.version, opinion, ANNA, overrules=False, now=NOW)
    assert labels.execute("SELECT COUNT(*) FROM decisions").fetchone()[0] == 0
    assert item_of(labels, item.id) == item


def test_labels_of_the_first_version_are_taken_over(file: Path) -> None:
    from station.labels import schema

    with closing(sqlite3.connect(file)) as connection:
        for statement in schema._VERSION_1:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        row = "('s1', 1, NULL, 1001, 0.0, 'good', '', 'anna', 'shell', 1.0, 'decide', '{}')"
        columns = "session, acquisition_id, camera, part_id, wall_time, label, comment, reviewer, role, at, kind, saw"
        connection.execute(f"INSERT INTO decisions ({columns}) VALUES {row}")
        connection.commit()
    assert words(file) == {1: "good"}, "a reader needs no conversion"
    with closing(open_writer(file)) as connection:
        fill(connection, new(1), new(2))
        assert find(connection, "s1", 1).state == "answered"
    assert words(file) == {1: "good"}


def test_a_queue_of_the_third_version_is_taken_over(file: Path) -> None:
    from station.labels import schema

    with closing(sqlite3.connect(file)) as connection:
        for statement in (*schema._VERSION_1, *schema._VERSION_2, *schema._VERSION_3):
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 3")
        values = f"('s1', 1, 1001, 0.0, 'REVIEW', 'review', 1.0, {NOW + 9})"
        columns = "session, acquisition_id, part_id, wall_time, verdict, why, made_at, due_at"
        connection.execute(f"INSERT INTO items ({columns}) VALUES {values}")
        connection.commit()
    with closing(open_writer(file)) as connection:
        item = find(connection, "s1", 1)
        assert (item.why, item.state, item.due_at) == ("review", "open", NOW + 9)
        fill(connection, new(2, why="shadow"))
        took_first = took(connection, ANNA)
        assert took_first.acquisition_id == 1
        review(connection, item.id, took_first.version, Opinion("good"), ANNA, overrules=False, now=NOW)
        assert find(connection, "s1", 1).state == "answered"
        assert took(connection, ANNA).why == "shadow"


def test_the_queue_does_not_read_what_was_answered(labels: sqlite3.Connection) -> None:
    fill(labels, *(new(number) for number in range(1, 40)))
    statements: list[str] = []
    labels.set_trace_callback(statements.append)
    took(labels, ANNA)
    labels.set_trace_callback(None)
    (chosen,) = [text for text in statements if text.startswith("SELECT id")]
    plan = " ".join(row["detail"] for row in labels.execute(f"EXPLAIN QUERY PLAN {chosen}"))
    assert "items USING INDEX items_waiting" in plan
    assert "SCAN decisions" not in plan
