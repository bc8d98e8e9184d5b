"""Seven kinds of synthetic defects, drawn into 8-bit pictures, and the mask of the pixels that they changed.

A kind is a stamp: how much of the contrast each pixel gets, from 0 to 1. The size of a defect is the largest extent of
what gets at least half of its contrast: the diameter of a spot, the length of a scratch, the width of a soft patch at
half height. Stamps are drawn several times as fine and averaged, so a line may be thinner than a pixel and is fainter
then, as a camera sees it. Where a picture is blurred, a stamp is blurred as much: a defect in front of a lens out of
focus is no sharper than the part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.detection import DefectKind

Image = NDArray[np.uint8]
Stamp = NDArray[np.float32]
"""(height, width), 0 to 1, with the defect in its middle."""

FINE = 4
"""Points per pixel, in each direction, on which a stamp is drawn."""
COARSE_FROM_PX = 150.0
"""Lines of this size are drawn on the pixels themselves: they are wide enough."""
SOFT_FROM_PX = 16.0
"""So are soft outlines of this size."""
SCRATCH_WIDTH, HAIR_WIDTH, CUT_WIDTH = 1 / 15, 1 / 40, 1 / 20
"""Shares of the length."""
MIN_WIDTH_PX = 1.0
"""Of a line: what is thinner does not reach the contrast that was asked for."""
CURVE_POINTS = 48
EDGE_SHARE = 0.005
"""Of the pixels of a picture: its strongest edges."""
SHARP_PX, SOFT_PX = 1.0, 1.5
"""Blur below the first is that of any camera; above the second a picture is halved to measure it."""
SMALLEST_PICTURE_PX = 32
HALF = 0.5


def stamp_of(kind: DefectKind, size_px: float, rng: np.random.Generator) -> Stamp:
    """A defect of this kind and size, in a shape and direction of its own.

    Args:
        size_px: at least 1.
    """
    if not size_px >= 1:
        raise ValueError(f"size_px {size_px}: a defect has at least one pixel")
    return _SHAPES[kind](size_px, rng)


def paint(image: Image, stamp: Stamp, centre: tuple[int, int], contrast: float) -> tuple[Image, Image]:
    """A copy of a picture with a defect in it, and the mask of the pixels that changed.

    Args:
        image: (height, width) grey or (height, width, 3) RGB.
        centre: (x, y) of the middle of the stamp; what lies outside of the picture is cut off.
        contrast: grey levels that are added where the stamp is 1, to every channel; below 0 it is darker.

    Returns:
        The picture, and (height, width) uint8, 255 where a pixel differs in any channel.
    """
    painted = image.copy()
    mask = np.zeros(image.shape[:2], np.uint8)
    target, source = _overlap(image.shape, stamp.shape, centre)
    added = contrast * stamp[source]
    before = image[target]
    after = before + (added if image.ndim == 2 else added[..., np.newaxis])
    painted[target] = np.clip(np.rint(after), 0, 255).astype(np.uint8)
    changed = painted[target] != before
    mask[target] = np.where(changed if image.ndim == 2 else changed.any(axis=2), 255, 0)
    return painted, mask


def blur_of(image: Image) -> float:
    """Standard deviation (px) of the blur of a picture at its sharpest edges; 0 for a picture that is sharp.

    A picture that is blurred once more loses less at an edge the softer it was: with R the ratio of the gradients
    before and after a blur of s0, the edge was blurred by s0 / sqrt(R^2 - 1) (Zhuo and Sim 2011, Defocus map
    estimation from a single image). Soft pictures are halved first, until grey levels resolve the ratio.
    """
    grey = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    scale, values = 1.0, grey.astype(np.float32)
    while True:
        before, after = _gradient(values), _gradient(np.asarray(cv2.GaussianBlur(values, (0, 0), 1.0), np.float32))
        edges = before >= max(1.0, float(np.quantile(before, 1 - EDGE_SHARE)))
        if not edges.any():
            return 0.0
        ratios = np.maximum(before[edges] / np.maximum(after[edges], 1e-3), 1.001)
        blur = float(np.median(1.0 / np.sqrt(ratios**2 - 1)))
        if blur < SOFT_PX or min(values.shape) < 2 * SMALLEST_PICTURE_PX:
            return blur * scale if blur * scale >= SHARP_PX else 0.0
        half = values.shape[1] // 2, values.shape[0] // 2
        scale, values = 2 * scale, np.asarray(cv2.resize(values, half, interpolation=cv2.INTER_AREA), np.float32)


def blurred(stamp: Stamp, blur_px: float) -> Stamp:
    """A stamp as optics with this blur show it: wider and fainter, the smaller it is the more."""
    if blur_px <= 0:
        return stamp
    spare = math.ceil(3 * blur_px)
    padded = cv2.copyMakeBorder(stamp, spare, spare, spare, spare, cv2.BORDER_CONSTANT, value=0.0)
    return np.asarray(cv2.GaussianBlur(padded, (0, 0), blur_px, borderType=cv2.BORDER_CONSTANT), np.float32)


def _gradient(values: Stamp) -> Stamp:
    return np.asarray(cv2.magnitude(cv2.Scharr(values, cv2.CV_32F, 1, 0), cv2.Scharr(values, cv2.CV_32F, 0, 1)) / 32)


def _overlap(
    shape: tuple[int, ...], stamp: tuple[int, ...], centre: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The rows and columns of the picture that a stamp covers, and those of the stamp that lie on the picture."""
    target, source = [], []
    for size, length, middle in zip(shape[:2], stamp, reversed(centre), strict=True):
        start = middle - length // 2
        first, last = min(max(0, start), size), max(0, min(size, start + length))
        target.append(slice(first, last))
        source.append(slice(first - start, last - start))
    return (target[0], target[1]), (source[0], source[1])


def _spot(size_px: float, _rng: np.random.Generator) -> Stamp:
    return _drawn(np.zeros((1, 2)), np.array([size_px]), size_px)


def _scratch(size_px: float, rng: np.random.Generator) -> Stamp:
    """Nearly straight, thinner towards its ends."""
    along = np.linspace(-1.0, 1.0, CURVE_POINTS)
    bend = rng.uniform(-0.06, 0.06) * (1 - along**2)
    return _line(np.stack([along, bend], axis=1), size_px, SCRATCH_WIDTH, 1 - 0.6 * along**4, rng)


def _hair(size_px: float, rng: np.random.Generator) -> Stamp:
    """A curve with two bends, of even width."""
    along = np.linspace(-1.0, 1.0, CURVE_POINTS)
    first, second = rng.uniform(-0.35, 0.35, 2)
    across = first * np.cos(math.pi / 2 * along) + second * np.sin(math.pi * along)
    return _line(np.stack([along, across], axis=1), size_px, HAIR_WIDTH, np.ones(CURVE_POINTS), rng)


def _cut(size_px: float, rng: np.random.Generator) -> Stamp:
    """A jagged crack: kinks at uneven distances, pointed ends."""
    corners = np.concatenate([[-1.0], np.sort(rng.uniform(-0.9, 0.9, 7)), [1.0]])
    kinks = np.concatenate([[0.0], rng.uniform(-0.12, 0.12, 7), [0.0]])
    along = np.linspace(-1.0, 1.0, CURVE_POINTS)
    points = np.stack([along, np.interp(along, corners, kinks)], axis=1)
    return _line(points, size_px, CUT_WIDTH, 1 - 0.5 * np.abs(along), rng)


def _stain(size_px: float, rng: np.random.Generator) -> Stamp:
    """An uneven outline whose edge is soft."""
    angle = np.linspace(0.0, 2 * math.pi, 96, endpoint=False)
    orders = np.arange(2, 6)[:, np.newaxis]
    waves = rng.uniform(0.0, 0.3, (4, 1)) / orders * np.cos(orders * angle + rng.uniform(0.0, 2 * math.pi, (4, 1)))
    radius = 1.0 + waves.sum(axis=0)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    fine = 1 if size_px >= SOFT_FROM_PX else FINE
    points *= size_px * fine / _extent(points)
    soft = size_px * fine / 14
    half = math.ceil(np.abs(points).max() + 3 * soft) + 1
    drawn = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    cv2.fillPoly(drawn, [np.rint(points + half).astype(np.int32)], 1.0)
    return _reduced(np.asarray(cv2.GaussianBlur(drawn, (0, 0), soft), np.float32), fine)


def _soft(size_px: float, _rng: np.random.Generator) -> Stamp:
    """A raised cosine, without any edge: twice as wide at its foot as at half height."""
    half = math.ceil(size_px)
    row = np.arange(-half, half + 1, dtype=np.float32)
    distance = np.hypot(row[:, np.newaxis], row)
    return np.asarray(np.where(distance < size_px, 0.5 + 0.5 * np.cos(math.pi * distance / size_px), 0.0), np.float32)


_SHAPES: Mapping[DefectKind, Callable[[float, np.random.Generator], Stamp]] = {
    "bright spot": _spot,
    "dark spot": _spot,
    "scratch": _scratch,
    "hair": _hair,
    "cut": _cut,
    "stain": _stain,
    "soft brightness": _soft,
}
_SIGNS: Mapping[DefectKind, tuple[int, ...]] = {"bright spot": (1,), "scratch": (1,), "soft brightness": (1, -1)}


def sign_of(kind: DefectKind, rng: np.random.Generator) -> int:
    """1 for a defect that is brighter than the part, -1 for one that is darker."""
    return int(rng.choice(_SIGNS.get(kind, (-1,))))


def _line(
    points: NDArray[np.float64],
    size_px: float,
    width_share: float,
    widths: NDArray[np.float64],
    rng: np.random.Generator,
) -> Stamp:
    """A line through these points, turned at random; `widths` at each of them, from 0 to 1 of its width."""
    width = max(MIN_WIDTH_PX, width_share * size_px)
    turn = rng.uniform(0.0, math.pi)
    axes = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    length = max(size_px - width, 1e-3)
    points = points @ axes * (length / _extent(points))
    return _drawn(points - (points.min(axis=0) + points.max(axis=0)) / 2, width * widths, size_px)


def _drawn(points: NDArray[np.float64], widths: NDArray[np.float64], size_px: float) -> Stamp:
    """Discs of these diameters (px) at these points, and the straight line from each to the next."""
    fine = _fineness(size_px)
    half = math.ceil((np.abs(points).max() + widths.max() / 2 + 1) * fine)
    drawn = np.zeros((2 * half + 1, 2 * half + 1), np.uint8)
    bits = 4
    at = np.rint((points * fine + half) * 2**bits).astype(np.int32)
    radii = np.rint(widths * fine / 2 * 2**bits).astype(np.int32)
    for (x, y), radius in zip(at.tolist(), radii.tolist(), strict=True):
        cv2.circle(drawn, (x, y), radius, 255, cv2.FILLED, cv2.LINE_AA, bits)
    thick = max(1, int(widths.min() * fine))
    if len(points) > 1:
        cv2.polylines(drawn, [at.reshape(-1, 1, 2)], False, 255, thick, cv2.LINE_AA, bits)
    return _reduced(np.asarray(drawn, np.float32) / np.float32(255), fine)


def _fineness(size_px: float) -> int:
    return 1 if size_px >= COARSE_FROM_PX else FINE


def _reduced(drawn: Stamp, fine: int) -> Stamp:
    """A stamp of an odd number of pixels from one that is `fine` times as large; the middle stays the middle."""
    if fine == 1:
        return drawn
    size = 2 * math.ceil((drawn.shape[0] / fine + 1) / 2) + 1
    spare = size * fine - drawn.shape[0]
    before = spare // 2
    padded = cv2.copyMakeBorder(drawn, before, spare - before, before, spare - before, cv2.BORDER_CONSTANT, value=0.0)
    return np.asarray(cv2.resize(padded, (size, size), interpolation=cv2.INTER_AREA), np.float32)


def _extent(points: NDArray[np.float64]) -> float:
    """The largest distance of two of these points."""
    return float(np.hypot(*(points[:, np.newaxis] - points).T).max())
