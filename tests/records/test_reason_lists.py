"""Parts by a reason: found by the index of lists of reasons, at whatever place it stands; never all are read."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.codes import ReasonCode
from station.records import selection as module
from station.records.schema import DATABASE_FILE, open_reader
from station.records.selection import Selection, conditions_of, counted, lists_with, page_of
from station.results import Verdict
from tests.bench.many_parts import OLD_RECIPE, RARE_REASON, fill, plan_of

CODES = [int(code) for code in ReasonCode if code]
COUNT = 3000


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts with one to twelve reasons: some lists are longer than the index knows."""
    folder = tmp_path_factory.mktemp("reasons")
    fill(folder, COUNT)
    draw = random.Random(5)
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as db, db:
        for (number,) in db.execute("SELECT id FROM parts WHERE verdict <> 'PASS'").fetchall():
            codes = draw.sample(CODES, draw.choice([1, 1, 2, 3, 12]))
            reasons = json.dumps([{"code": code, "detail": "x"} for code in codes])
            db.execute("UPDATE parts SET reasons = ? WHERE id = ?", (reasons, number))
    return folder


def by_hand(connection: sqlite3.Connection, chosen: Selection) -> list[int]:
    """Ids of the parts, newest first, from every row."""
    rows = connection.execute(
        "SELECT id, verdict, recipe, wall_time, reasons FROM parts ORDER BY wall_time DESC, id DESC"
    )
    return [
        row["id"] for row in rows
        if chosen.reason in [one["code"] for one in json.loads(row["reasons"])]
        and (not chosen.verdicts or row["verdict"] in [one.name for one in chosen.verdicts])
        and chosen.recipe in (None, row["recipe"])
        and (chosen.since is None or row["wall_time"] >= chosen.since)
        and (chosen.until is None or row["wall_time"] < chosen.until)
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    code=st.sampled_from(CODES),
    verdicts=st.sampled_from([(), (Verdict.FAIL,), (Verdict.REVIEW, Verdict.ERROR), (Verdict.PASS,)]),
    recipe=st.sampled_from([None, "flange", OLD_RECIPE]),
    ago=st.none() | st.tuples(st.floats(0, 600), st.floats(0, 600)),
)
def test_a_page_is_what_every_row_says(
    records: Path, code: int, verdicts: tuple[Verdict, ...], recipe: str | None, ago: tuple[float, float] | None
) -> None:
    since, until = (None, None) if ago is None else sorted(1_800_000_000.0 - one for one in ago)
    chosen, size = Selection(since, until, verdicts, recipe, ReasonCode(code)), 1 + code % 20
    with closing(open_reader(records)) as connection:
        assert lists_with(connection, chosen.reason) is not None
        expected = by_hand(connection, chosen)
        found = page_of(connection, chosen, size, with_views=False)
        assert [mark[1] for mark, _ in found] == expected[:size]
        assert sum(number for _, _, number in counted(connection, chosen, "recipe")) == len(expected)
        if found:
            after = page_of(connection, chosen, size, found[-1][0])
            assert [mark[1] for mark, _ in after] == expected[size : 2 * size]


def test_rows_are_looked_up_by_the_list_of_their_reasons(records: Path) -> None:
    with closing(open_reader(records)) as connection:
        lists = lists_with(connection, ReasonCode.SCORE_ABOVE_LIMIT)
        assert lists
        where, values = conditions_of(Selection(reason=ReasonCode.SCORE_ABOVE_LIMIT), lists[:1])
        newest = f"SELECT id FROM parts WHERE {where} AND (wall_time, id) < (?, ?) ORDER BY wall_time DESC LIMIT 5"
        plan = plan_of(connection, newest, [*values, 1e300, 0])
        assert "SEARCH parts USING INDEX parts_by_reasons (<expr>=? AND wall_time<?)" in plan
        steps = plan_of(connection, module._LISTS, ["%,22,%"])
        assert any("SEARCH parts USING" in step and "parts_by_reasons (<expr>>?)" in step for step in steps), steps
        assert not any("SCAN parts" in step for step in steps)


def test_without_the_index_and_with_too_many_lists_the_verdicts_are_looked_through(
    records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Selection(reason=ReasonCode.SCORE_ABOVE_LIMIT)
    with closing(open_reader(records)) as connection:
        expected = by_hand(connection, chosen)
        monkeypatch.setattr(module, "_MOST_LISTS", 2)
        assert lists_with(connection, chosen.reason) is None
        assert [mark[1] for mark, _ in page_of(connection, chosen, COUNT)] == expected
    monkeypatch.undo()
    with closing(sqlite3.connect(records / DATABASE_FILE)) as db:
        db.execute("DROP INDEX parts_by_reasons")
        db.row_factory = sqlite3.Row
        assert lists_with(db, chosen.reason) is None
        assert [mark[1] for mark, _ in page_of(db, chosen, COUNT)] == expected


def test_a_reason_that_no_part_has_costs_nothing(tmp_path: Path) -> None:
    fill(tmp_path, 500)
    with closing(open_reader(tmp_path)) as connection:
        assert lists_with(connection, ReasonCode(RARE_REASON)) != []
        assert lists_with(connection, ReasonCode.LOST_FRAME) == []
        assert page_of(connection, Selection(reason=ReasonCode.LOST_FRAME), 5) == []
        assert counted(connection, Selection(reason=ReasonCode.LOST_FRAME), "recipe") == []
