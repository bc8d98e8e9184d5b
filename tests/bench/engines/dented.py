"""Flat parts as a 3-D camera measures them, some with a dent, and an engine that knows what a flat one looks like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from engines.inputs.depth_spec import DepthSpec
from tests.bench.engines.small_engine import write_small_engine

SCALE_MM = 0.01
"""A step of the software camera."""
SPEC = DepthSpec(range_mm=1.0, slope_range_mm=0.2)


def plate(
    width: int, height: int, *, dent_mm: float = 0.0, missing: float = 0.0, seed: int = 0, noise_mm: float = 0.01
) -> NDArray[np.uint16]:
    """The values of a tilted plate at about 100 mm, with a dent of 24 px in its left half; 0: no height."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((height, width))
    tilt = rng.uniform(-0.01, 0.01, 2)
    heights = 100.0 + tilt[0] * x + tilt[1] * y + rng.normal(0, noise_mm, (height, width))
    heights[(np.abs(x - 50) < 12) & (np.abs(y - 50) < 12)] -= dent_mm
    values = np.rint(heights / SCALE_MM).astype(np.uint16)
    values[rng.random((height, width)) < missing] = 0
    return values


def write_depth_engine(path: Path, width: int, height: int, spec: DepthSpec = SPEC) -> Path:
    """An engine that fails where height or slopes differ from a plane by 15 grey levels over a cell of 8 x 8 px."""
    flat = np.full((height, width, 3), 128, np.uint8)
    plain = read_bundle(
        write_small_engine(
            path.with_name("plain-engine"), width=width, height=height, reference=flat, reject_score=15.0,
            review_score=12.0, pixel_score=15.0,
        )
    )  # fmt: skip
    taught = plain.manifest.training.model_copy(update={"grey": False})
    manifest = plain.manifest.model_copy(update={"training": taught, "depth": spec.as_text})
    write_bundle(path, draft=manifest, model=plain.model, golden=plain.golden)
    return path
