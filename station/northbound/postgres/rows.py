"""A part on record as a row of the table `parts` of the fleet, and which parts have one.

PostgreSQL keeps no zero byte in a text and no half of a surrogate pair: a detail that came from elsewhere would stop
everything behind it. Such letters become U+FFFD.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from station.northbound.part_event import acknowledged_ms
from station.northbound.readings import moment
from station.records.images import read_below
from station.records.parts import PartRow, ViewRow
from station.records.sample import in_sample
from station.reports.as_data import reasons_as_data
from station.results import Verdict

COLUMNS = (
    "station", "session", "acquisition_id", "wall_time", "part_id", "verdict", "reason", "reasons", "score",
    "reject_score", "defect_area_mm2", "kind", "recipe", "engine_id", "recipe_checksum", "config_checksum", "batch",
    "challenge", "late", "signalled_ms", "acknowledged_ms", "views", "sequence",
)  # fmt: skip
Values = tuple[Any, ...]
NO_HASHES: Final[Mapping[str, str]] = MappingProxyType({})
LARGEST_REAL, SMALLEST_REAL = 3.4e38, 1.2e-38
"""PostgreSQL refuses what is beyond."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which parts have a row of their own; the sums of minutes count all."""

    pass_every: int = 1000
    """Of PASS: every Nth; 1: all; 0: none."""
    image_share: float = 0.0
    """Of PASS: also those of the sample whose images are sent; without its row nobody knows what an image shows."""

    def takes(self, row: PartRow) -> bool:
        """The same whoever asks, whenever: a part that comes again is not another choice."""
        if row.verdict != Verdict.PASS.name or in_sample(row.session, row.acquisition_id, self.image_share):
            return True
        return self.pass_every > 0 and row.acquisition_id % self.pass_every == 0


def values_of(row: PartRow, station: str, sequence: int, hashes: Mapping[str, str] = NO_HASHES) -> Values:
    """In the order of `COLUMNS`. `hashes`: path of an image below the records -> SHA-256 of the file."""
    first = next(iter(row.reason_list), None)
    return (
        clean(station),
        clean(row.session),
        row.acquisition_id,
        moment(row.wall_time),
        row.part_id,
        row.verdict,
        0 if first is None else int(first.code),
        as_json(reasons_as_data(row.reason_list)),
        real(row.score),
        real(row.reject_score),
        real(row.defect_area_mm2),
        clean(row.kind),
        clean(row.recipe),
        clean(row.engine_id),
        clean(row.recipe_checksum),
        clean(row.config_checksum),
        row.batch,
        row.challenge,
        row.late,
        real(row.signalled_ms),
        real(acknowledged_ms(row)),
        as_json([_view(view, hashes) for view in row.views]),
        sequence,
    )


def engines_of(rows: Iterable[PartRow], station: str) -> list[Values]:
    """(station, engine, recipe, first part, last part) of each engine that has judged one of these."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for row in rows:
        key = (row.engine_id, row.recipe)
        first, last = found.get(key, (row.wall_time, row.wall_time))
        found[key] = (min(first, row.wall_time), max(last, row.wall_time))
    return [
        (clean(station), clean(engine), clean(recipe), moment(first), moment(last))
        for (engine, recipe), (first, last) in found.items()
    ]


def clean(text: str) -> str:
    """As PostgreSQL can keep it."""
    if text.isascii() and "\0" not in text:
        return text
    return "".join("\ufffd" if letter == "\0" or "\ud800" <= letter <= "\udfff" else letter for letter in text)


def as_json(value: Any) -> str:
    """JSON text as PostgreSQL can keep it; numbers that are none become null."""
    return json.dumps(_storable(value), allow_nan=False)


def real(value: float | None) -> float | None:
    """As a number of single precision can keep it."""
    if value is None or not math.isfinite(value):
        return None
    if abs(value) < SMALLEST_REAL:
        return 0.0
    return min(max(value, -LARGEST_REAL), LARGEST_REAL)


def hashes_of(rows: Iterable[PartRow], records: Path) -> dict[str, str]:
    """Of the images of these parts, by their path below `records`; one that cannot be read has none."""
    found: dict[str, str] = {}
    for row in rows:
        for view in row.views:
            if view.image_path is not None and not view.image_deleted:
                try:
                    content = read_below(records, view.image_path)
                except OSError:
                    continue  # deleted meanwhile, or no plain file: the row goes without
                found[view.image_path] = hashlib.sha256(content).hexdigest()
    return found


def _view(view: ViewRow, hashes: Mapping[str, str]) -> dict[str, Any]:
    """What one camera saw; contours and maps stay on the station."""
    return {
        "camera": view.camera,
        "verdict": view.verdict,
        "score": view.score,
        "defect_area_mm2": view.defect_area_mm2,
        "regions": view.region_count,
        "reasons": [int(reason.code) for reason in view.reason_list],
        "image_sha256": None if view.image_path is None else hashes.get(view.image_path),
    }


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {clean(str(key)): _storable(inner) for key, inner in value.items()}
    return [_storable(inner) for inner in value] if isinstance(value, list) else value
