"""The plane of a part, its heights over it, and what stands where no height was measured.

Coordinates are pixels: x to the right, y downwards, (0, 0) the centre of the first one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

FIT_POINTS = 1 << 12
"""A plane has three numbers: of 4096 heights each is known to a 64th of their noise."""
_ROUNDS = 4
_OUTLIER = 3.0
"""In standard deviations, by the median of the distances: a dent or a label does not tilt the plane."""
_MAD_TO_SIGMA = 1.4826
_LEAST = np.float32(1e-20)
"""Below every weight that is not 0."""
_SOUND = 1e8
"""Of the condition of normal equations; that of a whole image is about 50."""
_SOBEL = 1.0 / 8.0
"""Of the operator of Sobel: the weights of a difference over two pixels, 1 2 1, sum up to 8."""


@dataclass(frozen=True, slots=True)
class Plane:
    """height = at_origin + per_x * x + per_y * y, in the unit of the heights and per pixel."""

    at_origin: float
    per_x: float
    per_y: float

    def heights(self, rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What it has at each column (columns,) and adds in each row (rows, 1)."""
        along = self.at_origin + self.per_x * np.arange(columns)
        return along.astype(np.float32), (self.per_y * np.arange(rows)).astype(np.float32)[:, np.newaxis]


def fit_plane(heights: Floats, valid: Mask | None = None) -> Plane:
    """The plane of most of the heights: least squares, thrice again without what lies far off it.

    Args:
        heights: (rows, columns).
        valid: which of them count; None: all. At least one must.
    """
    step = max(1, math.isqrt(heights.size // FIT_POINTS))
    found = _points(heights, valid, step)
    if len(found[2]) < 3 and step > 1:
        found = _points(heights, valid, 1)
    x, y, z = found
    side = float(max(heights.shape))
    terms = np.stack([np.ones_like(x), x / side, y / side], axis=1)
    kept = np.ones(len(z), bool)
    at, per_x, per_y = 0.0, 0.0, 0.0
    for _ in range(_ROUNDS):
        at, per_x, per_y = _least_squares(terms[kept], z[kept])
        off = np.abs(z - terms @ (at, per_x, per_y))
        near: NDArray[np.bool_] = off <= max(_OUTLIER * _MAD_TO_SIGMA * float(np.median(off[kept])), 1e-9)
        if near.sum() < 3 or bool((near == kept).all()):
            break
        kept = near
    return Plane(float(at), float(per_x / side), float(per_y / side))


def _least_squares(terms: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) factors of the terms (n, 3): by normal equations, a twentieth of the time, unless all lie on one line."""
    squares = terms.T @ terms
    if np.linalg.cond(squares) < _SOUND:
        found: NDArray[np.float64] = np.linalg.solve(squares, terms.T @ z)
        return found
    return np.asarray(np.linalg.lstsq(terms, z, rcond=None)[0], np.float64)


def _points(
    heights: Floats, valid: Mask | None, step: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """x, y and height of every `step`-th pixel in both directions, from the middle of the first step."""
    first = step // 2
    some = heights[first::step, first::step]
    counted = np.ones(some.shape, bool) if valid is None else valid[first::step, first::step]
    rows, columns = np.nonzero(counted)
    x = columns.astype(np.float64) * step + first
    y = rows.astype(np.float64) * step + first
    return x, y, some[rows, columns].astype(np.float64)


def without_plane(heights: Floats, plane: Plane) -> Floats:
    """Heights over the plane, in place."""
    along, down = plane.heights(*heights.shape)
    heights -= along
    heights -= down
    return heights


def slopes(heights: Floats, axis: int) -> Floats:
    """The rise from one pixel to the next, along x (axis 0) or y (axis 1); Sobel's, over three rows or columns.

    Of a plane exactly its slope, at the edges of the image too: these have that of their inner neighbour.
    """
    found = np.asarray(cv2.Sobel(heights, cv2.CV_32F, 1 - axis, axis, ksize=3, scale=_SOBEL), np.float32)
    if axis == 0 and found.shape[1] > 2:
        found[:, 0], found[:, -1] = found[:, 1], found[:, -2]
    if axis == 1 and found.shape[0] > 2:
        found[0], found[-1] = found[1], found[-2]
    return found


def filled(heights: Floats, valid: Mask) -> Floats:
    """With what the nearest valid heights say where there is none, in place: means of 2 x 2, 4 x 4, 8 x 8 ... pixels,
    the finest that has any, interpolated in between (push-pull of Gortler et al., "The Lumigraph", SIGGRAPH 1996).
    """
    weight = valid.astype(np.float32)
    coarse = _halved(heights * weight, weight)
    _put(_doubled(_pulled(*coarse), heights.shape), heights, ~valid)
    return heights


def _pulled(product: Floats, weight: Floats) -> Floats:
    """Means where the weight is above 0, of coarser cells elsewhere. `product`: weight times height."""
    known = weight > 0
    values: Floats = product / np.maximum(weight, _LEAST)
    if bool(known.all()) or max(values.shape) == 1:
        return values
    _put(_doubled(_pulled(*_halved(product, weight)), values.shape), values, ~known)
    return values


def _put(source: Floats, target: Floats, where: Mask) -> None:
    """As `numpy.copyto`, in a third of the time."""
    cv2.copyTo(source, where.view(np.uint8), target)


def _halved(product: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Means of 2 x 2, of what is there where the number is odd."""
    rows, columns = product.shape
    half = ((columns + 1) // 2, (rows + 1) // 2)
    edges = (0, rows % 2, 0, columns % 2)
    smaller = []
    for values in (product, weight):
        even = cv2.copyMakeBorder(values, *edges, cv2.BORDER_CONSTANT, value=0) if any(edges) else values
        reduced = cv2.resize(even, half, interpolation=cv2.INTER_AREA)
        smaller.append(np.asarray(reduced, np.float32).reshape(half[::-1]))
    return smaller[0], smaller[1]


def _doubled(coarse: Floats, shape: tuple[int, ...]) -> Floats:
    """Interpolated to twice the size, cut to `shape`."""
    rows, columns = coarse.shape
    fine = cv2.resize(coarse, (2 * columns, 2 * rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine, np.float32).reshape(2 * rows, 2 * columns)[: shape[0], : shape[1]]
