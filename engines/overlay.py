"""How a heat map lies over a picture, everywhere: its palette, its opacity, its legend, and outlines on any ground.

Scores run from 0 to 1 with 0.5 at the limit (`engines.scale`). Below the limit nothing covers the part. From there on
colour runs from yellow through orange and red to violet, ever darker: eyes that confuse red and green see the order,
and it is there in grey, too. At most half of a pixel is colour, so that the part stays recognisable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.scale import LIMIT, ScoreScale

Pixels: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]

HEAT: tuple[tuple[float, Colour], ...] = (
    (LIMIT, (255, 226, 70)),
    (0.65, (250, 150, 25)),
    (0.8, (215, 45, 70)),
    (1.0, (92, 10, 120)),
)
"""Score and RGB; straight lines between them."""
OPACITY = (0.4, 0.5)
"""Share of the colour at the limit and at score 1; nothing below the limit."""
OUTLINE: Colour = (255, 255, 255)
CASING: Colour = (20, 20, 20)
"""Beside every outline, so that it shows on a bright part as on a dark one."""
ZONE: Colour = (70, 170, 235)
_BEHIND_LEGEND: Colour = (150, 150, 150)


def as_rgb(picture: Pixels) -> Pixels:
    """A grey or RGB picture as RGB."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8) if picture.ndim == 2 else picture


def fitted(picture: Pixels, width: int, height: int) -> Pixels:
    """A grey or RGB picture as RGB, made smaller to stay within `width` x `height` px; never larger."""
    factor = min(1.0, width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return as_rgb(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8))


def shown_map(anomaly_map: NDArray[np.float32], scale: ScoreScale) -> NDArray[np.float32]:
    """`scale.shown` of every cell."""
    distance = 4.0 * (anomaly_map.astype(np.float64) - scale.limit) / (scale.limit - scale.typical)
    return np.asarray(LIMIT * (1.0 + distance / (1.0 + np.abs(distance))), np.float32)


def heated(picture: Pixels, anomaly_map: NDArray[np.float32], scale: ScoreScale) -> Pixels:
    """An RGB picture under the map that covers it completely.

    The raw map is interpolated and then shown, as regions are measured: colour begins where their outlines run.
    """
    height, width = picture.shape[:2]
    fine = cv2.resize(np.asarray(anomaly_map, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return coloured(picture, shown_map(np.asarray(fine, np.float32), scale))


def coloured(picture: Pixels, scores: NDArray[np.float32]) -> Pixels:
    """An RGB picture with the colours of these scores, (height, width) of the picture, over it."""
    at, colours = zip(*HEAT, strict=True)
    colour = np.stack([np.interp(scores, at, channel) for channel in zip(*colours, strict=True)], axis=-1)
    share = np.where(scores >= LIMIT, np.interp(scores, (LIMIT, 1.0), OPACITY), 0.0)[..., np.newaxis]
    return np.ascontiguousarray(np.rint(picture * (1.0 - share) + colour * share), np.uint8)


def legend(width: int, height: int) -> Pixels:
    """The colours from score 0 at the left to 1 at the right, over grey, with a mark at the limit."""
    scores = np.broadcast_to(np.linspace(0.0, 1.0, width, dtype=np.float32), (height, width))
    drawn = coloured(np.full((height, width, 3), _BEHIND_LEGEND, np.uint8), scores)
    middle = width // 2
    drawn[:, middle - 1 : middle + 1] = CASING
    return drawn


def outline(picture: Pixels, points: NDArray[np.int32] | Sequence[NDArray[np.int32]], colour: Colour = OUTLINE) -> None:
    """Draws closed outlines, (n, 2) or (n, 1, 2) points each, into an RGB picture: a light line between dark ones."""
    outlines = [points] if isinstance(points, np.ndarray) else list(points)
    cv2.polylines(picture, outlines, True, CASING, 3, cv2.LINE_AA)
    cv2.polylines(picture, outlines, True, colour, 1, cv2.LINE_AA)


def hexadecimal(colour: Colour) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
