"""Rendered parts that lie loose: screws in any orientation, and what is no part at all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lie:
    """How a part lies: centre as share of the picture, degrees clockwise, size relative to the picture."""

    x: float = 0.5
    y: float = 0.5
    angle_deg: float = 0.0
    size: float = 1.0


def random_lie(seed: int) -> Lie:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0.42, 0.58, 2)
    return Lie(x, y, rng.uniform(-180, 180), rng.uniform(0.95, 1.05))


def screw(
    lie: Lie,
    *,
    seed: int = 0,
    width: int = 320,
    height: int = 320,
    colour: bool = True,
    noise: float = 4.0,
    spot: bool = False,
) -> NDArray[np.uint8]:
    """A dark screw, head at the left when `angle_deg` is 0, on a bright ground with falling light and noise.

    Args:
        spot: a bright spot on the shaft, three quarters of the length from the head.
    """
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    tilt = rng.uniform(-15, 15, 2)
    ground = 190 + tilt[0] * across + tilt[1] * down - 20 * (across**2 + down**2)
    image = np.repeat(ground[:, :, np.newaxis], 3, axis=2)
    unit = 0.3 * lie.size * min(width, height)

    def polygon(points: list[tuple[float, float]], grey: tuple[int, int, int]) -> None:
        turn = math.radians(lie.angle_deg)
        rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        placed = (np.array(points) * unit) @ rotation.T + (lie.x * width, lie.y * height)
        cv2.fillPoly(image, [np.rint(placed * 16).astype(np.int32)], grey, cv2.LINE_AA, 4)

    polygon([(-1.0, -0.3), (-0.75, -0.3), (-0.75, 0.3), (-1.0, 0.3)], (70, 74, 80))
    polygon([(-0.75, -0.11), (0.85, -0.11), (1.0, 0.0), (0.85, 0.11), (-0.75, 0.11)], (95, 98, 104))
    if spot:
        polygon([(0.45, -0.07), (0.6, -0.07), (0.6, 0.07), (0.45, 0.07)], (235, 235, 240))
    pixels = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    return pixels if colour else np.ascontiguousarray(pixels[:, :, 1])


def texture(seed: int, *, size: int = 256) -> NDArray[np.uint8]:
    """(size, size) grey: a rough surface that fills the picture."""
    rng = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), 4.0)
    fine = rng.normal(0, 5, (size, size))
    return np.asarray(np.clip(120 + 20 * rough / rough.std() + fine, 0, 255), np.uint8)
