"""Rendered parts for tests of teaching: a bright ring on a dark ground, a little different each time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_PX = 96
"""Features, whitening and inference cost in proportion to the pixels: large enough for a scratch to be found."""


def ring(seed: int, *, size: int = SIZE_PX, scratch: bool = False, colour: bool = True) -> NDArray[np.uint8]:
    """(size, size, 3) RGB, or (size, size) when not `colour`."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), 40, np.uint8)
    centre = (size // 2 + int(rng.integers(-2, 3)), size // 2 + int(rng.integers(-2, 3)))
    cv2.circle(image, centre, size // 3, (170, 160, 150), size // 8)
    if scratch:
        cv2.line(image, (size // 3, size // 4), (size // 2, size // 2), (250, 250, 250), 4)
    image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    return image if colour else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def write_rings(folder: Path, count: int, *, first_seed: int = 0, scratch: bool = False, colour: bool = True) -> None:
    """Write `count` PNGs; names are the seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first_seed, first_seed + count):
        image = ring(seed, scratch=scratch, colour=colour)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if colour else image
        assert cv2.imwrite(str(folder / f"{seed:03}.png"), bgr)
