"""How an image differs from its background: the evidence that a part is cut out by.

The background is a quadratic surface fitted to the edge of the image (light falls off towards the corners), robustly,
so that a cable or a speck at the edge does not bend it. An uneven background is followed from there by what surrounds
each place (`local`). Where light and shadow are soft and the part's edge is not, steepness separates them (`edges`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.location_spec import SEARCH_PX
from engines.errors import PartNotLocated

EDGE_SHARE = 0.03
"""Of the shorter side: how wide the edge is that the background is fitted to."""
MAX_EDGE_PIXELS = 800
FIT_ROUNDS = 3

LOCAL_SHRINK = 4
"""The background is followed at this fraction of the search image's resolution."""
LOCAL_ROUNDS = 3
LOCAL_SIGMAS = (0.12, 0.08, 0.06)
"""Of the longer side: what counts as the surroundings of a place, a little nearer every round."""
LOCAL_NOISES = 4.0
"""What differs by more than this many deviations of all places is not background; at least `LOCAL_LEAST`."""
LOCAL_LEAST = 6.0

Cue = Literal["edges"] | None
Side = Literal["darker", "brighter"] | None
Ground = Literal["local"] | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """How an image differs from its background, at most `SEARCH_PX` px large."""

    image: NDArray[np.uint8]
    """(height, width) or (height, width, 3), scaled down."""
    scale_x: float
    """Pixels of the whole image per pixel here."""
    scale_y: float
    distance: NDArray[np.float32]
    """(height, width), grey levels, of edges per pixel; in colour the channel that differs most."""
    noise: float
    """Standard deviation of the background at the edge, robust; of edges the one of steepness."""
    cue: Cue = None


def measure_contrast(image: NDArray[np.uint8], cue: Cue = None, side: Side = None, ground: Ground = None) -> Contrast:
    """Scale `image` down and measure how its pixels differ from the background, see `BlobLocation`.

    Raises:
        PartNotLocated: the image is too small to have an edge and a part.
    """
    height, width = image.shape[:2]
    if min(height, width) < 16:
        raise PartNotLocated(f"the image has {width}x{height} px, at least 16x16 are needed to find a part in it")
    small = shrunk(image)
    rows, columns = small.shape[:2]
    scale_x, scale_y = width / columns, height / rows
    if cue == "edges":
        steepness, noise = _steepness(small)
        return Contrast(small, scale_x, scale_y, steepness, noise, cue)
    x, y, edge = edge_grid(rows, columns)
    basis = _basis(x[edge % columns], y[edge // columns])
    distance = np.zeros((rows, columns), np.float32)
    noise = 0.0
    for channel in cv2.split(small):
        values = channel.astype(np.float32)
        (level, by_x, by_y, by_xx, by_xy, by_yy), residual_noise = _robust_fit(basis, values.reshape(-1)[edge])
        surface = (level + by_x * x + by_xx * x * x) + (by_y * y + by_yy * y * y)[:, np.newaxis]
        surface += np.outer(by_xy * y, x)
        if ground == "local":
            surface += _followed(values - surface)
        if side == "darker":
            cv2.max(distance, cv2.subtract(surface, values), distance)
        elif side == "brighter":
            cv2.max(distance, cv2.subtract(values, surface), distance)
        else:
            cv2.max(distance, cv2.absdiff(values, surface), distance)
        noise = max(noise, residual_noise)
    return Contrast(small, scale_x, scale_y, distance, noise)


def shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
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
def edge_grid(rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """x and y from -1 to 1, and the flat indices of the pixels at the edge, thinned out."""
    edge = np.ones((rows, columns), bool)
    wide = max(2, round(EDGE_SHARE * min(rows, columns)))
    edge[wide:-wide, wide:-wide] = False
    indices = np.flatnonzero(edge)
    x, y = (np.linspace(-1, 1, size, dtype=np.float32) for size in (columns, rows))
    return x, y, indices[:: max(1, len(indices) // MAX_EDGE_PIXELS)]


def _steepness(small: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Grey levels per pixel, of the steepest channel, and their standard deviation at the edge (median for a Rayleigh
    distribution, which the length of a noisy gradient has)."""
    smooth = cv2.GaussianBlur(small, (3, 3), 0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    steepness = cv2.magnitude(across, down)
    if steepness.ndim == 3:
        steepness = steepness.max(axis=2)
    _, _, edge = edge_grid(*small.shape[:2])
    noise = max(0.1, float(np.median(steepness.reshape(-1)[edge])) / 1.1774)
    return np.asarray(steepness, np.float32), noise


def _followed(residual: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of `residual` is background: its mean over the surroundings, without what stands out from that
    (normalised convolution: H. Knutsson, C.-F. Westin 1993, "Normalized and differential convolution")."""
    rows, columns = residual.shape
    size = (max(8, columns // LOCAL_SHRINK), max(8, rows // LOCAL_SHRINK))
    coarse = cv2.resize(residual, size, interpolation=cv2.INTER_AREA)
    ground = np.zeros_like(coarse)
    for sigma in LOCAL_SIGMAS:
        apart = np.abs(coarse - ground)
        limit = max(LOCAL_LEAST, LOCAL_NOISES * 1.4826 * float(np.median(apart)))
        trusted = np.asarray(apart <= limit, np.float32)
        trusted = cv2.erode(trusted, np.ones((3, 3), np.uint8))  # type: ignore[assignment]
        sigma_px = sigma * max(size)
        total = cv2.GaussianBlur(coarse * trusted, (0, 0), sigma_px)
        count = cv2.GaussianBlur(trusted, (0, 0), sigma_px)
        ground = np.asarray(total / (count + np.float32(0.02)), np.float32)
    return np.asarray(cv2.resize(ground, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)


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
