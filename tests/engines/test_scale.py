"""The scale that people see: ordered, exact at the limit, and back again."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engines.scale import ScoreScale

numbers = st.floats(-1e6, 1e6)
scales = st.builds(lambda typical, span: ScoreScale(typical, typical + span), numbers, st.floats(1e-3, 1e6))


@given(scales)
def test_anchors(scale: ScoreScale) -> None:
    assert scale.shown(scale.limit) == 0.5
    assert scale.shown(scale.typical) == pytest.approx(0.1)
    assert scale.raw(0.5) == scale.limit


@given(scales, numbers, numbers)
def test_order_is_kept_and_the_range_never_left(scale: ScoreScale, first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert 0.0 <= scale.shown(low) <= scale.shown(high) <= 1.0


@given(scales, numbers)
def test_a_shown_score_is_above_one_half_exactly_when_the_raw_one_is_above_the_limit(
    scale: ScoreScale, raw: float
) -> None:
    for value in (raw, math.nextafter(scale.limit, math.inf), math.nextafter(scale.limit, -math.inf)):
        assert (scale.shown(value) > 0.5) == (value > scale.limit)


@given(scales, st.floats(0.001, 0.999))
def test_inverse(scale: ScoreScale, shown: float) -> None:
    span = scale.limit - scale.typical
    assume(span > 1e-6 * abs(scale.limit))  # else float64 has no digits left between the anchors
    assert scale.shown(scale.raw(shown)) == pytest.approx(shown, abs=1e-6)


@given(scales, st.floats(0.1, 100), st.floats(-1e3, 1e3), st.floats(-3, 3))
def test_the_unit_of_the_raw_scores_does_not_matter(
    scale: ScoreScale, factor: float, shift: float, place: float
) -> None:
    assume(scale.limit - scale.typical > 1e-6 * (abs(scale.limit) + 1e3))
    raw = scale.typical + place * (scale.limit - scale.typical)
    other = ScoreScale(scale.typical * factor + shift, scale.limit * factor + shift)
    assert other.shown(raw * factor + shift) == pytest.approx(scale.shown(raw), abs=1e-6)


def test_gross_defects_stay_apart() -> None:
    scale = ScoreScale(typical=1.0, limit=2.0)
    shown = [scale.shown(raw) for raw in (3.0, 12.0, 1e3, 1e6)]
    assert shown[:2] == pytest.approx([0.9, 0.988], abs=1e-3)
    assert shown == sorted(set(shown))


def test_ends() -> None:
    scale = ScoreScale(0.0, 1.0)
    assert (scale.shown(-math.inf), scale.shown(math.inf)) == (0.0, 1.0)
    assert (scale.raw(0.0), scale.raw(1.0)) == (-math.inf, math.inf)
    assert math.isnan(scale.shown(math.nan))
    for outside in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="not on the scale from 0 to 1"):
            scale.raw(outside)


@pytest.mark.parametrize(("typical", "limit"), [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.inf)])
def test_anchors_that_make_no_scale_are_refused(typical: float, limit: float) -> None:
    with pytest.raises(ValueError, match="must be a number below the limit"):
        ScoreScale(typical, limit)
