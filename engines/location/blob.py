"""A part that stands out from an even background: its outline, its axis and the box around it.

The background is a quadratic surface fitted to the edge of the image (light falls off towards the corners), robustly,
so that a cable or a speck at the edge does not bend it. What differs from it by the taught contrast is part. The axis
comes from the second moments of the outline, its direction from the third: the sign of the skewness along the axis
does not depend on single pixels, unlike the farthest point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.location_spec import SEARCH_PX, BlobLocation
from engines.errors import PartNotLocated
from engines.location.pose import Pose

EDGE_SHARE = 0.03
"""Of the shorter side: how wide the edge is that the background is fitted to."""
MAX_EDGE_PIXELS = 800
FIT_ROUNDS = 3
MAX_FOREIGN_EDGE_SHARE = 0.1
"""Share of the edge that may differ from the background."""
SECOND_PART_SHARE = 0.4
"""Another outline with more than this share of the largest one's area is another part."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """How an image differs from its background, at most `SEARCH_PX` px large."""

    image: NDArray[np.uint8]
    """(height, width) or (height, width, 3), scaled down."""
    scale_x: float
    """Pixels of the whole image per pixel here."""
    scale_y: float
    distance: NDArray[np.float32]
    """(height, width), grey levels; in colour the channel that differs most."""
    noise: float
    """Standard deviation of the background at the edge, robust."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A part's outline in pixels of the image, and its moments."""

    outline: NDArray[np.float64]
    """(n, 2), (x, y)."""
    x: float
    """Centre of gravity of the filled outline."""
    y: float
    area_share: float
    """Of the image."""
    axis_deg: float
    """Of the longest axis, clockwise from the x axis, in (-90, 90]; either end may be the head."""
    elongation: float
    """Standard deviation along the axis over that across."""
    skewness: float
    """Third moment along the axis, standardised; above 0: the thin end points along `axis_deg`."""
    brightness: float
    """Correlation of the grey value with the place along the axis, -1 to 1."""


class BlobLocator:
    """Finds the part as an engine was taught to."""

    def __init__(self, spec: BlobLocation) -> None:
        self._spec = spec

    def locate(self, image: NDArray[np.uint8]) -> Pose:
        """See `Locator`."""
        spec = self._spec
        blob = find_blob(measure_contrast(image), spec.contrast, with_brightness=spec.head == "brightness")
        return pose_of(blob, spec)


def pose_of(blob: Blob, spec: BlobLocation) -> Pose:
    """The box around the part in its own axes, margin included.

    Raises:
        PartNotLocated: larger or smaller than the taught parts.
    """
    if not spec.min_area_share <= blob.area_share <= spec.max_area_share:
        raise PartNotLocated(
            f"what stands out from the background covers {blob.area_share:.2%} of the image, "
            f"a part covers {spec.min_area_share:.2%} to {spec.max_area_share:.2%}"
        )
    angle_deg = 0.0
    if spec.turn:
        lean = {"shape": blob.skewness, "brightness": -blob.brightness, "none": 0.0}[spec.head]
        angle_deg = blob.axis_deg if lean >= 0 else blob.axis_deg + 180.0
    turn = math.radians(angle_deg)
    axes = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    along = blob.outline @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    x, y = (low + high) / 2 @ axes
    width, height = high - low
    margin = 2 * spec.margin * max(width, height)
    return Pose(float(x), float(y), float(width + margin), float(height + margin), (angle_deg + 180.0) % 360.0 - 180.0)


def measure_contrast(image: NDArray[np.uint8]) -> Contrast:
    """Scale `image` down and measure how its pixels differ from the background.

    Raises:
        PartNotLocated: the image is too small to have an edge and a part.
    """
    height, width = image.shape[:2]
    if min(height, width) < 16:
        raise PartNotLocated(f"the image has {width}x{height} px, at least 16x16 are needed to find a part in it")
    small = _shrink(image)
    rows, columns = small.shape[:2]
    x, y, edge = _grid(rows, columns)
    basis = _basis(x[edge % columns], y[edge // columns])
    distance = np.zeros((rows, columns), np.float32)
    noise = 0.0
    for channel in cv2.split(small):
        values = channel.astype(np.float32)
        (level, by_x, by_y, by_xx, by_xy, by_yy), residual_noise = _robust_fit(basis, values.reshape(-1)[edge])
        surface = (level + by_x * x + by_xx * x * x) + (by_y * y + by_yy * y * y)[:, np.newaxis]
        surface += np.outer(by_xy * y, x)
        cv2.max(distance, cv2.absdiff(values, surface), distance)
        noise = max(noise, residual_noise)
    return Contrast(small, width / columns, height / rows, distance, noise)


def find_blob(contrast: Contrast, threshold: float, *, with_brightness: bool = True) -> Blob:
    """The one part whose pixels differ from the background by more than `threshold` grey levels.

    Raises:
        PartNotLocated: nothing, several parts, a part that reaches over the edge, or no even background.
    """
    rows, columns = contrast.distance.shape
    mask = np.asarray(contrast.distance > threshold, np.uint8)
    _, _, edge = _grid(rows, columns)
    foreign = float(mask.reshape(-1)[edge].mean())
    if foreign > MAX_FOREIGN_EDGE_SHARE:
        raise PartNotLocated(
            f"{foreign:.0%} of the image's edge differ from the background (allowed {MAX_FOREIGN_EDGE_SHARE:.0%}): "
            "the part reaches over the edge, or the background is not even"
        )
    mask = cv2.medianBlur(mask, 3)  # type: ignore[assignment]
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))  # type: ignore[assignment]
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    if not areas or max(areas) < 4:
        raise PartNotLocated(f"nothing differs from the background by more than {threshold:.0f} grey levels")
    largest = int(np.argmax(areas))
    parts = sum(area > SECOND_PART_SHARE * areas[largest] for area in areas)
    if parts > 1:
        raise PartNotLocated(f"{parts} things of similar size stand out from the background, expected one part")
    outline = np.asarray(outlines[largest], np.int32)
    left, top, width, height = cv2.boundingRect(outline)
    if left <= 0 or top <= 0 or left + width >= columns or top + height >= rows:
        raise PartNotLocated("the part reaches over the edge of the image")
    return _blob(contrast, outline, with_brightness=with_brightness)


def _blob(contrast: Contrast, outline: NDArray[np.int32], *, with_brightness: bool) -> Blob:
    rows, columns = contrast.distance.shape
    scale = np.array([contrast.scale_x, contrast.scale_y])
    points = (outline.reshape(-1, 2) + 0.5) * scale
    moments = cv2.moments(points.astype(np.float32).reshape(-1, 1, 2))
    area = moments["m00"]
    x, y = moments["m10"] / area, moments["m01"] / area
    xx, xy, yy = moments["mu20"] / area, moments["mu11"] / area, moments["mu02"] / area
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    cosine, sine = math.cos(angle), math.sin(angle)
    along = xx * cosine**2 + 2 * xy * cosine * sine + yy * sine**2
    across = max(xx + yy - along, 1e-6 * along)
    third = (
        moments["mu30"] * cosine**3
        + 3 * moments["mu21"] * cosine**2 * sine
        + 3 * moments["mu12"] * cosine * sine**2
        + moments["mu03"] * sine**3
    ) / area
    brightness = 0.0
    if with_brightness:
        inside = cv2.drawContours(np.zeros((rows, columns), np.uint8), [outline], -1, 1, cv2.FILLED) > 0
        grey = contrast.image if contrast.image.ndim == 2 else contrast.image.mean(axis=2)
        at_y, at_x = np.nonzero(inside)
        place = (at_x + 0.5) * scale[0] * cosine + (at_y + 0.5) * scale[1] * sine
        brightness = _correlation(np.asarray(grey[inside], np.float64), place)
    return Blob(
        outline=points,
        x=x,
        y=y,
        area_share=area / (rows * columns * scale[0] * scale[1]),
        axis_deg=math.degrees(angle),
        elongation=math.sqrt(along / across),
        skewness=third / along**1.5,
        brightness=brightness,
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0


def _shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most `SEARCH_PX` px. Large images are thinned out first: an outline does not need every pixel."""
    height, width = image.shape[:2]
    factor = SEARCH_PX / max(height, width)
    if factor >= 1:
        return image
    if factor < 0.5:
        double = (round(2 * width * factor), round(2 * height * factor))
        image = cv2.resize(image, double, interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=8)
def _grid(rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """x and y from -1 to 1, and the flat indices of the pixels at the edge, thinned out."""
    edge = np.ones((rows, columns), bool)
    wide = max(2, round(EDGE_SHARE * min(rows, columns)))
    edge[wide:-wide, wide:-wide] = False
    indices = np.flatnonzero(edge)
    x, y = (np.linspace(-1, 1, size, dtype=np.float32) for size in (columns, rows))
    return x, y, indices[:: max(1, len(indices) // MAX_EDGE_PIXELS)]


def _basis(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """A quadratic surface at these points, (n, 6)."""
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _robust_fit(basis: NDArray[np.float32], values: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Least squares, repeated without what lies beyond 3 standard deviations (median absolute deviation)."""
    # Half a grey level: rounding to whole levels is noise, too.
    kept = np.abs(values - np.median(values)) <= max(0.5, 3 * 1.4826 * _mad(values))
    noise = 0.0
    for _ in range(FIT_ROUNDS):
        used = basis[kept]
        # The ridge is far below a grey level; it keeps a surface solvable whose support is not.
        coefficients = np.linalg.solve(used.T @ used + np.float32(1e-3) * np.eye(6), used.T @ values[kept])
        residuals = np.abs(values - basis @ coefficients)
        noise = max(0.5, 1.4826 * float(np.median(residuals)))
        kept = residuals <= 3 * noise
    return coefficients.astype(np.float32), noise


def _mad(values: NDArray[np.float32]) -> float:
    return float(np.median(np.abs(values - np.median(values))))
