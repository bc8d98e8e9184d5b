"""`station parts` and `station counts`: what is chosen, what is counted, and that values stay text."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from rich.cells import cell_len

from station.records.rollups.taking_in import FILE, opened, take_in
from station.records.schema import DATABASE_FILE, open_reader
from station.records.selection import Selection, newest_of
from station.reports.counts import ALL_BY
from tests.commands.records.conftest import MIDNIGHT, Station


def ids(station: Station, *words: object) -> list[object]:
    return [part["part_id"] for part in station.data("parts", *words)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), [1001, 1002, 1003, 1004, 1005, 1006]),
        (("--limit", 2), [1005, 1006]),
        (("--verdict", "fail"), [1002, 1005, 1006]),
        (("--verdict", "Review,ERROR"), [1003, 1004]),
        (("--recipe", "other"), [1003]),
        (("--recipe", "' OR 1"), []),
        (("--reason", "12"), [1005]),
        (("--reason", "score-above-limit"), [1002, 1006]),
        (("--shift", "night@2026-10-24"), [1001, 1002, 1003]),
        (("--shift", "day@2026-10-25"), [1004]),
        (("--since", "2026-10-25"), [1002, 1003, 1004, 1005, 1006]),
        (("--since", "2026-10-25", "--until", "2026-10-25"), [1002, 1003, 1004, 1005]),
        (("--since", "2026-10-25T02:30+01:00", "--shift", "night@2026-10-24"), [1003]),
    ],
)
def test_parts_are_chosen(words: tuple[object, ...], found: list[int], station: Station) -> None:
    assert ids(station, *words) == found


def test_a_part_as_json_has_the_time_of_its_station(station: Station) -> None:
    (part,) = station.data("parts", "--recipe", "other")
    assert (part["time"], part["shift"]) == ("2026-10-25T02:30:00.000+01:00", "night 2026-10-24")
    assert (part["session"], part["acquisition_id"], part["verdict"], part["images"]) == ("s1", 3, "REVIEW", 1)
    assert part["reasons"] == [
        {"code": 11, "name": "SCORE_IN_REVIEW_BAND",
         "text": "anomaly score between review and reject limit: detail"},
    ]  # fmt: skip


def counts(station: Station, by: str, *words: object) -> dict[object, tuple[object, ...]]:
    names = ("parts", "pass", "fail", "review", "error")
    return {group[by]: tuple(group[name] for name in names) for group in station.data("counts", "--by", by, *words)}


def test_counts_are_by_what_was_asked_and_hold_production_alone(station: Station) -> None:
    assert counts(station, "shift") == {
        "night 2026-10-24": (3, 1, 1, 1, 0),
        "day 2026-10-25": (1, 0, 0, 0, 1),
        "night 2026-10-25": (1, 0, 1, 0, 0),
    }
    assert counts(station, "hour", "--until", "2026-10-25T03:00") == {
        "2026-10-24 22:00 +02:00": (1, 1, 0, 0, 0),
        "2026-10-25 02:00 +02:00": (1, 0, 1, 0, 0),
        "2026-10-25 02:00 +01:00": (1, 0, 0, 1, 0),
    }
    assert counts(station, "recipe") == {"default": (4, 1, 2, 0, 1), "other": (1, 0, 0, 1, 0)}
    assert counts(station, "engine") == {"e" * 64: (5, 1, 2, 1, 1)}
    assert counts(station, "reason", "--verdict", "fail") == {
        "10 anomaly score above the reject limit": (1, 0, 1, 0, 0),
        "12 defect area above its limit": (1, 0, 1, 0, 0),
    }


@pytest.mark.parametrize("words", [("parts",), ("counts",), ("counts", "--by", "reason"), ("counts", "--by", "hour")])
def test_a_table_fits_into_80_columns_and_shows_values_as_text(
    words: tuple[str, ...], station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = station.said(*words)
    assert max(cell_len(line) for line in out.splitlines()) <= 80
    if words == ("parts",):
        assert "\x1b" not in out.replace("\x1b[0m", "")
        assert "[bold]x[/]" in out
        assert "challenge test 3" in out


def test_csv_holds_no_formula_and_no_line_of_its_own(station: Station) -> None:
    rows = list(csv.DictReader(io.StringIO(station.said("parts", "--csv"))))
    assert [row["part_id"] for row in rows] == ["1001", "1002", "1003", "1004", "1005", "1006"]
    assert "\x1b" not in rows[4]["reasons"]
    assert not any(str(value).startswith(("=", "+", "-", "@")) for row in rows for value in row.values())
    (row, *_) = csv.DictReader(io.StringIO(station.said("counts", "--by", "recipe", "--csv")))
    assert (row["recipe"], row["parts"], row["pass_share"]) == ("default", "4", "0.25")


def test_nothing_found_is_said_and_no_error(station: Station) -> None:
    assert station.said("parts", "--recipe", "none") == "No part on record is like that.\n"
    assert station.said("counts", "--recipe", "none") == "No part on record is like that.\n"
    assert station.data("counts", "--recipe", "none") == []
    assert station.said("parts", "--recipe", "none", "--csv") == "\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "noon"), '"noon" is no time; allowed: as 06:00'),
        (("--shift", "noon"), 'no shift "noon"; there are: now, last, day, night'),
        (("--verdict", "bad"), '"BAD" is no verdict; allowed: pass, fail, review, error'),
        (("--reason", "score_above"), "near it: 10 score_above_limit"),
        (("--reason", "9999"), 'station counts --by reason" lists'),
        (("--since", "2026-10-26", "--until", "2026-10-24"), "the begin must be before the end"),
        (("--records", "/nowhere"), 'records "/nowhere" cannot be read'),
    ],
)
def test_bad_input_is_a_sentence(words: tuple[str, ...], said: str, station: Station) -> None:
    for command in ("parts", "counts"):
        assert said in station.refused(command, *words)


def test_a_damaged_database_is_reported(station: Station) -> None:
    shutil.copy(station.records / DATABASE_FILE, station.records / "copy.db")
    with closing(sqlite3.connect(station.records / "copy.db")) as connection:
        connection.execute("DROP TABLE views")
        connection.execute("DROP TABLE parts")
    (station.records / DATABASE_FILE).unlink()
    (station.records / "copy.db").rename(station.records / DATABASE_FILE)
    assert "the records cannot be read: no such table: parts" in station.refused("counts")


def test_a_time_range_uses_its_index(station: Station) -> None:
    with closing(open_reader(station.records)) as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        newest_of(connection, Selection(since=MIDNIGHT, until=MIDNIGHT + 3600), 5)
        connection.set_trace_callback(None)
        plan = " ".join(row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[0]}"))
    assert "parts_by_time" in plan
    assert "SCAN parts " not in plan


def test_a_trace_shows_values_as_text(station: Station) -> None:
    out = station.said("trace", 1005)
    assert "=1+1 [bold]x[/] \\x1b[31m" in " ".join(out.split())


def test_counts_come_from_what_the_pages_have_counted(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written where the folder belongs to somebody else; other records are counted from their rows."""
    pages = station.config.parent / "hmi"
    by_rows = {by: counts(station, by) for by in ALL_BY}
    assert not pages.exists(), "no folder of the pages is made by whoever counts"
    with opened(pages / FILE) as rollups, closing(open_reader(station.records)) as records:
        assert take_in(rollups, records, 60.0)
        assert {by: counts(station, by) for by in ALL_BY} == by_rows
        rollups.execute("UPDATE rollups SET n = n + 1000")
        assert counts(station, "recipe")["other"] == (1001, 0, 0, 1001, 0), "they are used"
        assert counts(station, "recipe", "--records", shutil.copytree(station.records, pages / "copy"))["other"][0] == 1
        rollups.execute("DELETE FROM rollups")
        rollups.execute("DELETE FROM seen")
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        assert {by: counts(station, by) for by in ALL_BY} == by_rows
        assert rollups.execute("SELECT COUNT(*) FROM rollups").fetchone() == (0,), "of another user: only read"
        monkeypatch.undo()
        assert {by: counts(station, by) for by in ALL_BY} == by_rows
        assert rollups.execute("SELECT COUNT(*) FROM rollups").fetchone() > (0,), "its own: what is new is taken in"
    (pages / FILE).write_bytes(b"no database at all, and longer than a header of one" * 40)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert {by: counts(station, by) for by in ALL_BY} == by_rows
