"""Records that stations of every old schema wrote, opened and migrated by this one.

`data/records-N.db` was written by the recorder of a station with schema N (VACUUMed to small pages): a PASS, a
FAIL, a part without a frame, a late answer, a missed trigger; from 3 on also a part that two cameras saw. A new schema
adds the file of the one before it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.records.audit import audit_rows
from station.records.challenge_memory import read_memory
from station.records.challenge_runs import Memory
from station.records.challenges import runs
from station.records.ejections import ejections
from station.records.events import events
from station.records.parts import PartRow, parts
from station.records.schema import DATABASE_FILE, SCHEMA_VERSION, open_reader, open_writer
from station.records.sessions import count_parts
from station.results import PartCounts, Verdict

DATA = Path(__file__).parent / "data"
VERSIONS = range(1, SCHEMA_VERSION + 1)


@pytest.fixture(params=VERSIONS, ids=lambda version: f"schema {version}")
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def records(tmp_path: Path, version: int) -> Path:
    """A folder with records of this version, after a station of today has opened them."""
    shutil.copyfile(DATA / f"records-{version}.db", tmp_path / DATABASE_FILE)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    open_writer(tmp_path / DATABASE_FILE).close()
    return tmp_path


def schema_of(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Name of each table, index and trigger, with the columns of the tables."""
    names = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
    return {name: [tuple(row) for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}


def test_migrated_records_have_the_schema_of_new_ones(records: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    open_writer(new).close()
    with closing(open_reader(records)) as migrated, closing(open_reader(new)) as fresh:
        assert schema_of(migrated) == schema_of(fresh)
        assert [tuple(row) for row in migrated.execute("PRAGMA integrity_check")] == [("ok",)]
        assert list(migrated.execute("PRAGMA foreign_key_check")) == []


def test_every_part_is_read_as_it_was_written(records: Path, version: int) -> None:
    with closing(open_reader(records)) as reader:
        found = {row.acquisition_id: row for row in parts(reader)}
    assert list(found) == ([1, 2, 3, 4] if version < 3 else [1, 2, 3, 4, 5])
    assert [(row.session, row.part_id, row.engine_id) for row in found.values()] == [
        ("s1", 1000 + number, "e" * 64) for number in found
    ]
    passed, failed, without_frame, late = (found[number] for number in (1, 2, 3, 4))
    assert [row.verdict for row in (passed, failed, without_frame, late)] == ["PASS", "FAIL", "ERROR", "ERROR"]
    assert [reason.code for reason in failed.reason_list] == [ReasonCode.SCORE_ABOVE_LIMIT]
    assert (late.late, late.late_verdict, without_frame.views) == (True, "PASS", ())
    check_view(failed, version)
    assert json.loads(failed.extra)["note"] == "test"


def check_view(failed: PartRow, version: int) -> None:
    (view,) = failed.views
    assert (view.camera, view.frame_id, view.verdict, view.engine_start_ms, view.engine_end_ms) == (
        "top", 2, "FAIL", 5.0, 15.0,
    )  # fmt: skip
    assert (view.region_count, view.region_list[0].area_mm2, view.mean_grey) == (1, 1.5, 100.0)
    assert str(view.image_path).endswith(".png")
    # scores of version 1 were in the units of its engine; since then they are 0 to 1
    assert (failed.score, failed.reject_score) == ((None, None) if version == 1 else (0.5, 0.4))
    assert view.raw_score == (0.5 if version == 1 else -31.5)


def test_the_present_queries_take_migrated_records(records: Path, version: int) -> None:
    with closing(open_reader(records)) as reader:
        two_cameras = version >= 3
        assert count_parts(reader, "s1") == PartCounts(
            triggers=4 + two_cameras, passed=1, failed=1 + two_cameras, error=2, missed=1
        )
        assert [event.kind for event in events(reader, kind="missed")] == ["missed"]
        newest = parts(reader, verdicts=[Verdict.FAIL], with_image=True, production=True, recipe="default", newest=5)
        assert [row.acquisition_id for row in newest] == ([2, 5] if two_cameras else [2])
        assert (list(ejections(reader)), list(audit_rows(reader, 9)), runs(reader, 9)) == ([], [], [])
    assert read_memory(records, "default", 2e9) == Memory()
