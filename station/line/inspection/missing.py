"""Places of a frame where nothing was measured: they are in no score and in no region.

What stands in the picture there comes from the neighbours; a score of it would be one of a guess. Their share has a
limit of its own (`[quality] max_missing_share`), so that leaving them out never hides a part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec, MapScore
from engines.ignored_zones import score_of
from engines.location.pose import TurnedPlacement
from engines.preprocess import Placement, fit
from station.results import Scores

_HALF = 128
"""Of a cell that is missing, 255 for all of it: from here on the cell does not count."""

Counted = Callable[[Placement | TurnedPlacement, tuple[int, ...]], NDArray[np.bool_]]
"""Which cells of a map over the model's input count: those outside ignored zones."""


def without_missing(
    scores: Scores,
    missing: NDArray[np.bool_],
    spec: InputSpec,
    rule: MapScore | None,
    counted: Counted | None = None,
) -> Scores:
    """Scores of what was measured.

    The image score is that of the other cells by the rule of the engine, on as many of them as ever: so it never
    rises above that of the whole map, and is not a number (an ERROR) where fewer are left. An engine whose score does
    not follow from its map keeps it. Cells of the shown map have its lowest value.

    Args:
        missing: (height, width) of the frame, True where nothing was measured.
        spec: the input of the model.
        rule: how the image score follows from the map; None: it does not.
        counted: of zones that are ignored besides; None: there are none.
    """
    drawn = np.asarray(missing, np.uint8) * np.uint8(255)
    rows, columns = scores.anomaly_map.shape
    over_frame = np.asarray(cv2.resize(drawn, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    lowest = scores.anomaly_map.min() if scores.anomaly_map.size else 0.0
    shown = np.where(over_frame >= _HALF, lowest, scores.anomaly_map).astype(np.float32)
    scores = replace(scores, anomaly_map=shown)
    if rule is None or scores.model_map is None or scores.placement is None or not math.isfinite(scores.image_score):
        return scores
    placement = scores.placement
    seen = placement.warp(drawn) if isinstance(placement, TurnedPlacement) else fit(drawn, spec).pixels[..., 0]
    rows, columns = scores.model_map.shape
    cells = np.asarray(cv2.resize(np.ascontiguousarray(seen), (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    counts = cells < _HALF
    if counted is not None:
        counts &= counted(placement, scores.model_map.shape)
    elif bool(counts.all()):
        return scores
    return replace(scores, image_score=score_of(scores.model_map[counts], scores.model_map.size, rule))
