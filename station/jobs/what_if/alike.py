"""Parts that every limit treats alike: one of each kind is decided again, and speaks for all of them.

Limits compare. Two views whose values lie on the same side of every limit that there is, before and after, get the same
verdict, whatever the rules are; the rules themselves stay in one place, the line's own. So SQLite says on which side
each value lies, and thousands of parts become a few kinds. A part whose regions are held against limits, or that was
not measured, is a kind of its own.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from station.codes import ReasonCode
from station.line.inspection.decision import Limits, RegionLimits
from station.records.parts import PartRow, numbered_parts
from station.records.selection import NEWEST, Mark

_VALUES = {
    "score": "v.score",
    "grey": "v.mean_grey",
    "saturated": "v.saturated_share",
    "sharpness": "v.sharpness",
    "relative": "v.sharpness / (max(v.mean_grey, 1.0) * max(v.mean_grey, 1.0))",
}
"""What limits compare, of a view."""
_ROUNDED = 1e-12
"""A quotient that lies so near to a limit may lie on the other side when it is computed elsewhere."""


class Numbered(NamedTuple):
    """A part that is to be decided again: what is needed of each, so that 50,000 of them cost little."""

    number: int
    """Of its row."""
    session: str
    acquisition_id: int
    wall_time: float
    judged_by: tuple[str, str, str]
    """Engine, and checksums of configuration and recipe."""
    kind: str
    """The same of parts that every limit treats alike."""


class Sides:
    """The values at which a limit changes what it says, and the SQL that says on which side of each a part lies."""

    def __init__(self, limits: Sequence[Limits], kept: frozenset[ReasonCode]) -> None:
        """`limits`: all that a view may be held against; `kept`: reasons that stay whatever the limits are."""
        self._cuts: dict[str, set[float]] = {name: set() for name in _VALUES}
        self._regions_count = False
        self._bound: dict[str, float] = {}
        for one in limits:
            self._take(one)
        codes = ", ".join(str(int(code)) for code in kept)
        own = [
            "v.score + v.mean_grey + v.saturated_share + v.sharpness + v.region_count IS NULL",  # any of them
            "abs(v.score) > 1e300",
            "v.reasons <> '[]' AND EXISTS (SELECT 1 FROM json_each(v.reasons) "
            f"WHERE json_extract(value, '$.code') IN ({codes}))",
            *(["v.region_count > 0"] if self._regions_count else []),
            *self._too_near(),
        ]
        sides = "(v.region_count > 0 AND v.region_count > json_array_length(v.regions))"
        for name in _VALUES:  # one number of mixed radix: joining text for each value took as long as reading the rows
            sides = f"({sides} * {2 * len(self._cuts[name]) + 1} + {self._side(name)})"
        self._kind = (
            f"CASE WHEN {' OR '.join(f'({each})' for each in own)} THEN '!' "
            f"ELSE quote(v.camera) || ':' || v.verdict || ':' || {sides} END"
        )

    def _take(self, limits: Limits) -> None:
        quality = limits.quality
        self._cut("score", limits.reject_score, limits.review_score)
        self._cut("grey", quality.min_mean_grey, quality.max_mean_grey)
        self._cut("saturated", quality.max_saturated_share)
        self._cut("sharpness", quality.min_sharpness)
        if quality.taught is not None:
            for name, band in (
                ("grey", quality.taught.grey),
                ("saturated", quality.taught.saturated),
                ("relative", quality.taught.sharpness),
            ):
                self._cut(name, band.low, band.high)
        if limits.regions != RegionLimits() or any(zone.limits != RegionLimits() for zone in limits.zones):
            self._regions_count = True

    def _cut(self, name: str, *values: float | None) -> None:
        self._cuts[name].update(value for value in values if value is not None and math.isfinite(value))

    def _side(self, name: str) -> str:
        """How many of the cuts the value reaches, and how many it exceeds, together: below, at and above differ."""
        value = _VALUES[name]
        pieces = [f"({value} >= {cut}) + ({value} > {cut})" for cut in map(self._bind, sorted(self._cuts[name]))]
        return f"({' + '.join(pieces)})" if pieces else "0"

    def _too_near(self) -> Iterator[str]:
        value = _VALUES["relative"]
        for cut in self._cuts["relative"]:
            yield f"abs({value} - {self._bind(cut)}) <= {self._bind(_ROUNDED * max(1.0, abs(cut)))}"

    def _bind(self, value: float) -> str:
        """The name of the value in the statement: written as text it might be read as its neighbour."""
        name = f"cut{len(self._bound)}"
        self._bound[name] = value
        return f":{name}"

    def newest(self, connection: sqlite3.Connection, recipe: str, limit: int, before: Mark = NEWEST) -> list[Numbered]:
        """Parts of production of this recipe that lie before the mark, newest first."""
        query = f"""SELECT p.id, p.session, p.acquisition_id, p.wall_time, p.engine_id, p.config_checksum,
                p.recipe_checksum,
                p.verdict || ' ' || CASE WHEN p.late OR p.recovered OR p.verdict = 'ERROR'
                THEN 'not inspected' ELSE
                (SELECT group_concat({self._kind}, ';') FROM views AS v WHERE v.part = p.id) END
            FROM parts AS p WHERE p.recipe = :recipe AND p.challenge IS NULL AND (p.wall_time, p.id) < (:time, :id)
            ORDER BY p.wall_time DESC, p.id DESC LIMIT :most"""
        values = {"recipe": recipe, "time": before[0], "id": before[1], "most": limit, **self._bound}
        connection.row_factory = None
        found = []
        for number, session, acquisition, wall_time, engine, config, of_recipe, kind in connection.execute(
            query, values
        ):
            whole = f"! {number}" if kind is None or "!" in kind else kind
            found.append(Numbered(number, session, acquisition, wall_time, (engine, config, of_recipe), whole))
        return found


def rows_of(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, PartRow]:
    """These parts, by the number of their row."""
    chosen = "SELECT * FROM parts WHERE id IN (SELECT value FROM json_each(?))"
    return dict(numbered_parts(connection, chosen, (json.dumps(list(numbers)),)))
