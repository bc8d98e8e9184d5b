"""The ledger on disk: schema, rows and typed queries of the SQLite database `records.db`.

One thread of the station writes (see `recording`); any number of processes read through `open_reader`.
Times of a part are in ms after its trigger; NULL stands for a step that did not happen.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from station import audit
from station.ejection_records import TABLE as EJECTIONS_TABLE
from station.reasons import ReasonCode
from station.results import Inspection, InspectionRecord, Reason, Region, Verdict, error

DATABASE_FILE = "records.db"
SCHEMA_VERSION = 2
MISSED = "missed"
"""Kind of the event that stands for one trigger while the station was not ready."""

_SCHEMA = (
    """CREATE TABLE sessions (
        session TEXT PRIMARY KEY,
        start_wall_time REAL,
        end_wall_time REAL,
        clean INTEGER  -- 1: stopped in order, 0: killed, NULL: running
    )""",
    """CREATE TABLE parts (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (session),
        acquisition_id INTEGER NOT NULL,
        part_id INTEGER NOT NULL,
        source TEXT NOT NULL,
        encoder_count INTEGER NOT NULL,
        wall_time REAL NOT NULL,
        camera TEXT,
        frame_id INTEGER,
        received_ms REAL,
        inspection_start_ms REAL,
        engine_start_ms REAL,
        engine_end_ms REAL,
        decided_ms REAL,
        signalled_ms REAL,
        verdict TEXT NOT NULL CHECK (verdict IN ('PASS', 'FAIL', 'REVIEW', 'ERROR')),
        reasons TEXT NOT NULL,  -- JSON [{"code", "detail"}]
        score REAL,  -- 0 to 1, see engines.scale
        raw_score REAL,  -- in the units of the engine
        reject_score REAL,  -- the limit in force, on the scale of score
        defect_area_mm2 REAL,
        region_count INTEGER,
        regions TEXT NOT NULL,  -- JSON, as results.Region
        mean_grey REAL,
        saturated_share REAL,
        sharpness REAL,
        engine_id TEXT NOT NULL,
        recipe TEXT NOT NULL,
        config_checksum TEXT NOT NULL,
        image_path TEXT,  -- relative to the folder of this file
        map_path TEXT,
        map_low REAL,  -- what grey 0 and 255 of the stored map stand for
        map_high REAL,
        image_skipped TEXT,  -- why an image that should be there was not stored
        image_deleted INTEGER NOT NULL DEFAULT 0,  -- by the disk budget
        late INTEGER NOT NULL,  -- an answer came after the verdict; scores and times are that answer's
        late_verdict TEXT,
        recovered INTEGER NOT NULL,  -- written after a restart, from the journal
        extra TEXT NOT NULL,  -- JSON object
        UNIQUE (session, acquisition_id)
    )""",
    "CREATE INDEX parts_by_time ON parts (wall_time)",
    "CREATE INDEX parts_with_image ON parts (image_path) WHERE image_path IS NOT NULL",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (session),
        wall_time REAL NOT NULL,
        kind TEXT NOT NULL,
        level TEXT NOT NULL,
        detail TEXT NOT NULL
    )""",
    "CREATE INDEX events_by_kind ON events (kind, session)",
)

_FROM_VERSION_1 = (
    # its scores and limits were in the units of the engine
    "ALTER TABLE parts ADD COLUMN raw_score REAL",
    """UPDATE parts SET extra = json_set(extra, '$.raw_reject_score', CAST(reject_score AS TEXT))
        WHERE reject_score IS NOT NULL""",
    "UPDATE parts SET raw_score = score, score = NULL, reject_score = NULL",
)


class RecordingError(Exception):
    """The records cannot be used: no permission, not a database, or written by a newer version."""


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part in the ledger; the columns of the table `parts`."""

    session: str
    acquisition_id: int
    part_id: int
    source: str
    encoder_count: int
    wall_time: float
    verdict: str
    reasons: str
    engine_id: str
    recipe: str
    config_checksum: str
    extra: str
    signalled_ms: float | None
    reject_score: float | None
    camera: str | None = None
    frame_id: int | None = None
    received_ms: float | None = None
    inspection_start_ms: float | None = None
    engine_start_ms: float | None = None
    engine_end_ms: float | None = None
    decided_ms: float | None = None
    score: float | None = None
    """0 to 1; NULL also for parts that an older version recorded."""
    raw_score: float | None = None
    defect_area_mm2: float | None = None
    region_count: int | None = None
    regions: str = "[]"
    mean_grey: float | None = None
    saturated_share: float | None = None
    sharpness: float | None = None
    image_path: str | None = None
    map_path: str | None = None
    map_low: float | None = None
    map_high: float | None = None
    image_skipped: str | None = None
    image_deleted: bool = False
    late: bool = False
    late_verdict: str | None = None
    recovered: bool = False

    @property
    def reason_list(self) -> tuple[Reason, ...]:
        """Most severe first."""
        return tuple(Reason(ReasonCode(item["code"]), item["detail"]) for item in json.loads(self.reasons))

    @property
    def region_list(self) -> tuple[Region, ...]:
        """The regions that were listed, largest first."""
        return tuple(_region(item) for item in json.loads(self.regions))


_COLUMNS = tuple(field.name for field in fields(PartRow))
_LATE_COLUMNS = (*_COLUMNS[_COLUMNS.index("camera") : _COLUMNS.index("image_deleted")], "late_verdict")
"""What a late answer may fill in. Never verdict, reasons and the time of the signal."""
_FLAGS = ("image_deleted", "late", "recovered")

INSERT_PART = (
    f"INSERT INTO parts ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "
    "ON CONFLICT (session, acquisition_id) DO UPDATE SET late = 1, "
    + ", ".join(f"{name} = COALESCE(excluded.{name}, {name})" for name in _LATE_COLUMNS)
    + " WHERE excluded.late"
)
"""A part that is there already stays as it is (written again after a restart) unless this is its late answer."""
INSERT_KILLED_SESSION = "INSERT OR IGNORE INTO sessions (session, clean) VALUES (:session, 0)"
START_SESSION = (
    "INSERT INTO sessions (session, start_wall_time) VALUES (:session, :wall_time) "
    "ON CONFLICT (session) DO UPDATE SET start_wall_time = excluded.start_wall_time"
)
MARK_KILLED = "UPDATE sessions SET clean = 0 WHERE clean IS NULL AND session <> :session"
END_SESSION = "UPDATE sessions SET end_wall_time = :wall_time, clean = 1 WHERE session = :session"
INSERT_EVENT = (
    "INSERT INTO events (session, wall_time, kind, level, detail) VALUES (:session, :wall_time, :kind, :level, :detail)"
)
ACKNOWLEDGED = (
    "UPDATE parts SET extra = json_set(extra, '$.acknowledged_ms', :acknowledged_ms) "
    "WHERE session = :session AND acquisition_id = :acquisition_id"
)
"""The PLC has read the result; as text, like everything in `extra`."""
IMAGE_DELETED = "UPDATE parts SET image_path = NULL, map_path = NULL, image_deleted = 1 WHERE image_path = :image_path"


def part_row(record: InspectionRecord, *, recovered: bool = False) -> PartRow:
    """The row of a part, still without its image."""
    trigger, decision = record.trigger, record.decision
    if record.late and decision.verdict is not Verdict.ERROR:
        # A late answer was never applied, so it must not be found as the part's verdict.
        decision = error(ReasonCode.DEADLINE, "the answer came late")

    def after_trigger_ms(time_ns: int) -> float | None:
        return (time_ns - trigger.time_ns) / 1e6 if time_ns else None

    reasons = [{"code": int(reason.code), "detail": reason.detail} for reason in decision.reasons]
    inspection = record.inspection
    late_verdict = inspection.decision.verdict.name if record.late and inspection is not None else None
    return PartRow(
        session=record.session,
        acquisition_id=trigger.acquisition_id,
        part_id=trigger.part_id,
        source=trigger.source,
        encoder_count=trigger.encoder_count,
        wall_time=trigger.wall_time,
        verdict=decision.verdict.name,
        reasons=json.dumps(reasons),
        engine_id=record.engine_id,
        recipe=record.recipe,
        config_checksum=record.config_checksum,
        extra=json.dumps(record.extra),
        signalled_ms=after_trigger_ms(record.signalled_ns),
        reject_score=_finite(record.reject_score),
        late=record.late,
        late_verdict=late_verdict,
        recovered=recovered,
        **(_inspection_columns(inspection, after_trigger_ms) if inspection is not None else {}),
    )


def _inspection_columns(inspection: Inspection, after_trigger_ms: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "camera": inspection.frame.camera,
        "frame_id": int(inspection.frame.frame_id),
        "received_ms": after_trigger_ms(inspection.frame.received_time_ns),
        "inspection_start_ms": after_trigger_ms(inspection.started_ns),
        "decided_ms": after_trigger_ms(inspection.decided_ns),
    }
    if inspection.scores is not None:
        columns["raw_score"] = _finite(inspection.scores.image_score)
        columns["engine_start_ms"] = after_trigger_ms(inspection.scores.engine_start_ns)
        columns["engine_end_ms"] = after_trigger_ms(inspection.scores.engine_end_ns)
    if inspection.measurement is not None:
        measurement = inspection.measurement
        columns["score"] = _finite(measurement.score)
        columns["defect_area_mm2"] = float(measurement.defect_area_mm2)
        columns["region_count"] = measurement.regions.count
        columns["regions"] = json.dumps([_rounded(asdict(region)) for region in measurement.regions.listed])
        columns["mean_grey"] = _finite(measurement.quality.mean_grey)
        columns["saturated_share"] = _finite(measurement.quality.saturated_share)
        columns["sharpness"] = _finite(measurement.quality.sharpness)
    return columns


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def _region(item: dict[str, Any]) -> Region:
    x, y, width, height = item["box_px"]
    return Region(
        area_mm2=item["area_mm2"],
        length_mm=item["length_mm"],
        centre_px=(item["centre_px"][0], item["centre_px"][1]),
        box_px=(x, y, width, height),
        peak_score=item["peak_score"],
        contour_px=tuple((point[0], point[1]) for point in item["contour_px"]),
    )


def open_writer(path: Path) -> sqlite3.Connection:
    """Opens or creates the database for the one writer. Raises RecordingError, sqlite3.OperationalError (disk)."""
    # Opened by the thread that starts the station, then used by the recording thread only.
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        _migrate(connection, path)
        for statement in audit.SCHEMA:
            connection.execute(statement)
        connection.execute(EJECTIONS_TABLE)
    except sqlite3.Error as problem:
        connection.close()
        if isinstance(problem, sqlite3.OperationalError):
            raise
        raise RecordingError(f'"{path}": {problem}; move the file away, the station makes a new one') from problem
    except RecordingError:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise RecordingError(
            f'"{path}" has schema version {version}, this station knows up to {SCHEMA_VERSION}; '
            "use the newer station or move the file away"
        )
    if version < SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA if version == 0 else _FROM_VERSION_1:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection to the database file or the folder that holds it. Close it after use.

    Raises:
        RecordingError: there is no database, or it is of another version.
    """
    file = path / DATABASE_FILE if path.is_dir() else path
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        connection.row_factory = sqlite3.Row
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as problem:
        raise RecordingError(f'records "{file}" cannot be read: {problem}') from problem
    if version != SCHEMA_VERSION:
        connection.close()
        raise RecordingError(
            f'records "{file}" have schema version {version}, expected {SCHEMA_VERSION}: '
            "the station converts older ones at its next start"
        )
    return connection


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """The ledger in numbers. triggers = pass + fail + review + error; missed triggers are no parts."""

    triggers: int
    passed: int
    failed: int
    review: int
    error: int
    missed: int


def ledger(connection: sqlite3.Connection, session: str | None = None) -> LedgerCounts:
    """Counts the parts of one session, or of all."""
    where, values = ("WHERE session = ?", [session]) if session is not None else ("", [])
    by_verdict = dict(connection.execute(f"SELECT verdict, COUNT(*) FROM parts {where} GROUP BY verdict", values))
    missed_where = f"{where} AND" if where else "WHERE"
    missed = connection.execute(f"SELECT COUNT(*) FROM events {missed_where} kind = ?", [*values, MISSED]).fetchone()[0]
    return LedgerCounts(
        triggers=sum(by_verdict.values()),
        passed=by_verdict.get("PASS", 0),
        failed=by_verdict.get("FAIL", 0),
        review=by_verdict.get("REVIEW", 0),
        error=by_verdict.get("ERROR", 0),
        missed=missed,
    )


def parts(
    connection: sqlite3.Connection,
    *,
    session: str | None = None,
    part_id: int | None = None,
    acquisition_id: int | None = None,
    verdicts: Sequence[Verdict] = (),
    recipe: str | None = None,
    with_image: bool = False,
    newest: int | None = None,
) -> Iterator[PartRow]:
    """Parts in the order they were written: of one session, an id, some verdicts, a recipe, with image; newest n."""
    conditions = ["1"]
    values: list[Any] = []
    for column, wanted in (("session", session), ("part_id", part_id), ("acquisition_id", acquisition_id)):
        if wanted is not None:
            conditions.append(f"{column} = ?")
            values.append(wanted)
    if verdicts:
        conditions.append(f"verdict IN ({', '.join('?' * len(verdicts))})")
        values.extend(verdict.name for verdict in verdicts)
    if recipe is not None:
        conditions.append("recipe = ?")
        values.append(recipe)
    if with_image:
        conditions.append("image_path IS NOT NULL")
    query = f"SELECT * FROM parts WHERE {' AND '.join(conditions)}"
    if newest is not None:
        query = f"SELECT * FROM ({query} ORDER BY id DESC LIMIT ?)"
        values.append(newest)
    for row in connection.execute(f"{query} ORDER BY id", values):
        values_of = {name: row[name] for name in _COLUMNS}
        values_of.update({name: bool(row[name]) for name in _FLAGS})
        yield PartRow(**values_of)


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened and is no part."""

    session: str
    wall_time: float
    kind: str
    level: str
    detail: str


def events(
    connection: sqlite3.Connection, *, session: str | None = None, kind: str | None = None
) -> Iterator[EventRow]:
    """Events in the order they were written."""
    query = "SELECT session, wall_time, kind, level, detail FROM events WHERE 1"
    values = []
    for column, value in (("session", session), ("kind", kind)):
        if value is not None:
            query += f" AND {column} = ?"
            values.append(value)
    for row in connection.execute(f"{query} ORDER BY id", values):
        yield EventRow(*row)
