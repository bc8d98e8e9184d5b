"""From the anomaly map to regions in millimetres.

The map covers exactly the frame but is coarser. Thresholding its cells would make areas jump by whole cells, so the
map is first interpolated to a grid up to 5 times finer. The factor is odd: then every cell's own value is a point of
the fine grid, and no cell above the threshold can get lost between two points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from station.results import Region, Regions, UnlistedRegions

FINE_GRID_PX = 512
"""The fine grid's longer side is at most this (unless the map itself is larger)."""
CORNERS = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


@dataclass(frozen=True, slots=True)
class _Grid:
    """The fine grid and how it lies on the frame. Its point i has its centre at frame pixel (i + 0.5) * step - 0.5."""

    values: NDArray[np.float32]
    step_x: float
    step_y: float
    frame_width: int
    frame_height: int
    pixel_size_mm: float
    shown: Callable[[float], float]
    """From a value to the score that people see."""

    @property
    def point_mm2(self) -> float:
        return self.step_x * self.step_y * self.pixel_size_mm**2

    def to_frame(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """(n, 2) points (x, y) of the grid in pixels of the frame (centre of the first pixel at 0)."""
        return (points + 0.5) * (self.step_x, self.step_y) - 0.5


def measure(
    anomaly_map: NDArray[np.float32],
    frame_shape: tuple[int, ...],
    pixel_threshold: float,
    pixel_size_mm: float,
    *,
    min_area_mm2: float = 0.0,
    max_regions: int = 50,
    shown: Callable[[float], float] = float,
) -> Regions:
    """Connected areas of the map that are at or above `pixel_threshold`, largest first.

    Args:
        anomaly_map: (map_height, map_width); covers exactly the frame.
        frame_shape: (height, width, ...) of the frame in px.
        pixel_threshold: a location of the map at or above this is anomalous.
        pixel_size_mm: edge of one frame pixel on the part.
        min_area_mm2: smaller regions are noise and do not count.
        max_regions: the most that are listed one by one; the others are only summed up.
        shown: turns a value of the map into the score that people see, for `Region.peak_score`.

    Raises:
        ValueError: the map is empty, not two-dimensional or not finite.
    """
    if anomaly_map.ndim != 2 or anomaly_map.size == 0:
        raise ValueError(f"anomaly map of shape {anomaly_map.shape}: must be (height, width)")
    lowest, highest = float(anomaly_map.min()), float(anomaly_map.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise ValueError(f"anomaly map holds values that are not finite (from {lowest} to {highest})")
    threshold = np.float32(pixel_threshold)  # the map's own precision
    if highest < threshold:
        return Regions()
    grid = _fine_grid(anomaly_map, frame_shape, pixel_size_mm, shown)
    mask = np.asarray(grid.values >= threshold, np.uint8)
    _, labels, stats, centroids = cv2.connectedComponentsWithStats(mask, connectivity=8)
    area_mm2 = stats[:, cv2.CC_STAT_AREA] * grid.point_mm2
    area_mm2[0] = 0.0  # the background
    order = np.argsort(-area_mm2[1:], kind="stable") + 1
    order = order[area_mm2[order] >= min_area_mm2]
    listed = tuple(_region(grid, labels, stats[label], centroids[label], int(label)) for label in order[:max_regions])
    return Regions(listed, _unlisted(grid, stats[order[max_regions:]]))


def _fine_grid(
    anomaly_map: NDArray[np.float32],
    frame_shape: tuple[int, ...],
    pixel_size_mm: float,
    shown: Callable[[float], float],
) -> _Grid:
    rows, columns = anomaly_map.shape
    factor = next((odd for odd in (5, 3) if odd * max(rows, columns) <= FINE_GRID_PX), 1)
    values = np.asarray(anomaly_map, np.float32)
    if factor > 1:
        size = (columns * factor, rows * factor)
        values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), np.float32)
    height, width = frame_shape[:2]
    return _Grid(values, width / (columns * factor), height / (rows * factor), width, height, pixel_size_mm, shown)


def _region(grid: _Grid, labels: NDArray[Any], stats: NDArray[Any], centroid: NDArray[Any], label: int) -> Region:
    left, top, columns, rows, points = stats.tolist()
    inside = labels[top : top + rows, left : left + columns] == label
    peak = float(grid.values[top : top + rows, left : left + columns][inside].max())
    outlines, _ = cv2.findContours(np.asarray(inside, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = outlines[0]
    # Grid points are squares, not dots: the rectangle goes around their corners.
    hull = cv2.convexHull(outline).reshape(-1, 1, 2) + CORNERS
    corners = grid.to_frame(hull.reshape(-1, 2) + np.array([left, top]))
    _, sides, _ = cv2.minAreaRect(np.asarray(corners, np.float32))
    centre_x, centre_y = grid.to_frame(centroid[np.newaxis])[0]
    return Region(
        area_mm2=points * grid.point_mm2,
        length_mm=float(max(sides)) * grid.pixel_size_mm,
        centre_px=(float(centre_x), float(centre_y)),
        box_px=_box(grid, left, top, columns, rows),
        peak_score=grid.shown(peak),
        contour_px=_contour(grid, outline, left, top),
    )


def _box(grid: _Grid, left: int, top: int, columns: int, rows: int) -> tuple[int, int, int, int]:
    """(x, y, width, height) of the frame pixels that the box touches."""
    x, y = math.floor(left * grid.step_x), math.floor(top * grid.step_y)
    right = min(grid.frame_width, math.ceil((left + columns) * grid.step_x))
    bottom = min(grid.frame_height, math.ceil((top + rows) * grid.step_y))
    return (x, y, right - x, bottom - y)


def _contour(grid: _Grid, outline: NDArray[Any], left: int, top: int) -> tuple[tuple[int, int], ...]:
    simple = cv2.approxPolyDP(outline, epsilon=1.0, closed=True).reshape(-1, 2)
    last_pixel = (grid.frame_width - 1, grid.frame_height - 1)
    in_frame = np.minimum(np.maximum(np.rint(grid.to_frame(simple + np.array([left, top]))), 0), last_pixel)
    return tuple((x, y) for x, y in in_frame.astype(int).tolist())


def _unlisted(grid: _Grid, stats: NDArray[Any]) -> UnlistedRegions:
    if len(stats) == 0:
        return UnlistedRegions()
    points = stats[:, cv2.CC_STAT_AREA]
    width_px = stats[:, cv2.CC_STAT_WIDTH] * grid.step_x
    height_px = stats[:, cv2.CC_STAT_HEIGHT] * grid.step_y
    return UnlistedRegions(
        count=len(stats),
        area_mm2=float(points.sum()) * grid.point_mm2,
        largest_mm2=float(points.max()) * grid.point_mm2,
        longest_mm=float(np.hypot(width_px, height_px).max()) * grid.pixel_size_mm,
    )
