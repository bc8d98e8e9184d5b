"""Records of older stations become those of this one, whole or not at all."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.records.parts import PartRow, parts
from station.records.schema import DATABASE_FILE, RecordingError, open_reader, open_writer

PARTS_1 = (
    "id INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions (session), acquisition_id INTEGER NOT NULL, "
    "part_id INTEGER NOT NULL, source TEXT NOT NULL, encoder_count INTEGER NOT NULL, wall_time REAL NOT NULL, "
    "camera TEXT, frame_id INTEGER, received_ms REAL, inspection_start_ms REAL, engine_start_ms REAL, "
    "engine_end_ms REAL, decided_ms REAL, signalled_ms REAL, verdict TEXT NOT NULL, reasons TEXT NOT NULL, score REAL, "
    "reject_score REAL, defect_area_mm2 REAL, region_count INTEGER, regions TEXT NOT NULL, mean_grey REAL, "
    "saturated_share REAL, sharpness REAL, engine_id TEXT NOT NULL, recipe TEXT NOT NULL, "
    "config_checksum TEXT NOT NULL, image_path TEXT, map_path TEXT, map_low REAL, map_high REAL, image_skipped TEXT, "
    "image_deleted INTEGER NOT NULL DEFAULT 0, late INTEGER NOT NULL, late_verdict TEXT, recovered INTEGER NOT NULL, "
    "extra TEXT NOT NULL, UNIQUE (session, acquisition_id)"
)
REGION = (
    '[{"area_mm2": 1.5, "length_mm": 2.0, "centre_px": [3, 4], "box_px": [1, 2, 3, 4], "peak_score": 0.7, '
    '"contour_px": []}]'
)
DETAIL = '[{"code": 10, "detail": "high"}]'
FAILED = {
    **{"acquisition_id": 1, "part_id": 11, "camera": "top", "frame_id": 5, "received_ms": 3.0, "engine_start_ms": 5.0},
    **{"engine_end_ms": 15.0, "signalled_ms": 20.0, "verdict": "FAIL", "reasons": DETAIL, "score": 41.5},
    **{
        "reject_score": 40.25,
        "regions": REGION,
        "region_count": 1,
        "defect_area_mm2": 1.5,
        "image_path": "images/a.png",
    },
}
WITHOUT_FRAME = {"acquisition_id": 2, "part_id": 12, "verdict": "ERROR", "reasons": '[{"code": 30, "detail": ""}]'}
LATE = {
    **{"acquisition_id": 3, "part_id": 13, "camera": "top", "frame_id": 6, "verdict": "ERROR", "score": 39.0},
    **{"reasons": '[{"code": 42, "detail": ""}]', "late": 1, "late_verdict": "PASS", "image_deleted": 1},
}
ALWAYS = {
    **{"session": "s1", "source": "line", "encoder_count": 0, "wall_time": 1e9, "engine_id": "e", "recipe": "r"},
    **{"config_checksum": "c", "regions": "[]", "late": 0, "recovered": 0, "extra": '{"note": "old"}'},
}


SCHEMA_3 = {
    "sessions": "session start_wall_time end_wall_time clean",
    "parts": "id session acquisition_id part_id source encoder_count wall_time signalled_ms verdict reasons score "
    "reject_score defect_area_mm2 engine_id recipe recipe_checksum config_checksum challenge late late_verdict "
    "recovered extra",
    "views": "id part camera frame_id received_ms inspection_start_ms engine_start_ms engine_end_ms decided_ms verdict "
    "reasons score raw_score reject_score defect_area_mm2 region_count regions mean_grey saturated_share sharpness "
    "image_path map_path map_low map_high image_skipped image_deleted",
    "events": "id session wall_time kind level detail",
}


def test_software_that_knows_this_schema_reads_and_writes_what_newer_software_leaves(tmp_path: Path) -> None:
    """The way back: within a schema version, tables may come and columns may not. Another column: another version."""
    with closing(open_writer(tmp_path / DATABASE_FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        for table, columns in SCHEMA_3.items():
            found = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            assert found == columns.split(), table
        refusing = (
            "SELECT sql FROM sqlite_master "
            "WHERE tbl_name NOT IN ('audit', 'audit_chain') AND (sql LIKE '%UNIQUE INDEX%' OR type = 'trigger')"
        )
        assert connection.execute(refusing).fetchall() == [], "it would refuse rows of older software"


OLD_INDEXES = (
    "CREATE INDEX IF NOT EXISTS parts_by_part_id ON parts (part_id)",
    "CREATE INDEX IF NOT EXISTS parts_not_passed ON parts (wall_time) WHERE verdict <> 'PASS'",
)


def test_indexes_come_and_go_between_older_and_newer_software(tmp_path: Path) -> None:
    """The way back: each makes its own and leaves or drops the other's; nothing of it is a version."""

    def indexes() -> set[str]:
        with closing(open_reader(tmp_path)) as connection:
            found = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% ON parts %'"
            )
            return {str(name) for (name,) in found}

    new = {
        "parts_by_time",
        "parts_by_id_and_time",
        "parts_by_recipe",
        "parts_by_verdict",
        "parts_by_reasons",
        "parts_by_kind",
        "parts_by_batch",
    }
    for _ in range(2):
        open_writer(tmp_path / DATABASE_FILE).close()
        assert indexes() == new
        with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:  # a station of before
            for statement in OLD_INDEXES:
                connection.execute(statement)
        assert indexes() == new | {"parts_by_part_id", "parts_not_passed"}
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        for name in new - {"parts_by_time"}:
            connection.execute(f"DROP INDEX {name}")
    with closing(open_reader(tmp_path)) as connection:
        assert list(parts(connection, part_id=5, newest=1)) == [], "records of older software can be read"


def write_old(path: Path, version: int, *rows: dict[str, object]) -> None:
    """Records as a station of that time left them."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sessions (session TEXT PRIMARY KEY, start_wall_time, end_wall_time, clean)")
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, session, wall_time, kind, level, detail)")
        connection.execute(f"CREATE TABLE parts ({PARTS_1}{', raw_score REAL' if version == 2 else ''})".replace(
            ", UNIQUE (session, acquisition_id), raw_score REAL", ", raw_score REAL, UNIQUE (session, acquisition_id)"
        ))  # fmt: skip
        connection.execute("CREATE INDEX parts_by_time ON parts (wall_time)")
        connection.execute("CREATE INDEX parts_with_image ON parts (image_path) WHERE image_path IS NOT NULL")
        connection.execute("INSERT INTO sessions (session, clean) VALUES ('s1', 1)")
        for row in rows:
            values = {**ALWAYS, **row}
            names = ", ".join(values)
            connection.execute(
                f"INSERT INTO parts ({names}) VALUES ({', '.join('?' * len(values))})", [*values.values()]
            )
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()


def converted(path: Path) -> list[PartRow]:
    with pytest.raises(RecordingError, match="the station converts older ones at its next start"):
        open_reader(path)
    open_writer(path).close()
    with closing(open_reader(path)) as reader:
        assert [tuple(row) for row in reader.execute("PRAGMA foreign_key_check")] == []
        return list(parts(reader))


def test_version_1_keeps_its_raw_scores(tmp_path: Path) -> None:
    write_old(tmp_path / DATABASE_FILE, 1, FAILED, WITHOUT_FRAME)
    failed, without = converted(tmp_path / DATABASE_FILE)
    assert (failed.score, failed.views[0].raw_score, failed.reject_score) == (None, 41.5, None)
    assert json.loads(failed.extra) == {"note": "old", "raw_reject_score": "40.25"}
    assert without.views == ()


def test_version_2_becomes_parts_with_one_view(tmp_path: Path) -> None:
    write_old(tmp_path / DATABASE_FILE, 2, {**FAILED, "raw_score": -3.5}, WITHOUT_FRAME, LATE)
    failed, without, late = converted(tmp_path / DATABASE_FILE)
    (view,) = failed.views
    assert (failed.verdict, failed.score, failed.signalled_ms, failed.defect_area_mm2) == ("FAIL", 41.5, 20.0, 1.5)
    assert (view.camera, view.frame_id, view.verdict, view.raw_score) == ("top", 5, "FAIL", -3.5)
    assert (view.reject_score, view.engine_end_ms, view.image_path) == (40.25, 15.0, "images/a.png")
    assert (failed.engine_ms, view.region_list[0].area_mm2) == (10.0, 1.5)
    assert [reason.code for reason in view.reason_list] == [ReasonCode.SCORE_ABOVE_LIMIT]
    assert (without.verdict, without.views) == ("ERROR", ())
    assert (late.verdict, late.late, late.views[0].verdict, late.views[0].image_deleted) == (
        "ERROR",
        True,
        "PASS",
        True,
    )
    assert late.views[0].reason_list == ()


def test_a_converted_ledger_still_has_each_part_once(tmp_path: Path) -> None:
    write_old(tmp_path / DATABASE_FILE, 2, FAILED)
    converted(tmp_path / DATABASE_FILE)
    with closing(open_writer(tmp_path / DATABASE_FILE)) as connection:
        again = "INSERT INTO parts SELECT 99, session, acquisition_id, part_id" + ", 0" * 18 + " FROM parts"
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(again)


def test_a_conversion_that_fails_leaves_the_old_records(tmp_path: Path) -> None:
    write_old(tmp_path / DATABASE_FILE, 2, FAILED)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        connection.execute("CREATE TABLE views (in_the_way)")
    with pytest.raises(sqlite3.OperationalError):
        open_writer(tmp_path / DATABASE_FILE)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT camera, verdict FROM parts").fetchall() == [("top", "FAIL")]
