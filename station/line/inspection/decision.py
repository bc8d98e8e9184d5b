"""Pure: holds what was measured against the limits of its view, and returns PASS, FAIL or REVIEW with reasons.

Every limit is checked for every part; the worst verdict wins and all reasons are listed. PASS is what is left when no
limit is exceeded. A value that is not a number never passes: a score is an ERROR then, a quality value counts as beyond
its limit, and `measure` refuses such a map.

A picture unlike those that the engine was taught with is another matter: what the engine says of it, it says of
something that it never saw. Its part is REVIEW (or FAIL where `[quality] action` says so) however high the score is,
and the reasons name lamp, lens or position first; it never passes.

The score limits always apply: limits on regions and zones only add to them. A zone with `ignore = true` takes the
regions that lie wholly inside it out of the limits on regions, and the image score that comes here is that of the map
outside such zones (`engines.ignored_zones`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engines.bundle.picture_bands import PictureBand, relative_sharpness
from station.codes import ReasonCode
from station.results import (
    SEVERITY,
    Decision,
    FrameQuality,
    Measurement,
    Reason,
    Region,
    Regions,
    UnlistedRegions,
    Verdict,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RegionLimits:
    """Limits on regions; a value above its limit counts against the part. None: not limited."""

    fail_area_mm2: float | None = None
    review_area_mm2: float | None = None
    fail_total_area_mm2: float | None = None
    review_total_area_mm2: float | None = None
    fail_length_mm: float | None = None
    review_length_mm: float | None = None
    fail_count: int | None = None
    review_count: int | None = None


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon with its own limits, in fractions of the frame: (0, 0) top left, (1, 1) bottom right."""

    name: str
    polygon: tuple[Point, ...]
    limits: RegionLimits = field(default_factory=RegionLimits)
    ignore: bool = False

    def __post_init__(self) -> None:
        if len(self.polygon) < 3:
            raise ValueError(f'zone "{self.name}" has {len(self.polygon)} corners: a polygon needs at least 3')


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """When a frame is not trusted, and the verdict on its part then. None: not checked."""

    min_mean_grey: float | None = None
    max_mean_grey: float | None = None
    max_saturated_share: float | None = None
    min_sharpness: float | None = None
    expected_shape: tuple[int, ...] | None = None
    """Shape of the pixels that the camera was set to, see `CameraInfo.shape`."""
    verdict: Verdict = Verdict.REVIEW
    taught: PictureBand | None = None
    """What good pictures look like; None: not known, or not to be checked."""
    max_missing_share: float | None = None
    """Of a 3-D camera: pixels without a height, of all."""

    def __post_init__(self) -> None:
        if self.verdict not in (Verdict.REVIEW, Verdict.FAIL):
            raise ValueError(f"verdict {self.verdict.name} for a frame that is not trusted: REVIEW or FAIL")


@dataclass(frozen=True, slots=True)
class Limits:
    """All that one view is held against. PASS: score <= review_score; FAIL: score > reject_score; between: REVIEW.

    Scores and limits are on the scale from 0 to 1 of `engines.scale`.
    """

    reject_score: float
    review_score: float
    regions: RegionLimits = field(default_factory=RegionLimits)
    """For regions outside all zones."""
    zones: tuple[Zone, ...] = ()
    quality: QualityLimits = field(default_factory=QualityLimits)

    def __post_init__(self) -> None:
        if not self.review_score <= self.reject_score:
            raise ValueError(f"review_score {self.review_score} must not be above reject_score {self.reject_score}")


@dataclass(frozen=True, slots=True)
class _Finding:
    verdict: Verdict
    reason: Reason


def decide(measurement: Measurement, limits: Limits) -> Decision:
    """The verdict on one frame. A score that is not finite is an ERROR.

    Reasons come most severe first; at equal severity frame quality before score before regions, because a bad
    frame explains the others.
    """
    if not math.isfinite(measurement.score):
        return Decision.error(ReasonCode.SCORE_NOT_FINITE, f"image score {measurement.score}")
    unlike = list(_as_taught(measurement.quality, limits.quality))
    findings = [
        *unlike,
        *_quality(measurement.quality, limits.quality),
        *_score(measurement.score, limits),
        *_regions(measurement.regions, measurement.quality.shape, limits),
    ]
    if not findings:
        return Decision(Verdict.PASS)
    return _of_unlike(unlike, findings) if unlike else _worst(findings)


def not_located(quality: FrameQuality, limits: Limits, detail: str) -> Decision:
    """The verdict on a frame in which the engine did not find the part: at best REVIEW, the part was not scored."""
    unlike = list(_as_taught(quality, limits.quality))
    findings = [
        *unlike,
        *_quality(quality, limits.quality),
        _Finding(Verdict.REVIEW, Reason(ReasonCode.PART_NOT_LOCATED, detail)),
    ]
    return _of_unlike(unlike, findings) if unlike else _worst(findings)


def _worst(findings: list[_Finding]) -> Decision:
    """The worst verdict with all reasons; at equal severity in the order given."""
    ordered = sorted(findings, key=lambda finding: -SEVERITY[finding.verdict])
    return Decision(ordered[0].verdict, tuple(finding.reason for finding in ordered))


def _of_unlike(unlike: Sequence[_Finding], findings: Sequence[_Finding]) -> Decision:
    """Of a picture unlike those taught: its own verdict, whatever the engine says; with all reasons, these first."""
    others = sorted(findings[len(unlike) :], key=lambda finding: -SEVERITY[finding.verdict])
    return Decision(unlike[0].verdict, tuple(finding.reason for finding in (*unlike, *others)))


def unlike_taught(quality: FrameQuality, taught: PictureBand) -> Iterator[Reason]:
    """What of a picture is outside of the bands: lamp, lens, position, in this order; at most one reason each."""
    grey, saturated = quality.mean_grey, quality.saturated_share
    sharpness = relative_sharpness(quality.sharpness, grey)
    light = [
        f"{name} {value:.3g}, taught {band}"
        for name, value, band in (("mean grey", grey, taught.grey), ("saturated", saturated, taught.saturated))
        if value not in band
    ]
    if light:
        yield Reason(ReasonCode.LIGHT_NOT_AS_TAUGHT, "; ".join(light))
    if sharpness not in taught.sharpness:
        detail = f"relative sharpness {sharpness:.3g}, taught {taught.sharpness}"
        yield Reason(ReasonCode.SHARPNESS_NOT_AS_TAUGHT, detail)
    if quality.place is not None:
        bands = zip(("x", "y", "size"), quality.place, (taught.place_x, taught.place_y, taught.size), strict=True)
        place = [
            f"{name} {value:.3g} of the width, taught {band}"
            for name, value, band in bands
            if band is not None and value not in band
        ]
        if place:
            yield Reason(ReasonCode.PLACE_NOT_AS_TAUGHT, "; ".join(place))


def _as_taught(quality: FrameQuality, limits: QualityLimits) -> Iterator[_Finding]:
    if limits.taught is not None:
        for reason in unlike_taught(quality, limits.taught):
            yield _Finding(limits.verdict, reason)


def _quality(quality: FrameQuality, limits: QualityLimits) -> Iterator[_Finding]:
    def finding(code: ReasonCode, detail: str) -> _Finding:
        return _Finding(limits.verdict, Reason(code, detail))

    grey, share = quality.mean_grey, quality.saturated_share
    if limits.expected_shape is not None and quality.shape != limits.expected_shape:
        detail = f"frame {_shape_text(quality.shape)}, expected {_shape_text(limits.expected_shape)}"
        yield finding(ReasonCode.WRONG_SIZE, detail)
    if limits.min_mean_grey is not None and not grey >= limits.min_mean_grey:
        yield finding(ReasonCode.TOO_DARK, f"mean grey {grey:.1f} < {limits.min_mean_grey:g}")
    if limits.max_mean_grey is not None and not grey <= limits.max_mean_grey:
        yield finding(ReasonCode.TOO_BRIGHT, f"mean grey {grey:.1f} > {limits.max_mean_grey:g}")
    if limits.max_saturated_share is not None and not share <= limits.max_saturated_share:
        yield finding(ReasonCode.TOO_BRIGHT, f"saturated share {share:.4f} > {limits.max_saturated_share:g}")
    if limits.min_sharpness is not None and not quality.sharpness >= limits.min_sharpness:
        yield finding(ReasonCode.OUT_OF_FOCUS, f"sharpness {quality.sharpness:.1f} < {limits.min_sharpness:g}")
    missing, most = quality.missing_share, limits.max_missing_share
    if most is not None and not missing <= most:
        yield finding(ReasonCode.HEIGHTS_MISSING, f"{missing:.1%} of the pixels have no height > {most:.1%}")


def _shape_text(shape: tuple[int, ...]) -> str:
    kind = {2: "grey", 3: "RGB"}.get(len(shape), "pixels")
    return f"{shape[1]} x {shape[0]} {kind}" if len(shape) >= 2 else str(shape)


def _score(score: float, limits: Limits) -> Iterator[_Finding]:
    if score > limits.reject_score:
        reason = Reason(ReasonCode.SCORE_ABOVE_LIMIT, f"{score:.4g} > {limits.reject_score:.4g}")
        yield _Finding(Verdict.FAIL, reason)
    elif score > limits.review_score:
        reason = Reason(ReasonCode.SCORE_IN_REVIEW_BAND, f"{score:.4g} > {limits.review_score:.4g}")
        yield _Finding(Verdict.REVIEW, reason)


def _regions(regions: Regions, shape: tuple[int, ...], limits: Limits) -> Iterator[_Finding]:
    """Where the unlisted regions lie is not known: they count in every place where regions count at all."""
    if regions.count == 0:
        return
    outside, by_zone = _place(regions.listed, shape, limits.zones)
    yield from _of_regions(outside, regions.unlisted, limits.regions, "")
    for zone, inside in zip(limits.zones, by_zone, strict=True):
        if not zone.ignore:
            yield from _of_regions(inside, regions.unlisted, zone.limits, f'zone "{zone.name}": ')


def _place(
    regions: Sequence[Region], shape: tuple[int, ...], zones: Sequence[Zone]
) -> tuple[list[Region], list[list[Region]]]:
    """Regions outside all zones, and those of each zone: the first one that holds the region."""
    outside: list[Region] = []
    by_zone: list[list[Region]] = [[] for _ in zones]
    if not zones:
        return list(regions), by_zone
    import numpy as np  # noqa: PLC0415  the line has loaded it; a what-if of score limits does without, and starts faster

    height, width = shape[:2]
    polygons = [np.asarray(zone.polygon, np.float32) * np.array([width, height], np.float32) for zone in zones]
    for region in regions:
        for zone, polygon, inside in zip(zones, polygons, by_zone, strict=True):
            if _holds(polygon, region, whole=zone.ignore):
                inside.append(region)
                break
        else:
            outside.append(region)
    return outside, by_zone


def _holds(polygon: NDArray[np.float32], region: Region, *, whole: bool) -> bool:
    """Whether the region's centre lies in the polygon (in px, corners of pixels whole numbers) or, `whole`, all of it.

    A defect that reaches out of an ignored zone must count, however little of it lies outside.
    """
    import cv2  # noqa: PLC0415  as above

    points: tuple[Point, ...] = (region.centre_px,)
    if whole:
        x, y, width, height = region.box_px
        corners = ((x, y), (x + width - 1, y), (x, y + height - 1), (x + width - 1, y + height - 1))
        points += region.contour_px or corners
    return all(cv2.pointPolygonTest(polygon, (px + 0.5, py + 0.5), measureDist=False) >= 0 for px, py in points)


def _of_regions(
    regions: Sequence[Region], unlisted: UnlistedRegions, limits: RegionLimits, where: str
) -> Iterator[_Finding]:
    count = len(regions) + unlisted.count
    if count == 0:
        return
    total = sum(region.area_mm2 for region in regions) + unlisted.area_mm2
    area, area_at = _largest([(region.area_mm2, region.centre_px) for region in regions], unlisted.largest_mm2)
    length, length_at = _largest([(region.length_mm, region.centre_px) for region in regions], unlisted.longest_mm)

    def check(
        code: ReasonCode, value: float, found: str, fail: float | None, review: float | None
    ) -> Iterator[_Finding]:
        for verdict, limit in ((Verdict.FAIL, fail), (Verdict.REVIEW, review)):
            if limit is not None and value > limit:
                yield _Finding(verdict, Reason(code, f"{where}{found} > {limit:g}"))
                return

    found = f"area {area:.3f} mm²{area_at}"
    yield from check(ReasonCode.REGION_AREA, area, found, limits.fail_area_mm2, limits.review_area_mm2)
    found = f"total area {total:.3f} mm² of {count}"
    yield from check(ReasonCode.REGION_AREA, total, found, limits.fail_total_area_mm2, limits.review_total_area_mm2)
    found = f"length {length:.3f} mm{length_at}"
    yield from check(ReasonCode.REGION_LENGTH, length, found, limits.fail_length_mm, limits.review_length_mm)
    yield from check(ReasonCode.REGION_COUNT, count, f"{count} regions", limits.fail_count, limits.review_count)


def _largest(listed: Sequence[tuple[float, Point]], unlisted: float) -> tuple[float, str]:
    """The largest value and where it lies."""
    value, (x, y) = max(listed, default=(0.0, (0.0, 0.0)))
    return (unlisted, " (not listed)") if unlisted > value else (value, f" at ({x:.0f}, {y:.0f})")
