"""How loose parts lie, and the settings of a `BlobLocation` that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engines.bundle.location_spec import BlobLocation
from engines.location.blob import SECOND_PART_SHARE, Blob, angle_of, in_deviations
from engines.location.contrast import Cue, Ground, Side

VARYING_POSITION = 0.03
"""Standard deviation of the centre, share of the image's longer side: half a cell of a typical map."""
VARYING_AXIS_DEG = 6.0
VARYING_SIZE = 0.06
"""Standard deviation of the log of the size."""
MIN_ELONGATION = 1.25
"""What is rounder has no axis to speak of."""
TURN_AXIS_DEG = 3.0
"""Parts that vary less are cropped but not turned."""

AREA_TOLERANCE = 1.5
"""A part may be this much smaller or larger than the taught ones: two that touch are twice as large."""
OTHER_TOLERANCE = 2.0
LEAST_OTHER_SHARE = 0.1
"""Of the part's area: specks of less are always allowed beside it."""
MIN_LEAN = 0.02
"""Least median of the length of `Blob.lean` that gives a direction."""
RELIABLE = {"shape": 0.05, "brightness": 0.1}
"""Least median of |skewness| and |correlation| that distinguishes the ends of a part."""

HEADS = {
    "shape": "the thicker end to the left",
    "brightness": "the brighter end to the left",
    "none": "either end may be left",
}


@dataclass(frozen=True)
class Spread:
    """How differently parts lie."""

    position: float
    """Standard deviation of the centre along the worse axis, share of the image's longer side."""
    axis_deg: float
    """Circular standard deviation of the axis, at most 52 degrees, which is any direction."""
    size: float
    """Standard deviation of the log of the size."""
    elongation: float
    """Median."""
    lean: float
    """Median length of `Blob.lean`."""
    lean_deg: float
    """Circular standard deviation of its direction, at most 104 degrees."""

    @property
    def has_lean(self) -> bool:
        """False for parts whose outline is the same from opposite ends."""
        return self.lean >= MIN_LEAN

    @property
    def has_axis(self) -> bool:
        """False for round parts, whose axis is noise."""
        return self.elongation >= MIN_ELONGATION

    @property
    def varies(self) -> bool:
        """Too much for a model that learns what belongs where in the image."""
        turned = self.has_axis and self.axis_deg > VARYING_AXIS_DEG
        turned |= not self.has_axis and self.has_lean and self.lean_deg > VARYING_AXIS_DEG
        return turned or self.position > VARYING_POSITION or self.size > VARYING_SIZE

    def __str__(self) -> str:
        axis = f", axis {self.axis_deg:.0f} degrees" if self.has_axis else ""
        if not self.has_axis and self.has_lean:
            axis = f", direction {self.lean_deg:.0f} degrees"
        return f"position {self.position:.1%} of the image{axis}, size {self.size:.1%}"


def spread_of(blobs: Sequence[Blob], longer: Sequence[float]) -> Spread:
    """How the parts `blobs` lie in images whose longer sides (px) are `longer`."""
    centres = np.array([(blob.x, blob.y) for blob in blobs]) / np.array(longer)[:, np.newaxis]
    lean = np.array([blob.lean for blob in blobs])
    return Spread(
        position=float(centres.std(axis=0).max()),
        # An axis has no direction: 0 and 180 degrees are the same, so twice the angle is averaged (Mardia, Jupp 2000).
        axis_deg=_circular_deg([2 * blob.axis_deg for blob in blobs]) / 2,
        size=float(np.log([blob.area_share for blob in blobs]).std() / 2),
        elongation=float(np.median([blob.elongation for blob in blobs])),
        lean=float(np.median(np.hypot(*lean.T))),
        lean_deg=_circular_deg(np.degrees(np.arctan2(lean[:, 1], lean[:, 0])).tolist()),
    )


def _circular_deg(angles_deg: Sequence[float]) -> float:
    """Circular standard deviation, at most 104 degrees, which is any direction."""
    resultant = max(float(np.abs(np.exp(1j * np.radians(angles_deg)).mean())), math.exp(-0.5 * math.radians(104) ** 2))
    return math.degrees(math.sqrt(max(0.0, -2 * math.log(min(1.0, resultant)))))


def choose_blobs(
    blobs: Sequence[Blob], spread: Spread, contrast: float, *, cue: Cue = None, side: Side = None, ground: Ground = None
) -> Iterator[BlobLocation]:
    """Settings that fit these parts: with every way to turn them that is reliable, and either kind of box."""
    low, high = np.quantile([blob.area_share for blob in blobs], (0.02, 0.98))
    others = float(np.quantile([blob.other_share for blob in blobs], 0.95))
    plain = BlobLocation(
        contrast=contrast,
        min_area_share=round(float(low) / AREA_TOLERANCE, 6),
        max_area_share=round(min(0.99, float(high) * AREA_TOLERANCE), 6),
        turn=False,
        cue=cue,
        side=side,
        ground=ground,
        max_other_share=round(min(SECOND_PART_SHARE, max(LEAST_OTHER_SHARE, OTHER_TOLERANCE * others)), 3),
    )
    turned = []
    if spread.has_axis and spread.axis_deg > TURN_AXIS_DEG:
        turned += [plain.model_copy(update={"turn": True, "head": head}) for head in _heads(blobs)]
    elif not spread.has_axis and spread.has_lean and spread.lean_deg > TURN_AXIS_DEG:
        turned = [plain, plain.model_copy(update={"turn": True, "turn_by": "lean"})]
    for spec in turned or [plain]:
        yield spec.model_copy(update={"box": _box(blobs, spec)})
        yield spec


def _box(blobs: Sequence[Blob], spec: BlobLocation) -> tuple[float, float, float, float]:
    """Where the outlines end, in standard deviations: what most parts need, since the box grows for the others."""
    ends = []
    for blob in blobs:
        outline, deviations = in_deviations(blob, angle_of(blob, spec))
        ends.append(np.concatenate([outline.min(axis=0) / deviations, outline.max(axis=0) / deviations]))
    left, top, _, _ = np.quantile(ends, 0.1, axis=0)
    _, _, right, bottom = np.quantile(ends, 0.9, axis=0)
    if spec.turn and spec.head == "none" and spec.turn_by is None:  # either end may be at the left
        left, right = min(left, -right), max(-left, right)
        top, bottom = min(top, -bottom), max(-top, bottom)
    left, top, right, bottom = (round(float(np.clip(end, -16, 16)), 3) for end in (left, top, right, bottom))
    return left, top, right, bottom


def describe_blob(spec: BlobLocation, spread: Spread) -> str:
    """In words."""
    found = "segmented from the background"
    if spec.cue == "edges":
        found = "found by its edges"
    elif spec.side or spec.ground:
        found = f"{spec.side or 'segmented'}{' than' if spec.side else ' from'} the background"
        found += " around it" if spec.ground else ""
    turned = f"turned to its axis ({HEADS[spec.head]})" if spec.turn else "not turned"
    if spec.turn_by == "lean":
        turned = "turned to where it leans"
    return f"part {found}, {turned} and cropped; it varies in {spread}"


def _heads(blobs: Sequence[Blob]) -> Sequence[Literal["shape", "brightness", "none"]]:
    """What distinguishes the ends in nearly every image: a value that is large against its own spread."""
    heads: list[Literal["shape", "brightness", "none"]] = []
    if _is_reliable([blob.skewness for blob in blobs], RELIABLE["shape"]):
        heads.append("shape")
    if _is_reliable([blob.brightness for blob in blobs], RELIABLE["brightness"]):
        heads.append("brightness")
    return heads or ["none"]


def _is_reliable(values: Sequence[float], least: float) -> bool:
    low, median = np.quantile(np.abs(values), (0.05, 0.5))
    return bool(median >= least and low >= median / 3)
