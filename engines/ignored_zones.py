"""The image score of a frame without what its ignored zones show.

    zones of the frame ─► where the model saw them (placement) ─► cells of its map ─► score of all other cells

The score follows from the map by the rule that the engine was calibrated with, on as many cells: whatever is taken out
of the map, it never rises above the score of the whole map. So no good part fails because of a zone, and the promise on
good parts holds; see docs/decisions/0021-ignored-zones.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.location_spec import Point
from engines.bundle.manifest import MapScore
from engines.location.pose import TurnedPlacement
from engines.preprocess import Placement

FINE = 16
"""Points per cell, in each direction, on which a zone is drawn."""


@dataclass(frozen=True, slots=True)
class FrameZone:
    """A polygon in the frame, corners as shares of its width and height."""

    name: str
    polygon: tuple[Point, ...]
    ignore: bool


class IgnoredZones:
    """The zones of one view. One thread scores with it; the mask of a placement is kept for the next frame.

    Args:
        zones: all of them, in order: where they overlap the first one decides, as it does for regions.
        rule: how the image score follows from the map.
    """

    def __init__(self, zones: Sequence[FrameZone], rule: MapScore) -> None:
        self._zones = tuple(zones)
        self._rule = rule
        self._kept: tuple[object, NDArray[np.bool_]] | None = None

    def score(self, model_map: NDArray[np.float32], placement: Placement | TurnedPlacement) -> float:
        """The image score of the cells outside; NaN where fewer are left than the score is made of.

        Args:
            model_map: (map_height, map_width), over the model's input.
            placement: where the frame lies in that input.
        """
        return score_of(model_map[self.counted(placement, model_map.shape)], model_map.size, self._rule)

    def counted(self, placement: Placement | TurnedPlacement, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """(map_height, map_width), False for cells that lie wholly inside ignored zones."""
        key = (placement, shape)
        if self._kept is None or self._kept[0] != key:
            self._kept = key, _ignored(self._zones, placement, shape) < 255
        return self._kept[1]

    def problem(self, placement: Placement | TurnedPlacement, shape: tuple[int, ...]) -> str:
        """Why these zones cannot be ignored on a map of this shape; empty when they can."""
        for zone in self._zones:
            if zone.ignore and not (_ignored([zone], placement, shape) == 255).any():
                return f'zone "{zone.name}" holds no whole cell of the engine\'s map, {_cells(shape)}: make it larger'
        left, needed = int(self.counted(placement, shape).sum()), _hottest(math.prod(shape), self._rule)
        if left < needed:
            return f"outside ignored zones are {left} cells of the engine's map, its score needs {needed}: shrink them"
        return ""


def score_of(values: NDArray[np.float32], cells: int, rule: MapScore) -> float:
    """The image score of some values of a map of `cells` cells; NaN where they are too few or not finite."""
    count = _hottest(cells, rule)
    if values.size < count or not np.isfinite(values).all():
        return math.nan
    hottest = np.partition(values.reshape(-1), values.size - count)[values.size - count :].astype(np.float64)
    if not rule.log:
        return float(hottest.mean())
    highest = float(hottest.max())
    return highest + math.log(float(np.exp(hottest - highest).mean()))


def _hottest(cells: int, rule: MapScore) -> int:
    return math.ceil(cells * rule.hottest_share)


def _ignored(
    zones: Sequence[FrameZone], placement: Placement | TurnedPlacement, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """(map_height, map_width): how much of each cell is ignored, 255 for all of it."""
    rows, columns = shape
    drawn = np.zeros((rows * FINE, columns * FINE), np.uint8)
    to_drawn = np.array([columns / placement.input_width, rows / placement.input_height]) * FINE
    for zone in reversed(zones):
        corners = placement.in_input(np.asarray(zone.polygon, np.float64)) * to_drawn - 0.5
        cv2.fillPoly(drawn, [np.rint(corners).astype(np.int32)], 255 if zone.ignore else 0)
    return np.asarray(cv2.resize(drawn, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _cells(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} cells"
