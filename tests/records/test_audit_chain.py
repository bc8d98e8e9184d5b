"""Every row of the audit log that was changed, removed or put elsewhere is found; a cut end by a hash that was kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from station.commands.main import main
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.audit import AuditEntry, audit_rows, verify
from station.records.schema import DATABASE_FILE, open_reader, open_writer
from tests.commands.records.conftest import Station, station

__all__ = ["station"]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    enter(tmp_path, 6)
    return tmp_path


def enter(folder: Path, count: int, session: str = "s1") -> None:
    """As the station does."""
    recorder = Recorder(RecorderSettings(folder, min_free_mb=0), session)
    recorder.start()
    for number in range(count):
        recorder.audit(AuditEntry("operator ünä", "recipe", f"a{number}", "b", "done", "why\x01 <b>"))
    assert recorder.stop(20)


def verified(folder: Path, anchor: str = "") -> tuple[int, str, str]:
    with closing(open_reader(folder)) as connection:
        found = verify(connection, anchor)
    return found.rows, found.head, found.broken


def behind_its_back(folder: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Who can write the file can drop its triggers."""
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as connection:
        for table in ("audit", "audit_chain"):
            for what in ("changed", "deleted"):
                connection.execute(f"DROP TRIGGER {table}_is_never_{what}")
        change(connection)
        connection.commit()


def test_a_log_that_nobody_touched_is_whole_and_grows(records: Path) -> None:
    rows, head, broken = verified(records)
    assert (rows, broken) == (6, "")
    enter(records, 3, "s2")
    assert verified(records)[::2] == (9, "")
    assert verified(records, head)[2] == "", "what was written down is among the hashes"
    assert "no row has the hash" in verified(records, "ab" * 32)[2]


@pytest.mark.parametrize("column", ["session", "wall_time", "who", "action", "before", "after", "result", "detail"])
def test_a_row_that_was_changed_is_named(records: Path, column: str) -> None:
    value = "refused" if column == "result" else 5
    behind_its_back(records, lambda db: db.execute(f"UPDATE audit SET {column} = ? WHERE id = 4", (value,)))
    rows, _, broken = verified(records)
    assert (rows, broken.startswith("row 4 was changed")) == (3, True)


def test_rows_that_were_removed_are_named(records: Path) -> None:
    behind_its_back(records, lambda db: db.execute("DELETE FROM audit WHERE id = 3"))
    assert verified(records)[2] == "row 3 was removed"


def test_links_that_were_removed_are_named(records: Path) -> None:
    behind_its_back(records, lambda db: db.execute("DELETE FROM audit_chain WHERE id = 3"))
    assert "row 4 was changed, or the one before it was removed" in verified(records)[2]


def test_rows_that_were_swapped_are_named(records: Path) -> None:
    def swap(db: sqlite3.Connection) -> None:
        for old, new in ((2, 99), (5, 2), (99, 5)):
            db.execute("UPDATE audit SET id = ? WHERE id = ?", (new, old))

    behind_its_back(records, swap)
    assert "row 2 was changed" in verified(records)[2]


def test_a_cut_end_is_found_by_a_hash_that_was_kept(records: Path) -> None:
    head = verified(records)[1]
    behind_its_back(records, lambda db: [db.execute(f"DELETE FROM {t} WHERE id > 4") for t in ("audit", "audit_chain")])
    assert verified(records)[::2] == (4, ""), "from inside nothing is missing"
    assert "the end was cut off" in verified(records, head)[2]


def test_a_row_that_somebody_slipped_in_is_in_no_chain(records: Path) -> None:
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        connection.execute(
            "INSERT INTO audit (session, wall_time, who, action, before, after, result, detail) "
            "VALUES ('s1', 1, 'eve', 'engine', '', '', 'done', '')"
        )
        connection.commit()
    assert "row 7 is in no chain" in verified(records)[2]


def test_the_chain_is_never_changed_by_a_mistake(records: Path) -> None:
    with closing(open_writer(records / DATABASE_FILE)) as connection:
        for statement in ("UPDATE audit_chain SET id = 9", "DELETE FROM audit_chain"):
            with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                connection.execute(statement)


def test_what_a_station_without_a_chain_wrote_is_taken_in_at_the_next_start(records: Path) -> None:
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        connection.execute("DROP TABLE audit_chain")
    assert "no chain yet" in verified(records)[2]
    with closing(open_writer(records / DATABASE_FILE)) as connection:
        assert len(list(audit_rows(connection, 99))) == 6
    assert verified(records)[::2] == (6, "")


def test_the_command_follows_both_chains(station: Station, capsys: pytest.CaptureFixture[str]) -> None:
    enter(station.records, 2, "s9")

    def said(*words: str) -> tuple[int, dict[str, dict[str, object]]]:
        capsys.readouterr()
        code = main(["audit", "verify", "--json", *words, "--config", str(station.config)])
        return code, json.loads(capsys.readouterr().out)

    code, found = said()
    assert (code, found["changes"]["broken"], found["accounts"]) == (0, "", None)
    assert said("--anchor", str(found["changes"]["head"]))[0] == 0
    assert said("--anchor", "ab" * 32)[0] == 1
    behind_its_back(station.records, lambda db: db.execute("UPDATE audit SET who = 'eve' WHERE id = 1"))
    code, found = said()
    assert (code, "row 1 was changed" in str(found["changes"]["broken"])) == (1, True)
