"""What a report needs from the records and the labels: all parts of a period as columns, and what people said of them.

Read in steps, so that a reader never holds up the writer of the records for longer than one of them takes.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from station.labels.dispositions import Disposition, dispositions
from station.records.configurations import kept_files
from station.records.events import MISSED
from station.records.selection import BATCH
from station.results import Verdict

STEP = 5000
VERDICTS = tuple(verdict.name for verdict in Verdict)


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` until just before `until`, in seconds since the epoch."""

    name: str
    since: float
    until: float


@dataclass(slots=True)
class Parts:
    """Production of a period, one element a part, in the order of time; master parts are not among them."""

    wall_time: NDArray[np.float64]
    signalled_ms: NDArray[np.float64]
    """NaN: no result was shown."""
    verdict: NDArray[np.str_]
    late: NDArray[np.bool_]
    key: list[tuple[str, int]]
    part_id: list[int]
    recipe: list[str]
    engine_id: list[str]
    score: NDArray[np.float64]
    reasons: Counter[tuple[int | None, str]] = field(default_factory=Counter)
    """First reason and verdict of every part that did not pass."""
    incomplete: list[tuple[str, int]] = field(default_factory=list)
    """(what is missing, part id)."""
    lacking: int = 0
    """Parts of which something is missing; a line without ids calls all of its parts 0."""
    settings: set[str] = field(default_factory=set)
    """Checksums of the configurations they were judged by."""

    def __len__(self) -> int:
        return len(self.key)

    def count(self, verdict: str) -> int:
        return int((self.verdict == verdict).sum())


@dataclass(frozen=True, slots=True)
class Word:
    """The label that holds for a part."""

    label: str
    defect_class: str | None
    severity: str | None


@dataclass(slots=True)
class Said:
    """What people said in a period."""

    words: dict[tuple[str, int], Word]
    sampled: set[tuple[str, int]]
    """Parts of the random sample."""
    took_s: list[float]
    """From the moment a part was queued until somebody decided it."""
    looking_s: float
    """That people spent on decisions."""
    decided: int
    waiting: int
    treated: list[Disposition]
    pairs: list[tuple[str, str]]
    """What two people said blindly of the same part."""


def read_parts(
    records: sqlite3.Connection,
    period: Period,
    recipe: str | None = None,
    on_step: Callable[[int], None] = lambda _done: None,
    *,
    batch: int | None = None,
) -> Parts:
    """`on_step` takes how many parts are read; `batch`: the number of the one that is meant. Raises sqlite3.Error."""
    rows: list[Any] = []
    for step in _steps(records, period, recipe, batch):
        rows += step
        on_step(len(rows))
    rows.sort(key=lambda row: (row["wall_time"], row["id"]))
    kept = {one.checksum for one in kept_files(records)}
    found = Parts(
        wall_time=np.array([row["wall_time"] for row in rows], np.float64),
        signalled_ms=np.array([row["signalled_ms"] for row in rows], np.float64),
        verdict=np.array([row["verdict"] for row in rows], np.str_),
        late=np.array([bool(row["late"]) for row in rows], np.bool_),
        key=[(row["session"], row["acquisition_id"]) for row in rows],
        part_id=[row["part_id"] for row in rows],
        recipe=[row["recipe"] for row in rows],
        engine_id=[row["engine_id"] for row in rows],
        score=np.array([row["score"] for row in rows], np.float64),
    )
    for row in rows:
        if row["verdict"] != "PASS":
            found.reasons[(row["reason"], row["verdict"])] += 1
        found.settings.add(row["config_checksum"])
        missing = [(what, row["part_id"]) for what in _missing(row, kept)]
        found.incomplete += missing
        found.lacking += bool(missing)
    return found


def read_missed(records: sqlite3.Connection, period: Period) -> int:
    """Parts that came while the station was not ready."""
    query = "SELECT COUNT(*) FROM events WHERE +kind = ? AND wall_time >= ? AND wall_time < ?"
    return int(records.execute(query, (MISSED, period.since, period.until)).fetchone()[0])


def read_regions(records: sqlite3.Connection, period: Period) -> dict[str, list[tuple[float, float]]]:
    """By camera: centres of the regions of parts that did not pass, in px of the frame."""
    query = (
        "SELECT camera, regions FROM views WHERE region_count > 0 AND part IN (SELECT id FROM parts WHERE "
        "wall_time >= ? AND wall_time < ? AND +verdict IN ('FAIL', 'REVIEW') AND challenge IS NULL "
        "ORDER BY wall_time LIMIT ?)"
    )
    found: dict[str, list[tuple[float, float]]] = {}
    for camera, regions in records.execute(query, (period.since, period.until, STEP)):
        found.setdefault(camera, []).extend(tuple(one["centre_px"]) for one in json.loads(regions))
    return found


def read_said(labels: sqlite3.Connection | None, period: Period, now: float) -> Said:
    """Without a database of labels nobody has said anything. Raises sqlite3.Error."""
    if labels is None:
        return Said({}, set(), [], 0.0, 0, 0, [], [])
    span = {"since": period.since, "until": period.until}
    where = "wall_time >= :since AND wall_time < :until"
    words = {
        (row["session"], row["acquisition_id"]): Word(row["label"], row["class"], row["severity"])
        for row in labels.execute(f"SELECT * FROM labels WHERE camera IS NULL AND {where}", span)
    }
    if not labels.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchone():
        return Said(words, set(), [], 0.0, len(words), 0, [], [])
    items = labels.execute(f"SELECT session, acquisition_id, why, state FROM items WHERE {where}", span).fetchall()
    took = labels.execute(
        "SELECT MIN(d.at) - i.made_at AS after, SUM(d.took_ms) AS looked, COUNT(*) AS n FROM items AS i "
        "JOIN decisions AS d ON d.session = i.session AND d.acquisition_id = i.acquisition_id AND d.kind <> 'undo' "
        f"WHERE i.{where.replace('AND wall', 'AND i.wall')} GROUP BY i.id",
        span,
    ).fetchall()
    blind: dict[tuple[str, int], list[str]] = {}
    for session, number, label in labels.execute(
        f"SELECT session, acquisition_id, label FROM decisions WHERE blind = 1 AND kind = 'decide' AND {where} "
        "ORDER BY id",
        span,
    ):
        blind.setdefault((session, number), []).append(label)
    return Said(
        words=words,
        sampled={(row["session"], row["acquisition_id"]) for row in items if row["why"] == "sample"},
        took_s=[max(0.0, row["after"]) for row in took],
        looking_s=sum(row["looked"] or 0 for row in took) / 1000,
        decided=sum(row["n"] for row in took),
        waiting=sum(row["state"] != "answered" for row in items),
        treated=dispositions(labels, period.since, period.until, now),
        pairs=[(said[0], said[1]) for said in blind.values() if len(said) >= 2],
    )


def _steps(records: sqlite3.Connection, period: Period, recipe: str | None, batch: int | None) -> Iterator[list[Any]]:
    """The rows of the period, at most `STEP` in a statement."""
    query = (
        "SELECT id, session, acquisition_id, part_id, wall_time, signalled_ms, verdict, late, recipe, engine_id, "
        "score, config_checksum, json_extract(reasons, '$[0].code') AS reason, "
        "(SELECT COUNT(*) FROM views WHERE part = parts.id) AS views, (SELECT COUNT(*) FROM views WHERE "
        "part = parts.id AND image_path IS NULL AND image_deleted = 0) AS without_image "
        "FROM parts WHERE (wall_time, id) > (?, ?) AND wall_time < ? AND challenge IS NULL "
        f"{'' if recipe is None else 'AND +recipe = ? '}{'' if batch is None else f'AND {BATCH} = ? '}"
        "ORDER BY wall_time, id LIMIT ?"
    )
    at: tuple[float, int] = (period.since, -1)
    while True:
        chosen = [one for one in (recipe, batch) if one is not None]
        rows = records.execute(query, (*at, period.until, *chosen, STEP)).fetchall()
        if rows:
            yield rows
        if len(rows) < STEP:
            return
        at = (rows[-1]["wall_time"], rows[-1]["id"])


def _missing(row: Any, kept: set[str]) -> Iterator[str]:
    """What should be there of a part and is not."""
    if row["verdict"] != "ERROR" and not row["engine_id"]:
        yield "which engine judged it"
    if kept and row["config_checksum"] not in kept:
        yield "the settings it was judged by"
    if row["verdict"] != "PASS" and row["without_image"]:
        yield "its image"
