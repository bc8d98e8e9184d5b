"""A chain that somebody with the disk has written anew, with hashes that are right: a head that was kept shows it."""

from __future__ import annotations

import json
import re
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.access import audit_chain
from station.access.accounts import Accounts
from station.access.accounts_schema import opened
from station.hmi.heads import Heads
from station.records.anchors.kept import Anchor, AnchorError, all_heads, anchors_of, departs, head_of_records
from station.records.audit import CHAIN, SCHEMA, AuditRow, Head, begin_chain, head_of, insert_audit, verify
from station.records.schema import DATABASE_FILE, open_reader
from tests.commands.records.conftest import Station, station
from tests.records.test_audit_chain import behind_its_back, enter

__all__ = ["station"]


def rewrite(folder: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Another history with a chain that fits: what whoever can write the file and knows the rule would do."""

    def anew(db: sqlite3.Connection) -> None:
        change(db)
        db.execute("DELETE FROM audit_chain")
        db.commit()
        begin_chain(db)
        for statement in (*SCHEMA, *CHAIN):
            db.execute(statement)

    with closing(sqlite3.connect(folder / DATABASE_FILE, isolation_level=None)):
        behind_its_back(folder, anew)


def other_who(row: int) -> Callable[[sqlite3.Connection], object]:
    return lambda db: db.execute("UPDATE audit SET who = 'nobody' WHERE id = ?", (row,))


def heads(folder: Path) -> list[Head]:
    with closing(open_reader(folder)) as connection:
        return list(all_heads(connection))


@pytest.fixture
def records(station: Station) -> Path:
    enter(station.records, 8)
    return station.records


def run(station: Station, *words: str) -> tuple[int, str]:
    code, out, err = station.run("audit", *words)
    return code, " ".join((out + err).split())


def test_inside_all_is_whole_and_it_says_what_that_does_not_show(station: Station, records: Path) -> None:
    rewrite(records, other_who(5))
    with closing(open_reader(records)) as connection:
        assert verify(connection).broken == ""
        rows = list(connection.execute("SELECT who FROM audit WHERE id = 5"))
    assert [tuple(row) for row in rows] == [("nobody",)]
    code, said = run(station, "verify")
    assert (code, "8 rows are whole" in said) == (0, True)
    assert "who may write all of it can make chain and reports anew, and cut off their end" in said


def test_a_head_shows_that_and_heads_of_all_rows_show_where(station: Station, records: Path, tmp_path: Path) -> None:
    head = str(head_of_records(records))
    code, said = run(station, "anchor", "--output", str(tmp_path / "heads.txt"))
    assert (code, head in said, "the heads of 8 rows" in said) == (0, True, True)
    early = heads(records)[2]
    enter(records, 3, "s2")
    assert run(station, "verify", "--anchor", head, "--anchor", str(tmp_path / "heads.txt"))[0] == 0
    rewrite(records, other_who(5))
    code, said = run(station, "verify", "--anchor", head)
    assert (code, "departs between row 1 and row 8" in said) == (1, True)
    code, said = run(station, "verify", "--anchor", head, "--anchor", str(early))
    assert (code, "departs between row 4 and row 8" in said) == (1, True)
    code, said = run(station, "verify", "--anchor", str(tmp_path / "heads.txt"))
    assert (code, "departs at row 5 from the chain whose head stands in heads.txt" in said) == (1, True)
    assert run(station, "verify", "--anchor", head.rpartition(":")[2])[0] == 1, "a hash alone, as before"


def test_an_end_that_was_cut_off(station: Station, records: Path) -> None:
    head = str(head_of_records(records))
    rewrite(records, lambda db: db.execute("DELETE FROM audit WHERE id > 6"))
    assert run(station, "verify")[0] == 0
    code, said = run(station, "verify", "--anchor", head)
    assert (code, "row 8, whose hash stands in the head that was given, is missing" in said) == (1, True)
    assert "the chain was cut off after row 6" in said


@pytest.mark.parametrize("kind", ["log", "report", "evidence"])
def test_the_head_is_found_in_what_left_the_station(
    station: Station, records: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"kept.{kind}"
    if kind == "log":
        capsys.readouterr()
        enter(records, 1, "s2")
        file.write_text("".join(capsys.readouterr()))
        assert str(head_of_records(records)) in file.read_text(), "each change logs the head behind it"
    elif kind == "report":
        output = tmp_path / "report.json"
        assert station.run("report", "--since", "2020-01-01", "--output", str(output))[0] == 0
        file.write_bytes(output.read_bytes())
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("about.json", json.dumps({"audit_head": str(head_of_records(records))}))
    assert run(station, "verify", "--anchor", str(file))[0] == 0
    rewrite(records, other_who(5))
    code, said = run(station, "verify", "--anchor", str(file))
    assert (code, f"whose head stands in {file.name}" in said) == (1, True), said


def test_stored_reports_are_held_against_it_without_being_named(station: Station, records: Path) -> None:
    folder = records.parent / "reports"
    folder.mkdir()
    (folder / "shift.json").write_text(f'["audit log", "{head_of_records(records)}"]')
    code, said = run(station, "verify")
    assert (code, "held against 1 heads of stored reports" in said) == (0, True)
    rewrite(records, other_who(1))
    code, said = run(station, "verify")
    assert (code, "whose head stands in shift.json" in said) == (1, True)
    assert json.loads(station.run("audit", "verify", "--json")[1])["anchors"] == 1


def test_the_trail_of_accounts_keeps_the_head_of_changes_and_the_log_that_of_the_trail(
    station: Station, records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = records.parent / "hmi"
    Accounts(folder, idle_s=900.0).invite("anna", ["admin"], "test", via="test")
    keeping = Heads(records, folder)
    keeping.keep()
    keeping.keep()
    with opened(folder) as connection:
        deeds = [deed for deed in audit_chain.deeds(connection, 10) if deed.action == audit_chain.ANCHOR]
        head = head_of(connection, "accounts")
    assert [deed.object for deed in deeds] == [str(head_of_records(records))], "once, while nothing changes"
    assert "".join(capsys.readouterr()).count(str(head)) == 1
    assert run(station, "verify")[0] == 0
    rewrite(records, other_who(2))
    code, said = run(station, "verify")
    assert (code, "whose head stands in the trail of accounts" in said) == (1, True)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("nothing-there", "no head (audit:changes:ROW:HASH"),
        ("audit:changes:1:ab", "no head"),
        ("FILE", "no head of an audit chain stands in this file"),
    ],
)
def test_what_is_no_anchor_is_said(station: Station, records: Path, tmp_path: Path, given: str, why: str) -> None:
    (tmp_path / "FILE").write_text("nothing of it")
    given = str(tmp_path / given) if given == "FILE" else given
    with pytest.raises(AnchorError, match=re.escape(why)):
        anchors_of(given)
    code, said = run(station, "verify", "--anchor", given)
    assert (code, why in said) == (2, True)


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(1, 12), at=st.integers(1, 12), kept=st.sets(st.integers(1, 12), min_size=1))
def test_the_place_lies_between_the_last_head_that_fits_and_the_first_that_does_not(
    rows: int, at: int, kept: set[int]
) -> None:
    at, kept = min(at, rows), {min(row, rows) for row in kept}

    def chain(who: str) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in SCHEMA:
            connection.execute(statement)
        begin_chain(connection)
        for row in range(1, rows + 1):
            made = insert_audit("s", AuditRow(1.0, who if row == at else "anna", "recipe", "a", "b", "done", ""))
            for each in (made, *made.dependent):
                connection.execute(each.sql, each.values)
        return connection

    with closing(chain("anna")) as first, closing(chain("eve")) as second:
        anchors = [Anchor(head, "a log") for head in all_heads(first) if head.row in kept]
        assert departs(first, anchors) == ""
        said = departs(second, anchors)
    if max(kept) < at:
        assert said == "", "rows behind the newest head are not covered"
        return
    low = max((row for row in kept if row < at), default=0) + 1
    high = min(row for row in kept if row >= at)
    assert f"at row {high} " in said if low == high else f"between row {low} and row {high} " in said
