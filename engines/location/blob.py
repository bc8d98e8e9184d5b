"""A part that stands out from its background: its outline, its axis and the box around it.

What differs from the background (`engines.location.contrast`) by the taught contrast is part. The axis comes from the
second moments of the outline, its direction from the third: the sign of the skewness along the axis does not depend on
single pixels, unlike the farthest point. So does the box, where its place is taught in standard deviations: it stays
when the outline flickers, and grows where the outline reaches out of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines import said
from engines.bundle.location_spec import BlobLocation
from engines.errors import PartNotLocated
from engines.location.contrast import Contrast, edge_grid, measure_contrast
from engines.location.pose import Pose

MAX_FOREIGN_EDGE_SHARE = 0.1
"""Share of the edge that may differ from the background."""
SECOND_PART_SHARE = 0.4
"""Another outline with more than this share of the largest one's area is another part, unless taught otherwise."""
EDGES_TRIM_PX = 1
"""A steep line is about three pixels wide, and the part ends in its middle."""


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
    covariance: tuple[float, float, float]
    """xx, xy, yy of the filled outline, px squared."""
    lean: tuple[float, float]
    """Sum of the third moments along x and along y, standardised: where the thin end points, whatever the axis."""
    other_share: float
    """Area of the next largest thing over this one's."""


class BlobLocator:
    """Finds the part as an engine was taught to."""

    def __init__(self, spec: BlobLocation) -> None:
        self._spec = spec

    def locate(self, image: NDArray[np.uint8]) -> Pose:
        """See `Locator`."""
        spec = self._spec
        contrast = measure_contrast(image, spec.cue, spec.side, spec.ground)
        most = SECOND_PART_SHARE if spec.max_other_share is None else spec.max_other_share
        blob = find_blob(contrast, spec.contrast, most, with_brightness=spec.head == "brightness")
        return pose_of(blob, spec)


def angle_of(blob: Blob, spec: BlobLocation) -> float:
    """Degrees from the image's x axis to that of the box."""
    if not spec.turn:
        return 0.0
    if spec.turn_by == "lean":
        return math.degrees(math.atan2(blob.lean[1], blob.lean[0]))
    lean = {"shape": blob.skewness, "brightness": -blob.brightness, "none": 0.0}[spec.head]
    return blob.axis_deg if lean >= 0 else blob.axis_deg + 180.0


def in_deviations(blob: Blob, angle_deg: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The outline (n, 2) along axes turned by `angle_deg`, from the centre of gravity, and the standard deviations (2,)
    there, all px."""
    axes = _axes(angle_deg)
    xx, xy, yy = blob.covariance
    deviations = np.sqrt(np.einsum("ij,jk,ik->i", axes, np.array([[xx, xy], [xy, yy]]), axes))
    return (blob.outline - (blob.x, blob.y)) @ axes.T, deviations


def pose_of(blob: Blob, spec: BlobLocation) -> Pose:
    """The box around the part in its own axes, margin included.

    Raises:
        PartNotLocated: larger or smaller than the taught parts.
    """
    if not spec.min_area_share <= blob.area_share <= spec.max_area_share:
        raise PartNotLocated(
            said.COVERS(
                share=f"{blob.area_share:.2%}",
                other_share=f"{spec.min_area_share:.2%}",
                third_share=f"{spec.max_area_share:.2%}",
            )
        )
    angle_deg = angle_of(blob, spec)
    axes = _axes(angle_deg)
    if spec.box is None:
        along = blob.outline @ axes.T
        low, high = along.min(axis=0), along.max(axis=0)
        x, y = (low + high) / 2 @ axes
        width, height = high - low
        margin = 2 * spec.margin * max(width, height)
        width, height = width + margin, height + margin
    else:
        outline, deviations = in_deviations(blob, angle_deg)
        left, top, right, bottom = spec.box
        low, high = deviations * (left, top), deviations * (right, bottom)
        edge = spec.margin * float((high - low).max())
        # Whatever sticks out of the part is looked at, too.
        low, high = np.minimum(low - edge, outline.min(axis=0)), np.maximum(high + edge, outline.max(axis=0))
        x, y = (low + high) / 2 @ axes + (blob.x, blob.y)
        width, height = high - low
    return Pose(float(x), float(y), float(width), float(height), (angle_deg + 180.0) % 360.0 - 180.0)


def _axes(angle_deg: float) -> NDArray[np.float64]:
    """(2, 2): the turned axes, one a row."""
    turn = math.radians(angle_deg)
    return np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])


def find_blob(
    contrast: Contrast, threshold: float, max_other_share: float = SECOND_PART_SHARE, *, with_brightness: bool = True
) -> Blob:
    """The one part whose pixels differ from the background by more than `threshold` grey levels.

    Raises:
        PartNotLocated: nothing, several parts, a part that reaches over the edge, or no even background.
    """
    rows, columns = contrast.distance.shape
    mask = np.asarray(contrast.distance > threshold, np.uint8)
    _, _, edge = edge_grid(rows, columns)
    foreign = float(mask.reshape(-1)[edge].mean())
    if foreign > MAX_FOREIGN_EDGE_SHARE:
        raise PartNotLocated(said.FOREIGN_EDGE(share=f"{foreign:.0%}", other_share=f"{MAX_FOREIGN_EDGE_SHARE:.0%}"))
    mask = _surrounded(mask) if contrast.cue == "edges" else cv2.medianBlur(mask, 3)  # type: ignore[assignment]
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))  # type: ignore[assignment]
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    if not areas or max(areas) < 4:
        nothing = said.NOTHING_IS_STEEP if contrast.cue == "edges" else said.NOTHING_DIFFERS
        raise PartNotLocated(nothing(number=f"{threshold:.0f}"))
    largest = int(np.argmax(areas))
    others = [area / areas[largest] for index, area in enumerate(areas) if index != largest]
    parts = 1 + sum(share > max_other_share for share in others)
    if parts > 1:
        raise PartNotLocated(said.SEVERAL_PARTS(count=parts))
    outline = np.asarray(outlines[largest], np.int32)
    left, top, width, height = cv2.boundingRect(outline)
    spare = EDGES_TRIM_PX if contrast.cue == "edges" else 0
    if left <= spare or top <= spare or left + width >= columns - spare or top + height >= rows - spare:
        raise PartNotLocated(said.OVER_THE_EDGE())
    return _blob(contrast, outline, max(others, default=0.0), with_brightness=with_brightness)


def _surrounded(steep: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What lines of steep change surround, without the outer half of the lines, which lies beside the part."""
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(steep, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(steep), outlines, -1, 1, cv2.FILLED)
    return np.asarray(cv2.erode(filled, kernel, iterations=EDGES_TRIM_PX, borderValue=0), np.uint8)


def _blob(contrast: Contrast, outline: NDArray[np.int32], other_share: float, *, with_brightness: bool) -> Blob:
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
        covariance=(xx, xy, yy),
        lean=(
            (moments["mu30"] + moments["mu12"]) / area / (xx + yy) ** 1.5,
            (moments["mu21"] + moments["mu03"]) / area / (xx + yy) ** 1.5,
        ),
        other_share=other_share,
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0
