"""Records of millions of parts, made by SQL: what a station leaves after months, within seconds.

One part each 0.2 s, in sessions of a week. Every 24th part does not pass. Two common recipes; a third was made on the
first day alone, and a fourth stands in one part. Master parts, missed triggers, pushes, and images of the newest parts.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station.records.schema import DATABASE_FILE, open_writer

STEP_S = 0.2
NOW = 1_800_000_000.0
"""The time of the last part, rounded up."""
IN_A_SESSION = 3_024_000
"""A week."""
FIRST_DAY = 432_000
RARE_RECIPE, OLD_RECIPE = "washer", "bracket"
RARE_REASON = 22
"""Out of focus: of one part in 100,000."""
_ROWS_AT_ONCE = 500_000
_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
_VERDICT = """CASE WHEN i % 10007 = 5 THEN 'ERROR' WHEN i % 24 = 0 THEN 'FAIL' WHEN i % 97 = 1 THEN 'REVIEW'
    ELSE 'PASS' END"""
_REASONS = f"""CASE WHEN i % 10007 = 5 THEN '[{{"code": 30, "detail": ""}}]'
    WHEN i % 24 = 0 AND i % 99984 = 48 THEN '[{{"code": 10, "detail": "0.71 > 0.5"}}, {{"code": {RARE_REASON}, "detail": ""}}]'
    WHEN i % 24 = 0 AND i % 5 = 0 THEN '[{{"code": 10, "detail": "0.71 > 0.5"}}, {{"code": 13, "detail": "4 mm"}}]'
    WHEN i % 24 = 0 THEN '[{{"code": 10, "detail": "0.71 > 0.5"}}]'
    WHEN i % 97 = 1 THEN '[{{"code": 11, "detail": "0.45 > 0.41"}}]' ELSE '[]' END"""  # noqa: E501
_RECIPE = f"""CASE WHEN i = :count / 2 THEN '{RARE_RECIPE}' WHEN i < {FIRST_DAY} AND i % 3 = 0 THEN '{OLD_RECIPE}'
    WHEN i / 40000 % 2 THEN 'flange' ELSE 'cover' END"""
_SCORE = "CASE WHEN i % 24 = 0 THEN 0.71 WHEN i % 97 = 1 THEN 0.45 ELSE 0.1 + (i * 7919 % 1000) / 4000.0 END"
_PARTS = f"""{_NUMBERS} INSERT INTO parts (session, acquisition_id, part_id, source, encoder_count, wall_time,
        signalled_ms, verdict, reasons, score, reject_score, defect_area_mm2, engine_id, recipe, recipe_checksum,
        config_checksum, challenge, late, recovered, extra)
    SELECT 'week' || (i / {IN_A_SESSION}), i % {IN_A_SESSION} + 1, :part_id_step * i, 'line', 0,
        :now - (:count - i) * :step_s, 25 + i % 17, {_VERDICT}, {_REASONS}, {_SCORE}, 0.5,
        CASE WHEN i % 24 = 0 THEN 4.0 ELSE 0.0 END, :engine, {_RECIPE}, '', :config,
        CASE WHEN i % 36000 < 3 THEN i / 36000 + 1 END, 0, 0, '{{"recorded_ms": "41.250", "acknowledged_ms": "33.125"}}'
    FROM n"""
_REGION = (
    '[{"area_mm2": 4.0, "length_mm": 3.0, "centre_px": [80.0, 64.0], "box_px": [70, 54, 20, 20], "peak_score": 0.7, '
    '"contour_px": [[70, 54], [89, 54], [89, 73]]}]'
)
_VIEWS = f"""INSERT INTO views (part, camera, frame_id, received_ms, inspection_start_ms, engine_start_ms,
        engine_end_ms, decided_ms, verdict, reasons, score, raw_score, reject_score, defect_area_mm2, region_count,
        regions, mean_grey, saturated_share, sharpness, image_path, map_path, map_low, map_high, image_deleted)
    SELECT id, 'top', acquisition_id, 6, 7, 8, 20, 21, verdict, reasons, score, 41.5, 0.5, defect_area_mm2,
        verdict = 'FAIL', CASE WHEN verdict = 'FAIL' THEN '{_REGION}' ELSE '[]' END, 64.0, 0.001, 55.0,
        CASE WHEN id > :images_from AND (verdict <> 'PASS' OR id % 50 = 0) THEN 'images/' || id || '.png' END,
        CASE WHEN id > :images_from AND (verdict <> 'PASS' OR id % 50 = 0) THEN 'images/' || id || '.map.png' END,
        0, 1, id <= :images_from AND (verdict <> 'PASS' OR id % 50 = 0)
    FROM parts WHERE id > :first AND id <= :last + 1 AND verdict <> 'ERROR'"""
_EVENTS = """INSERT INTO events (session, wall_time, kind, level, detail)
    SELECT session, wall_time, CASE WHEN id % 3 THEN 'missed' ELSE 'acquisition_slow' END, 'warning',
        'acquisition ' || acquisition_id FROM parts WHERE id > :first AND id <= :last + 1 AND id % 1000 = 0"""
_EJECTIONS = """INSERT INTO ejections
        (session, acquisition_id, part_id, ejector, wall_time, error, unit, reason, confirmed)
    SELECT session, acquisition_id, part_id, 1, wall_time + 0.9, 0.4, 'ms', 10, 1 FROM parts
    WHERE id > :first AND id <= :last + 1 AND verdict = 'FAIL'"""


@dataclass(frozen=True, slots=True)
class ManyParts:
    """What was made."""

    folder: Path
    count: int
    now: float = NOW
    step_s: float = STEP_S

    def time_of(self, number: int) -> float:
        """Of the part with this number, from 0."""
        return self.now - (self.count - number) * self.step_s

    def key_of(self, number: int) -> tuple[str, int]:
        """(session, acquisition id)."""
        return f"week{number // IN_A_SESSION}", number % IN_A_SESSION + 1


def fill(
    folder: Path,
    count: int,
    *,
    now: float = NOW,
    engine_id: str = "e" * 64,
    config_checksum: str = "c" * 64,
    part_ids: bool = True,
    with_images: int = 200_000,
    step_s: float = STEP_S,
) -> ManyParts:
    """`count` parts up to now. `part_ids`: the PLC gives each its own, else all have 0. `with_images`: of the newest
    parts, those that did not pass and one in 50 name an image (no file is made).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with closing(open_writer(folder / DATABASE_FILE)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        for week in range((count - 1) // IN_A_SESSION + 1):
            began = now - (count - week * IN_A_SESSION) * step_s
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, 1)", (f"week{week}", began, began + 604_800))
        for first in range(0, count, _ROWS_AT_ONCE):
            of = {"first": first, "last": min(first + _ROWS_AT_ONCE, count) - 1}
            connection.execute("BEGIN")
            values = {"count": count, "now": now, "engine": engine_id, "config": config_checksum, "step_s": step_s}
            connection.execute(_PARTS, {**of, **values, "part_id_step": int(part_ids)})
            connection.execute(_VIEWS, {**of, "images_from": count - with_images})
            for statement in (_EVENTS, _EJECTIONS):
                connection.execute(statement, of)
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return ManyParts(folder, count, now, step_s)


def plan_of(connection: sqlite3.Connection, statement: str, values: object = ()) -> list[str]:
    """How SQLite does it, a line a step."""
    found = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
    return [str(row[3]) for row in found]
