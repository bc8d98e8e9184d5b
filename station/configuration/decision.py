"""Sections on the verdict: `[decision]` with its limits and zones, and `[quality]`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from station.configuration.section import Section

Corner = Annotated[tuple[float, float], Field(strict=False)]


class QualitySection(Section):
    """Whether the picture can be trusted. Unset limits are not checked; wrong size and pixel format always are.

    What the engine learned of good pictures is checked beside them (`as_taught`).
    """

    min_mean_grey: float | None = Field(5.0, ge=0, le=255, description="Darker pictures are not trusted.")
    max_mean_grey: float | None = Field(250.0, ge=0, le=255, description="Brighter pictures are not trusted.")
    max_saturated_share: float | None = Field(None, ge=0, le=1, description="Largest share of saturated pixels (255).")
    min_sharpness: float | None = Field(
        None, ge=0, description="Smallest variance of the Laplacian; see the records for usual values."
    )
    max_missing_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="For 3-D cameras: largest share of the pixels of a frame that may have no height. They are left "
        "out of the score: where many are missing nobody has looked.",
    )
    as_taught: bool = Field(
        True,
        description="Pictures unlike those that the engine was taught with are not trusted: light, sharpness, place of "
        "the part. A limit that is set above replaces the taught one of its value and side.",
    )
    action: Literal["review", "fail"] = Field("review", description="Verdict for a picture that is not trusted.")


class LimitsSection(Section):
    """Limits on the anomalous regions. Unset: no limit."""

    fail_area_mm2: float | None = Field(None, ge=0, description="FAIL when one region is larger.")
    review_area_mm2: float | None = Field(None, ge=0, description="REVIEW when one region is larger.")
    fail_total_area_mm2: float | None = Field(None, ge=0, description="FAIL when all regions together are larger.")
    review_total_area_mm2: float | None = Field(None, ge=0, description="REVIEW when all regions together are larger.")
    fail_length_mm: float | None = Field(None, ge=0, description="FAIL when one region is longer.")
    review_length_mm: float | None = Field(None, ge=0, description="REVIEW when one region is longer.")
    fail_count: int | None = Field(None, ge=0, description="FAIL when there are more regions.")
    review_count: int | None = Field(None, ge=0, description="REVIEW when there are more regions.")

    @model_validator(mode="after")
    def _review_comes_first(self) -> LimitsSection:
        for name in ("area_mm2", "total_area_mm2", "length_mm", "count"):
            fail, review = getattr(self, f"fail_{name}"), getattr(self, f"review_{name}")
            if fail is not None and review is not None and review > fail:
                raise ValueError(f"review_{name} {review} is above fail_{name} {fail}: nothing would ever be reviewed")
        return self


class ZoneSection(LimitsSection):
    """A polygon with its own limits: `[[decision.zones]]`. A region belongs to the first zone that holds its centre."""

    name: str = Field(description="Name of the zone in reasons.", min_length=1, max_length=64)
    polygon: list[Corner] = Field(
        min_length=3,
        max_length=256,
        description="Corners [x, y] as fractions 0..1 of the frame's width and height.",
    )
    ignore: bool = Field(
        False, description="What lies wholly in this zone counts neither for the score nor for the limits on regions."
    )

    @model_validator(mode="after")
    def _inside(self) -> ZoneSection:
        for x, y in self.polygon:
            if not (0 <= x <= 1 and 0 <= y <= 1):
                raise ValueError(f'corner [{x}, {y}] of zone "{self.name}" is outside 0..1 (fractions of the frame)')
        if crossing := _crossing(self.polygon):
            first, second = crossing
            raise ValueError(
                f'the outline of zone "{self.name}" crosses itself: the side after corner {first} meets the one after '
                f"corner {second} (counted from 1); give the corners in order around the zone"
            )
        return self


def _crossing(polygon: Sequence[tuple[float, float]]) -> tuple[int, int] | None:
    """The first two sides that cross each other, by the corner (from 1) they start at; sides that only touch do not."""
    corners = len(polygon)
    sides = [(polygon[index], polygon[(index + 1) % corners]) for index in range(corners)]
    for first, second in combinations(range(corners), 2):
        (a, b), (c, d) = sides[first], sides[second]
        if _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0:
            return first + 1, second + 1
    return None


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Above 0 when the way from a over b to c turns left, below when it turns right, 0 when it is straight."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


class ViewLimitsSection(Section):
    """When what a camera sees fails, passes or needs a look."""

    reject_score: float | None = Field(
        None, ge=0, le=1, description="FAIL above this score. Unset: 0.5, the engine's calibration. 1: never."
    )
    review_score: float | None = Field(
        None, ge=0, le=1, description="REVIEW above this score. Unset: the engine's calibration."
    )
    pixel_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Locations at or above this count as anomalous. Unset: 0.5, the engine's calibration. 1: none.",
    )
    pixel_size_mm: float = Field(0.1, gt=0, le=100, description="Size of one camera pixel on the part.")
    min_region_mm2: float = Field(0.0, ge=0, description="Smaller regions are noise and not reported.")
    limits: LimitsSection = Field(default_factory=LimitsSection, description="Limits outside all zones.")
    zones: list[ZoneSection] = Field(default_factory=list, description="Zones with their own limits.")

    @model_validator(mode="after")
    def _ordered(self) -> ViewLimitsSection:
        if self.reject_score is not None and self.review_score is not None and self.review_score > self.reject_score:
            raise ValueError(f"review_score {self.review_score} is above reject_score {self.reject_score}")
        names = [zone.name for zone in self.zones]
        if len(set(names)) < len(names):
            raise ValueError(f"zone names must differ: {names}")
        return self


class ViewDecisionSection(ViewLimitsSection):
    """What differs for the view of one camera: what is not set here is as in `[decision]`, and what is not set in
    `[decision.views.NAME.quality]` as in `[quality]`. Limits and zones are replaced as a whole.
    """

    weight: float = Field(1.0, gt=0, le=1, description='Its vote under `[views] rule = "weighted"`.')
    quality: QualitySection = Field(
        default_factory=QualitySection, description="Keys that are not set here are those of `[quality]`."
    )


class DecisionSection(ViewLimitsSection):
    """When a part fails, passes or needs a look.

    Scores run from 0 to 1 whatever the engine: a typical good part is at 0.1, the calibrated reject limit at 0.5.
    """

    views: dict[str, ViewDecisionSection] = Field(
        default_factory=dict, description="What differs for single cameras: `[decision.views.NAME]`."
    )


AnySection = TypeVar("AnySection", bound=Section)


def overlaid(base: AnySection, over: Section | None) -> AnySection:
    """`base` with those of its keys that are set in `over`."""
    if over is None:
        return base
    keys = over.model_fields_set & set(type(base).model_fields)
    return base.model_copy(update={key: getattr(over, key) for key in keys})
