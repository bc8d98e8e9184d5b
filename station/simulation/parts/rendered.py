"""Rendered metal parts: a brushed disc with a bore and bolt holes, seen from above on a dark belt; two products of it.

Every part is drawn from a seed, so the same schedule always shows the same parts. Each part differs a little from the
next (pose, brushing, light, sensor noise) as real parts do; a defect is drawn on top of the very same good part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]

GOOD = "good"
SIZE_PX = 448
"""Height and width of a rendered image."""

_OUTER_PX, _BOLT_CIRCLE_PX, _BOLT_PX = 190.0, 124.0, 17.0
_SUBPIXEL_BITS = 4  # cv2 takes coordinates in 1/16 px: parts move by less than a pixel, too
_GRID: Plane = np.mgrid[0:SIZE_PX, 0:SIZE_PX].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Product:
    """What a good part has."""

    bore_px: float
    """Radius."""
    bolts: int


FLANGE, COVER = "flange", "cover"
PRODUCTS = {FLANGE: Product(54.0, 6), COVER: Product(30.0, 4)}


class _Pose:
    """Where the part lies, centre in px and angle in radians, and which product it is."""

    def __init__(self, rng: np.random.Generator, product: Product) -> None:
        self.product = product
        self.x, self.y = SIZE_PX / 2 + rng.uniform(-3.0, 3.0, size=2)
        self.angle = np.deg2rad(rng.uniform(-2.0, 2.0))

    def polar(self, radius_px: float, angle: float) -> tuple[float, float]:
        return self.x + radius_px * np.cos(angle + self.angle), self.y + radius_px * np.sin(angle + self.angle)

    def bolt(self, index: int) -> tuple[float, float]:
        return self.polar(_BOLT_CIRCLE_PX, 2 * np.pi * index / self.product.bolts)


def render(seed: int, truth: str = GOOD, product: str = FLANGE) -> Pixels:
    """The image of the part with this seed, shape (448, 448, 3), RGB.

    `product` is one of `PRODUCTS`, `truth` is `good` or one of `DEFECTS`. Without the defect the image of a seed is the
    same but for that defect.
    """
    if truth not in (GOOD, *DEFECTS):
        raise ValueError(f'cannot render "{truth}": known are {GOOD}, {", ".join(DEFECTS)}')
    rng = np.random.default_rng([seed, 0])
    defect_rng = np.random.default_rng([seed, 1])
    pose = _Pose(rng, PRODUCTS[product])
    missing_bolt = int(defect_rng.integers(pose.product.bolts)) if truth == "missing_hole" else None

    metal = _brushed_metal(rng, pose)
    colour = np.repeat(metal[..., None], 3, axis=2) * np.array([0.99, 1.0, 1.015], np.float32)
    if truth in _SURFACE_DEFECTS:
        colour = _SURFACE_DEFECTS[truth](colour, defect_rng, pose)
    colour = _with_holes(colour, pose, missing_bolt)
    image = _on_belt(colour, rng, pose)
    image *= _light(rng)[..., None]
    image += 1.6 * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image, 0, 255).astype(np.uint8)


def _discs(discs: list[tuple[tuple[float, float], float]]) -> Plane:
    """Coverage (0 to 1, smooth edge) of discs, each ((x, y), radius)."""
    scale = 1 << _SUBPIXEL_BITS
    mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    for (x, y), radius_px in discs:
        point = (round(x * scale), round(y * scale))
        cv2.circle(mask, point, round(radius_px * scale), 255, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    return _smooth(mask)


def _smooth(mask: Pixels) -> Plane:
    coverage: Plane = cv2.GaussianBlur(mask, (3, 3), 0.7).astype(np.float32) / 255.0
    return coverage


def _noise(rng: np.random.Generator, width_px: int, height_px: int) -> Plane:
    """Smooth noise with mean 0 and deviation 1; grains are about `width_px` by `height_px`."""
    white = rng.standard_normal((SIZE_PX, SIZE_PX), dtype=np.float32)
    # Twice a box is nearly a Gaussian, at a cost that does not grow with the size.
    noise = cv2.blur(cv2.blur(white, (width_px, height_px)), (width_px, height_px))
    plane: Plane = (noise - noise.mean()) / noise.std()
    return plane


def _brushed_metal(rng: np.random.Generator, pose: _Pose) -> Plane:
    strokes = 5.5 * _noise(rng, 91, 1) + 3.0 * _noise(rng, 29, 2)
    turn = cv2.getRotationMatrix2D((pose.x, pose.y), -float(np.rad2deg(pose.angle)), 1.0)
    strokes = cv2.warpAffine(strokes, turn, (SIZE_PX, SIZE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    y, _ = _GRID
    sheen = 14.0 * np.exp(-(((y - pose.y + 40.0) / 110.0) ** 2))  # brushed metal shines in a band across the strokes
    metal: Plane = (150.0 + strokes + sheen).astype(np.float32)
    return metal


def _with_holes(colour: Plane, pose: _Pose, missing_bolt: int | None) -> Plane:
    holes = [((pose.x, pose.y), pose.product.bore_px, 5.0)]
    holes += [(pose.bolt(index), _BOLT_PX, 3.0) for index in range(pose.product.bolts) if index != missing_bolt]
    hole = _discs([(centre, radius_px) for centre, radius_px, _ in holes])
    rim = _discs([(centre, radius_px + chamfer_px) for centre, radius_px, chamfer_px in holes])
    lit = _discs([((x + 1.2, y + 1.6), radius_px + chamfer_px - 0.5) for (x, y), radius_px, chamfer_px in holes])
    floor = _discs([((x + 3.0, y + 4.0), radius_px) for (x, y), radius_px, _ in holes])
    colour = colour * (1 - 0.38 * rim)[..., None] + (62.0 * rim * lit)[..., None]
    drilled: Plane = colour * (1 - hole)[..., None] + (hole * (24.0 + 14.0 * floor))[..., None]
    return drilled


def _on_belt(colour: Plane, rng: np.random.Generator, pose: _Pose) -> Plane:
    y, x = _GRID
    weave = 2.2 * np.sin(x * 0.9) * np.sin(y * 0.9)
    belt = (38.0 + weave + 2.5 * _noise(rng, 5, 5))[..., None] * np.array([0.93, 1.0, 0.97], np.float32)
    shadow = cv2.GaussianBlur(_discs([((pose.x + 6.0, pose.y + 9.0), _OUTER_PX + 2.0)]), (0, 0), 5.0)[..., None]
    belt = belt * (1 - 0.55 * shadow)
    body = _discs([((pose.x, pose.y), _OUTER_PX)])[..., None]
    chamfer = body - _discs([((pose.x, pose.y), _OUTER_PX - 5.0)])[..., None]
    toward_light = ((pose.x - x) + (pose.y - y))[..., None] / (2.0 * _OUTER_PX)
    part = colour + chamfer * (10.0 + 55.0 * toward_light)
    image: Plane = (belt * (1 - body) + part * body).astype(np.float32)
    return image


def _light(rng: np.random.Generator) -> Plane:
    """Lamp from the upper left, a little brighter or darker from part to part, and the lens' vignetting."""
    y, x = _GRID / SIZE_PX - 0.5
    level = 1.0 + rng.normal(0.0, 0.012)
    light: Plane = (level * (1.0 - 0.10 * (x + y)) * (1.0 - 0.14 * (x * x + y * y))).astype(np.float32)
    return light


def _place(rng: np.random.Generator, pose: _Pose) -> tuple[float, float]:
    """A point on the metal, clear of bore and edge."""
    return pose.polar(rng.uniform(pose.product.bore_px + 30.0, _OUTER_PX - 28.0), rng.uniform(0.0, 2 * np.pi))


def _scratch(colour: Plane, rng: np.random.Generator, pose: _Pose) -> Plane:
    """A thin curved line: the burr on its side shines, the groove beside it is dark."""
    centre = _place(rng, pose)
    length_px, bend = rng.uniform(70.0, 150.0), rng.uniform(-0.25, 0.25)
    angle = rng.uniform(0.3, np.pi - 0.3)  # never along the brushing, where nobody could see it
    along = np.linspace(-0.5, 0.5, 24)
    x = centre[0] + length_px * (along * np.cos(angle) - bend * along**2 * np.sin(angle))
    y = centre[1] + length_px * (along * np.sin(angle) + bend * along**2 * np.cos(angle))
    width_px = int(rng.integers(2, 4))
    groove, burr = (_line(x + shift, y + shift, width_px) for shift in (0.0, 1.3))
    strength = rng.uniform(60.0, 85.0)
    damaged: Plane = colour + (strength * burr - 0.8 * strength * groove * (1 - burr))[..., None]
    return damaged


def _line(x: NDArray[np.float64], y: NDArray[np.float64], width_px: int) -> Plane:
    points = np.round(np.stack([x, y], axis=1) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    cv2.polylines(mask, [points], False, 255, width_px, cv2.LINE_AA, _SUBPIXEL_BITS)
    return _smooth(mask)


def _dent(colour: Plane, rng: np.random.Generator, pose: _Pose) -> Plane:
    """A hollow: the wall toward the lamp lies in shadow, the far wall shines."""
    centre_x, centre_y = _place(rng, pose)
    sigma_px, depth = rng.uniform(8.0, 15.0), rng.uniform(75.0, 110.0)
    y, x = _GRID
    u, v = (x - centre_x) / sigma_px, (y - centre_y) / sigma_px
    hollow = np.exp(-0.5 * (u * u + v * v))
    damaged: Plane = colour + (depth * (0.7 * u + 0.7 * v) * hollow - 0.25 * depth * hollow)[..., None]
    return damaged


def _stain(colour: Plane, rng: np.random.Generator, pose: _Pose) -> Plane:
    """A drop of oil or rust: irregular, brown, soft at its border."""
    centre_x, centre_y = _place(rng, pose)
    radius_px = rng.uniform(16.0, 32.0)
    y, x = _GRID
    distance = np.hypot(x - centre_x, y - centre_y) / radius_px
    blob = 1.0 / (1.0 + np.exp(12.0 * (distance + 0.22 * _noise(rng, 17, 17) - 1.0)))
    tint = np.array([0.74, 0.62, 0.47], np.float32) * rng.uniform(0.85, 1.05)
    damaged: Plane = colour * (1 - blob[..., None] * (1 - tint))
    return damaged


_SURFACE_DEFECTS: dict[str, Callable[[Plane, np.random.Generator, _Pose], Plane]] = {
    "scratch": _scratch,
    "dent": _dent,
    "stain": _stain,
}

DEFECTS = (*_SURFACE_DEFECTS, "missing_hole")
"""The kinds of defect that can be rendered."""
