"""The tables of parts and views: one row a part, one a camera that has seen it. Queries.

Times of a part are in ms after its trigger; NULL stands for a step that did not happen.
"""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

from station.codes import ReasonCode
from station.records.statement import Statement
from station.results import (
    SEVERITY,
    Decision,
    Inspection,
    InspectionRecord,
    Reason,
    Region,
    Verdict,
    defect_area_mm2,
    kind_of,
    score_of,
)

KIND = "kind"
"""Name in the column `extra` of the kind of defect that the engine suggests."""
BATCH_KEY = "batch"
"""And of the number of its batch."""


@dataclass(frozen=True, slots=True)
class ViewRow:
    """What one camera saw of a part; the columns of the table `views`."""

    camera: str
    frame_id: int
    received_ms: float | None
    inspection_start_ms: float | None
    engine_start_ms: float | None
    engine_end_ms: float | None
    decided_ms: float | None
    verdict: str
    """Of this view alone."""
    reasons: str
    score: float | None
    """0 to 1; NULL also for parts that an older version recorded."""
    raw_score: float | None
    reject_score: float | None
    defect_area_mm2: float | None
    region_count: int | None
    regions: str
    mean_grey: float | None
    saturated_share: float | None
    sharpness: float | None
    image_path: str | None = None
    map_path: str | None = None
    map_low: float | None = None
    map_high: float | None = None
    image_skipped: str | None = None
    image_deleted: bool = False

    @property
    def reason_list(self) -> tuple[Reason, ...]:
        """Most severe first."""
        return _reasons(self.reasons)

    @property
    def region_list(self) -> tuple[Region, ...]:
        """The regions that were listed, largest first."""
        return tuple(_region(item) for item in json.loads(self.regions))


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part on record: the columns of the table `parts`, and its views."""

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
    score: float | None = None
    """The highest of its views."""
    defect_area_mm2: float | None = None
    """Of all views together."""
    recipe_checksum: str = ""
    challenge: int | None = None
    """The run of the challenge test that it was part of; None: production."""
    late: bool = False
    late_verdict: str | None = None
    recovered: bool = False
    views: tuple[ViewRow, ...] = ()
    """In the order of the configuration, late ones last; none of a part whose frame never came."""

    @property
    def reason_list(self) -> tuple[Reason, ...]:
        """Most severe first."""
        return _reasons(self.reasons)

    @property
    def kind(self) -> str:
        """Of the defect, as the engine suggests it; empty: the part passes, or the engine knows no kinds."""
        return str(json.loads(self.extra).get(KIND, ""))

    @property
    def batch(self) -> int | None:
        """The number of its batch; None: none was open."""
        if f'"{BATCH_KEY}"' not in self.extra:
            return None
        found = json.loads(self.extra).get(BATCH_KEY)
        return found if isinstance(found, int) else None

    @property
    def engine_ms(self) -> float | None:
        """In the bare calls of the engine; views that were scored together share one."""
        calls = {(view.engine_start_ms, view.engine_end_ms) for view in self.views}
        times = [end - start for start, end in calls if start is not None and end is not None]
        return sum(times) if times else None

    @property
    def worst_view(self) -> ViewRow | None:
        """What a person looks at first: the view with the worst verdict, of equal ones the highest score."""
        return max(self.views, key=lambda view: (SEVERITY[Verdict[view.verdict]], view.score or 0.0), default=None)


_VIEW_COLUMNS = tuple(field.name for field in fields(ViewRow))
_COLUMNS = tuple(field.name for field in fields(PartRow) if field.name != "views")
_FLAGS = ("late", "recovered", "image_deleted")
_FLAG_PLACES = [place for place, name in enumerate(_COLUMNS) if name in _FLAGS]

_INSERT_PART = (
    f"INSERT INTO parts ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "
    "ON CONFLICT (session, acquisition_id) DO UPDATE SET late = 1, "
    + ", ".join(f"{name} = COALESCE({name}, excluded.{name})" for name in ("late_verdict", "score", "defect_area_mm2"))
    + " WHERE excluded.late"
)
"""A part that is there already stays as it is (written again after a restart) unless this is its late answer, which
never touches verdict, reasons and the time of the signal."""
_INSERT_VIEW = (
    f"INSERT INTO views (part, {', '.join(_VIEW_COLUMNS)}) "
    f"SELECT id, {', '.join(f':{name}' for name in _VIEW_COLUMNS)} FROM parts "
    "WHERE session = :session AND acquisition_id = :acquisition_id ON CONFLICT (part, camera) DO NOTHING"
)
_ACKNOWLEDGED = (
    "UPDATE parts SET extra = json_set(extra, '$.acknowledged_ms', :acknowledged_ms) "
    "WHERE session = :session AND acquisition_id = :acquisition_id"
)
_PICTURE = (
    "UPDATE views SET image_path = :image_path, map_path = :map_path, map_low = :map_low, map_high = :map_high, "
    "image_skipped = :image_skipped WHERE camera = :camera AND image_path IS NULL AND image_deleted = 0 AND part = "
    "(SELECT id FROM parts WHERE session = :session AND acquisition_id = :acquisition_id)"
)
_IMAGE_DELETED = "UPDATE views SET image_path = NULL, map_path = NULL, image_deleted = 1 WHERE image_path = :image_path"


def part_row(record: InspectionRecord, *, recovered: bool = False) -> PartRow:
    """The row of a part with its views, still without images."""
    part, decision, views = record.part, record.decision, record.views
    if record.late and decision.verdict is not Verdict.ERROR:
        # A late answer was never applied, so it must not be found as the part's verdict.
        decision = Decision.error(ReasonCode.DEADLINE, "the answer came late")
    score = score_of(views)
    return PartRow(
        session=record.session,
        acquisition_id=part.acquisition_id,
        part_id=part.part_id,
        source=part.source,
        encoder_count=part.encoder_count,
        wall_time=part.wall_time,
        verdict=decision.verdict.name,
        reasons=_as_json(decision),
        engine_id=record.engine_id,
        recipe=record.recipe,
        config_checksum=record.config_checksum,
        extra=json.dumps(record.extra | ({KIND: kind} if (kind := kind_of(views)) else {})),
        signalled_ms=_after(part.time_ns)(record.signalled_ns),
        reject_score=_finite(record.reject_score),
        score=None if score is None else _finite(score),
        defect_area_mm2=None if score is None else float(defect_area_mm2(views)),
        recipe_checksum=record.recipe_checksum,
        challenge=part.challenge or None,
        late=record.late,
        late_verdict=views[0].decision.verdict.name if record.late and views else None,
        recovered=recovered,
        views=tuple(_view_row(view, _after(part.time_ns)) for view in views),
    )


def _after(trigger_ns: int) -> Callable[[int], float | None]:
    """Times in ms after the trigger; None for a step that did not happen."""
    return lambda time_ns: (time_ns - trigger_ns) / 1e6 if time_ns else None


def _view_row(view: Inspection, after_ms: Callable[[int], float | None]) -> ViewRow:
    scores, measurement = view.scores, view.measurement
    quality = None if measurement is None else measurement.quality
    regions = [] if measurement is None else [_rounded(asdict(region)) for region in measurement.regions.listed]
    return ViewRow(
        camera=view.camera,
        frame_id=int(view.frame.frame_id),
        received_ms=after_ms(view.frame.received_time_ns),
        inspection_start_ms=after_ms(view.started_ns),
        engine_start_ms=None if scores is None else after_ms(scores.engine_start_ns),
        engine_end_ms=None if scores is None else after_ms(scores.engine_end_ns),
        decided_ms=after_ms(view.decided_ns),
        verdict=view.decision.verdict.name,
        reasons=_as_json(view.decision),
        score=None if measurement is None else _finite(measurement.score),
        raw_score=None if scores is None else _finite(scores.image_score),
        reject_score=None if view.reject_score is None else _finite(view.reject_score),
        defect_area_mm2=None if measurement is None else float(measurement.defect_area_mm2),
        region_count=None if measurement is None else measurement.regions.count,
        regions=json.dumps(regions),
        mean_grey=None if quality is None else _finite(quality.mean_grey),
        saturated_share=None if quality is None else _finite(quality.saturated_share),
        sharpness=None if quality is None else _finite(quality.sharpness),
    )


def insert_part(row: PartRow) -> Statement:
    """Enters a part with its views."""
    key = {"session": row.session, "acquisition_id": row.acquisition_id}
    return Statement(
        _INSERT_PART,
        {name: getattr(row, name) for name in _COLUMNS},
        part=(row.session, row.acquisition_id),
        dependent=tuple(Statement(_INSERT_VIEW, {**key, **asdict(view)}) for view in row.views),
    )


def pictures_of_part(row: PartRow) -> Statement:
    """The views of a part on record that has no pictures have those of `row` now."""
    names = ("camera", "image_path", "map_path", "map_low", "map_high", "image_skipped")
    key = {"session": row.session, "acquisition_id": row.acquisition_id}
    first, *others = (Statement(_PICTURE, key | {name: getattr(view, name) for name in names}) for view in row.views)
    return Statement(first.sql, first.values, dependent=tuple(others))


def part_acknowledged(session: str, acquisition_id: int, after_trigger_ms: float) -> Statement:
    """The PLC has read the result of a part on record; kept as text, like everything in `extra`."""
    values = {"session": session, "acquisition_id": acquisition_id, "acknowledged_ms": f"{after_trigger_ms:.3f}"}
    return Statement(_ACKNOWLEDGED, values)


def image_deleted(image_path: str) -> Statement:
    """The image of a view, and its map, are no longer on disk."""
    return Statement(_IMAGE_DELETED, {"image_path": image_path})


def newest_id(connection: sqlite3.Connection) -> int:
    """The row id of the newest part; 0: there is none."""
    return int(connection.execute("SELECT COALESCE(MAX(id), 0) FROM parts").fetchone()[0])


def image_paths(connection: sqlite3.Connection) -> list[str]:
    """The images that rows name."""
    return [path for (path,) in connection.execute("SELECT image_path FROM views WHERE image_path IS NOT NULL")]


def _as_json(decision: Decision) -> str:
    return json.dumps([{"code": int(reason.code), "detail": reason.detail} for reason in decision.reasons])


@lru_cache(maxsize=1024)  # the same of many parts one after the other
def _reasons(text: str) -> tuple[Reason, ...]:
    return tuple(Reason(ReasonCode(item["code"]), item["detail"]) for item in json.loads(text))


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


def parts(
    connection: sqlite3.Connection,
    *,
    session: str | None = None,
    part_id: int | None = None,
    acquisition_id: int | None = None,
    verdicts: Sequence[Verdict] = (),
    recipe: str | None = None,
    with_image: bool = False,
    production: bool = False,
    between: tuple[float, float] | None = None,
    newest: int | None = None,
) -> Iterator[PartRow]:
    """Parts in the order they were written: of one session, an id, some verdicts, a recipe, with image, without those
    of challenge tests, triggered from `between[0]` to just before `between[1]`; newest n. A column behind a plus is
    looked at and not searched by: of two indexes SQLite cannot know which one finds fewer.
    """
    conditions = ["1"]
    values: list[Any] = []
    order = "id"
    if between is not None:
        conditions.append("wall_time >= ? AND wall_time < ?")
        values.extend(between)
    by_id, by_time = part_id is not None, between is not None or recipe is not None
    by_session = session is not None and acquisition_id is None and not (by_id or by_time)
    if by_id or by_time:
        order = "wall_time DESC, id"
    elif by_session:
        order = "acquisition_id"
    if acquisition_id is not None and session is None:
        conditions.append("session IN (SELECT session FROM sessions)")  # each of them is looked up
    of_session = "session" if by_session or acquisition_id is not None else "+session"
    of_recipe = "+recipe" if by_id or with_image else "recipe"
    for column, wanted in (
        (of_session, session),
        ("part_id", part_id),
        ("acquisition_id", acquisition_id),
        (of_recipe, recipe),
    ):
        if wanted is not None:
            conditions.append(f"{column} = ?")
            values.append(wanted)
    if verdicts:
        conditions.append(f"+verdict IN ({', '.join('?' * len(verdicts))})")
        values.extend(verdict.name for verdict in verdicts)
    if with_image:  # of which there are as many as the disk budget holds
        conditions.append("id IN (SELECT part FROM views WHERE image_path IS NOT NULL)")
    if production:
        conditions.append("challenge IS NULL")
    if len(conditions) == 1:
        conditions = ["id > 0"]
    chosen = f"SELECT * FROM parts WHERE {' AND '.join(conditions)}"
    if newest is not None:
        chosen += f" ORDER BY {order} DESC LIMIT ?"
        values.append(newest)
    return chosen_parts(connection, chosen, values)


def chosen_parts(connection: sqlite3.Connection, chosen: str, values: Sequence[Any]) -> Iterator[PartRow]:
    """The parts whose rows of the table a SELECT chooses, with their views, in the order they were written."""
    return (part for _, part in numbered_parts(connection, chosen, values))


def numbered_parts(
    connection: sqlite3.Connection, chosen: str, values: Sequence[Any], *, with_views: bool = True
) -> Iterator[tuple[int, PartRow]]:
    """The same, each with the id of its row. Not `with_views`: their views are left out."""
    if not with_views:
        query = f"SELECT id, {', '.join(_COLUMNS)} FROM ({chosen}) ORDER BY id"
        for row in connection.execute(query, values):
            number, *cells = row
            for place in _FLAG_PLACES:
                cells[place] = bool(cells[place])
            yield number, PartRow(*cells)
        return
    columns = [f"p.{name}" for name in _COLUMNS] + [f"v.{name}" for name in _VIEW_COLUMNS]
    query = (  # one statement: a part never comes with half of its views
        f"SELECT p.id, {', '.join(columns)} FROM ({chosen}) AS p LEFT JOIN views AS v ON v.part = p.id "
        "ORDER BY p.id, v.id"
    )
    for number, rows in itertools.groupby(map(tuple, connection.execute(query, values)), key=lambda row: row[0]):
        yield number, _part_of(list(rows))


def _part_of(rows: Sequence[Sequence[Any]]) -> PartRow:
    """From one row per view: id, columns of the part, columns of the view (all NULL for a part without views)."""
    first_of_view = 1 + len(_COLUMNS)
    views = (_with_flags(_VIEW_COLUMNS, row[first_of_view:]) for row in rows)
    return PartRow(
        **_with_flags(_COLUMNS, rows[0][1:first_of_view]),
        views=tuple(ViewRow(**view) for view in views if view["camera"] is not None),
    )


def _with_flags(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return {name: bool(value) if name in _FLAGS else value for name, value in zip(names, values, strict=True)}
