"""Limits: what counts against a part, what wins, and that nothing worse ever gives a better verdict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.codes import ReasonCode
from station.line.inspection.decision import Limits, QualityLimits, RegionLimits, Zone, decide
from station.results import (
    FrameQuality,
    Measurement,
    Region,
    Regions,
    UnlistedRegions,
    Verdict,
)

SEVERITY = {Verdict.PASS: 0, Verdict.REVIEW: 1, Verdict.FAIL: 2, Verdict.ERROR: 3}
SHAPE = (100, 200)
GOOD_QUALITY = FrameQuality(mean_grey=100.0, saturated_share=0.0, sharpness=50.0, shape=SHAPE)
LIMITS = Limits(reject_score=1.0, review_score=0.5)
LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
EVERYWHERE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def region(area_mm2: float = 1.0, length_mm: float = 1.0, x: int = 20, y: int = 50, size: int = 4) -> Region:
    return Region(area_mm2, length_mm, (float(x), float(y)), (x - size // 2, y - size // 2, size, size), 1.0)


def measured(score: float = 0.0, *regions: Region, unlisted: UnlistedRegions | None = None) -> Measurement:
    return Measurement(score, Regions(regions, unlisted or UnlistedRegions()), GOOD_QUALITY)


def codes(measurement: Measurement, limits: Limits) -> list[ReasonCode]:
    return [reason.code for reason in decide(measurement, limits).reasons]


@pytest.mark.parametrize(
    ("score", "verdict"),
    [
        (-5.0, Verdict.PASS),
        (0.5, Verdict.PASS),
        (math.nextafter(0.5, 1), Verdict.REVIEW),
        (1.0, Verdict.REVIEW),
        (math.nextafter(1.0, 2), Verdict.FAIL),
        (math.nan, Verdict.ERROR),
        (math.inf, Verdict.ERROR),
        (-math.inf, Verdict.ERROR),
    ],
)
def test_score(score: float, verdict: Verdict) -> None:
    assert decide(measured(score), LIMITS).verdict is verdict


def test_score_that_is_not_finite_has_one_reason_that_names_it() -> None:
    decision = decide(measured(math.nan, region()), replace(LIMITS, regions=RegionLimits(fail_count=0)))
    assert [str(reason) for reason in decision.reasons] == [
        "the engine returned a score that is not a number: image score nan"
    ]


@pytest.mark.parametrize("unordered", [(0.5, 1.0), (math.nan, 0.1), (1.0, math.nan)])
def test_scores_out_of_order_are_refused(unordered: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="review_score"):
        Limits(*unordered)


@pytest.mark.parametrize(
    ("limit", "code", "value_text"),
    [
        ("area_mm2", ReasonCode.REGION_AREA, "area 3.000 mm² at (20, 50) > 2.9"),
        ("total_area_mm2", ReasonCode.REGION_AREA, "total area 5.000 mm² of 2 > 4.9"),
        ("length_mm", ReasonCode.REGION_LENGTH, "length 7.000 mm at (60, 30) > 6.9"),
        ("count", ReasonCode.REGION_COUNT, "2 regions > 1"),
    ],
)
@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.REVIEW])
def test_region_limits(limit: str, code: ReasonCode, value_text: str, verdict: Verdict) -> None:
    parts = measured(0.0, region(3.0, 5.0), region(2.0, 7.0, x=60, y=30))
    reached: Any = {"area_mm2": 3.0, "total_area_mm2": 5.0, "length_mm": 7.0, "count": 2}[limit]
    name = f"{verdict.name.lower()}_{limit}"
    at_limit = zoned(**{name: reached})
    assert decide(parts, at_limit).verdict is Verdict.PASS
    exceeded = zoned(**{name: 1 if limit == "count" else reached - 0.1})
    decision = decide(parts, exceeded)
    assert decision.verdict is verdict
    assert [(reason.code, reason.detail) for reason in decision.reasons] == [(code, value_text)]


def test_fail_limit_hides_the_review_limit_of_the_same_value() -> None:
    limits = replace(LIMITS, regions=RegionLimits(fail_area_mm2=2.0, review_area_mm2=1.0))
    assert codes(measured(0.0, region(3.0)), limits) == [ReasonCode.REGION_AREA]


def test_limit_zero_allows_no_region() -> None:
    limits = replace(LIMITS, regions=RegionLimits(fail_count=0))
    assert decide(measured(), limits).verdict is Verdict.PASS
    assert decide(measured(0.0, region()), limits).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("quality", "limits", "code", "detail"),
    [
        ({"mean_grey": 4.9}, {"min_mean_grey": 5.0}, ReasonCode.TOO_DARK, "mean grey 4.9 < 5"),
        ({"mean_grey": 251.0}, {"max_mean_grey": 250.0}, ReasonCode.TOO_BRIGHT, "mean grey 251.0 > 250"),
        ({"saturated_share": 0.2}, {"max_saturated_share": 0.1}, ReasonCode.TOO_BRIGHT, "saturated share 0.2000 > 0.1"),
        ({"sharpness": 9.0}, {"min_sharpness": 10.0}, ReasonCode.OUT_OF_FOCUS, "sharpness 9.0 < 10"),
        (
            {"missing_share": 0.2},
            {"max_missing_share": 0.1},
            ReasonCode.HEIGHTS_MISSING,
            "20.0% of the pixels have no height > 10.0%",
        ),
        (
            {"missing_share": math.nan},
            {"max_missing_share": 0.1},
            ReasonCode.HEIGHTS_MISSING,
            "nan% of the pixels have no height > 10.0%",
        ),
        (
            {"shape": (100, 200, 3)},
            {"expected_shape": SHAPE},
            ReasonCode.WRONG_SIZE,
            "frame 200 x 100 RGB, expected 200 x 100 grey",
        ),
    ],
)
@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.REVIEW])
def test_quality(
    quality: dict[str, Any], limits: dict[str, Any], code: ReasonCode, detail: str, verdict: Verdict
) -> None:
    of_quality = replace(LIMITS, quality=replace(QualityLimits(verdict=verdict), **limits))
    assert decide(measured(), of_quality).verdict is Verdict.PASS
    bad = replace(measured(), quality=replace(GOOD_QUALITY, **quality))
    decision = decide(bad, of_quality)
    assert decision.verdict is verdict
    assert [(reason.code, reason.detail) for reason in decision.reasons] == [(code, detail)]


@pytest.mark.parametrize("name", ["mean_grey", "saturated_share", "sharpness"])
def test_quality_that_is_not_a_number_never_passes(name: str) -> None:
    broken: dict[str, Any] = {name: math.nan}
    limits = QualityLimits(min_mean_grey=1.0, max_saturated_share=0.5, min_sharpness=1.0)
    bad = replace(measured(), quality=replace(GOOD_QUALITY, **broken))
    assert decide(bad, replace(LIMITS, quality=limits)).verdict is Verdict.REVIEW


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.ERROR])
def test_bad_picture_cannot_be_told_to_pass(verdict: Verdict) -> None:
    with pytest.raises(ValueError, match="REVIEW or FAIL"):
        QualityLimits(verdict=verdict)


def test_all_reasons_are_listed_the_most_severe_first() -> None:
    limits = Limits(
        reject_score=1.0,
        review_score=0.5,
        regions=RegionLimits(fail_area_mm2=0.5, review_count=0),
        quality=QualityLimits(min_mean_grey=200.0),
    )
    decision = decide(measured(0.7, region(1.0)), limits)
    assert decision.verdict is Verdict.FAIL
    assert decision.code is ReasonCode.REGION_AREA
    assert [reason.code for reason in decision.reasons[1:]] == [
        ReasonCode.TOO_DARK,
        ReasonCode.SCORE_IN_REVIEW_BAND,
        ReasonCode.REGION_COUNT,
    ]


def zoned(*zones: Zone, **limits: Any) -> Limits:
    return replace(LIMITS, zones=zones, regions=replace(RegionLimits(), **limits))


def test_region_belongs_to_the_zone_of_its_centre_else_to_the_rest() -> None:
    limits = zoned(Zone("left", LEFT_HALF, RegionLimits(fail_count=0)), review_count=0)
    assert decide(measured(0.0, region(x=99)), limits).verdict is Verdict.FAIL
    assert decide(measured(0.0, region(x=100)), limits).verdict is Verdict.REVIEW
    assert decide(measured(0.0, region(x=99)), limits).reasons[0].detail == 'zone "left": 1 regions > 0'


def test_first_zone_that_holds_the_centre_counts() -> None:
    lax, strict = Zone("lax", LEFT_HALF), Zone("strict", EVERYWHERE, RegionLimits(fail_count=0))
    assert decide(measured(0.0, region()), zoned(lax, strict)).verdict is Verdict.PASS
    assert decide(measured(0.0, region()), zoned(strict, lax)).verdict is Verdict.FAIL


def test_ignored_zone_takes_regions_out_of_the_region_rules_only() -> None:
    limits = zoned(Zone("date code", LEFT_HALF, ignore=True), fail_count=0)
    assert decide(measured(0.4, region(x=50)), limits).verdict is Verdict.PASS
    assert decide(measured(0.4, region(x=150)), limits).verdict is Verdict.FAIL
    assert codes(measured(1.1, region(x=50)), limits) == [ReasonCode.SCORE_ABOVE_LIMIT]


def test_defect_that_reaches_out_of_an_ignored_zone_counts() -> None:
    limits = zoned(Zone("date code", LEFT_HALF, ignore=True), fail_count=0)
    assert decide(measured(0.0, region(x=90, size=20)), limits).verdict is Verdict.PASS
    assert decide(measured(0.0, region(x=90, size=22)), limits).verdict is Verdict.FAIL
    with_outline = replace(region(x=90), contour_px=((80, 50), (95, 48), (101, 50)))
    assert decide(measured(0.0, with_outline), limits).verdict is Verdict.FAIL


def test_unlisted_regions_count_everywhere_but_in_ignored_zones() -> None:
    rest = UnlistedRegions(count=100, area_mm2=10.0, largest_mm2=0.2, longest_mm=0.9)
    many = measured(0.0, region(0.3, 0.5), unlisted=rest)
    assert decide(many, zoned(Zone("left", LEFT_HALF, RegionLimits(fail_count=100)))).verdict is Verdict.FAIL
    assert decide(many, zoned(Zone("left", LEFT_HALF), fail_total_area_mm2=9.0)).verdict is Verdict.FAIL
    assert decide(many, zoned(fail_length_mm=0.8)).reasons[0].detail == "length 0.900 mm (not listed) > 0.8"
    assert decide(many, zoned(Zone("left", LEFT_HALF, RegionLimits(fail_count=0), ignore=True))).verdict is Verdict.PASS


def test_polygon_needs_three_corners() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        Zone("line", ((0.0, 0.0), (1.0, 1.0)))


# -- properties ---------------------------------------------------------------------------------------------------

values = st.floats(0.0, 10.0)
maybe = st.none() | values
limit_sets = st.builds(RegionLimits, maybe, maybe, maybe, maybe, maybe, maybe, st.none() | st.integers(0, 5), st.none())
regions = st.builds(region, values, values, st.integers(2, 197), st.integers(2, 97))
zones = st.builds(
    lambda box, limits, ignore: Zone("z", tuple(box), limits, ignore),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=6),
    limit_sets,
    st.booleans(),
)
quality_limits = st.builds(
    QualityLimits,
    maybe,
    maybe,
    maybe,
    maybe,
    st.none(),
    st.sampled_from([Verdict.FAIL, Verdict.REVIEW]),
    max_missing_share=st.none() | st.floats(0, 1),
)
unlisted_regions = st.builds(UnlistedRegions, st.integers(0, 5), values, values, values)


@st.composite
def limits_of_views(draw: st.DrawFn) -> Limits:
    review, reject = sorted((draw(values), draw(values)))
    return Limits(reject, review, draw(limit_sets), tuple(draw(st.lists(zones, max_size=3))), draw(quality_limits))


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    found = Regions(tuple(draw(st.lists(regions, max_size=4))), draw(unlisted_regions))
    quality = FrameQuality(draw(values), draw(st.floats(0, 1)), draw(values), SHAPE, draw(st.floats(0, 1)))
    return Measurement(draw(values), found, quality)


@given(measurements(), limits_of_views())
def test_verdict_and_reasons_agree(measurement: Measurement, limits: Limits) -> None:
    decision = decide(measurement, limits)
    assert (decision.verdict is Verdict.PASS) == (not decision.reasons)
    assert (measurement.score > limits.reject_score) <= (decision.verdict is Verdict.FAIL)
    if decision.verdict is Verdict.PASS:
        assert measurement.score <= limits.review_score


@given(measurements(), limits_of_views(), st.data())
def test_worse_never_gives_a_better_verdict(measurement: Measurement, limits: Limits, data: st.DataObject) -> None:
    """Monotone: a higher score, a larger or longer region, or one region more."""
    score, area, length = data.draw(st.tuples(values, values, values))
    listed = list(measurement.regions.listed)
    if listed:
        index = data.draw(st.integers(0, len(listed) - 1))
        grown = listed[index]
        listed[index] = replace(grown, area_mm2=grown.area_mm2 + area, length_mm=grown.length_mm + length)
    listed += data.draw(st.lists(regions, max_size=1))
    worse = replace(
        measurement,
        score=measurement.score + score,
        regions=Regions(tuple(listed), measurement.regions.unlisted),
    )
    before, after = decide(measurement, limits), decide(worse, limits)
    assert SEVERITY[after.verdict] >= SEVERITY[before.verdict]


def without_sums(limits: RegionLimits) -> RegionLimits:
    return replace(limits, fail_total_area_mm2=None, review_total_area_mm2=None)


@given(measurements(), limits_of_views(), st.integers(0, 3))
def test_listing_fewer_regions_never_gives_a_better_verdict(
    measurement: Measurement, limits: Limits, listed: int
) -> None:
    """Regions that are only summed up are held against every limit that could be theirs."""
    hidden, rest = measurement.regions.listed[listed:], measurement.regions.unlisted
    summed = UnlistedRegions(
        rest.count + len(hidden),
        rest.area_mm2 + sum(region.area_mm2 for region in hidden),
        max([rest.largest_mm2, *(region.area_mm2 for region in hidden)]),
        max([rest.longest_mm, *(region.length_mm for region in hidden)]),
    )
    fewer = replace(measurement, regions=Regions(measurement.regions.listed[:listed], summed))
    # Without limits on sums, which may round differently.
    zones_no_sums = tuple(replace(zone, limits=without_sums(zone.limits)) for zone in limits.zones)
    no_sums = replace(limits, regions=without_sums(limits.regions), zones=zones_no_sums)
    before, after = decide(measurement, no_sums), decide(fewer, no_sums)
    assert SEVERITY[after.verdict] >= SEVERITY[before.verdict]


@given(measurements(), limits_of_views())
def test_score_limits_cannot_be_overruled(measurement: Measurement, limits: Limits) -> None:
    score_only = Limits(limits.reject_score, limits.review_score)
    assert SEVERITY[decide(measurement, limits).verdict] >= SEVERITY[decide(measurement, score_only).verdict]
