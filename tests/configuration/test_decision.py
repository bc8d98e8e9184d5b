"""Limits and zones that contradict themselves are refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from station.configuration.decision import LimitsSection, ZoneSection


def zone(corners: list[tuple[float, float]]) -> ZoneSection:
    return ZoneSection(name="bore", polygon=corners)


def round_the_middle(angles: list[float]) -> list[tuple[float, float]]:
    """Corners on a circle: in the order of their angles the outline is convex."""
    return [(0.5 + 0.4 * math.cos(angle), 0.5 + 0.4 * math.sin(angle)) for angle in angles]


@given(st.lists(st.integers(0, 359), min_size=4, max_size=12, unique=True), st.data())
def test_a_convex_outline_is_taken_and_one_with_two_neighbours_swapped_is_refused(
    degrees: list[int], data: st.DataObject
) -> None:
    corners = round_the_middle([math.radians(degree) for degree in sorted(degrees)])
    assert zone(corners).polygon == corners
    index = data.draw(st.integers(0, len(corners) - 2))
    corners[index], corners[index + 1] = corners[index + 1], corners[index]
    with pytest.raises(
        ValidationError, match=r'outline of zone "bore" crosses itself: the side after corner \d+ meets'
    ):
        zone(corners)


def test_a_bow_tie_names_its_sides() -> None:
    with pytest.raises(ValidationError, match="the side after corner 1 meets the one after corner 3"):
        zone([(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)])


def test_a_concave_outline_and_one_with_a_corner_twice_are_taken() -> None:
    zone([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.5, 0.3), (0.1, 0.9)])
    zone([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.9, 0.9), (0.1, 0.9)])


@pytest.mark.parametrize("name", ["area_mm2", "total_area_mm2", "length_mm", "count"])
def test_a_limit_of_review_above_that_of_fail_is_refused(name: str) -> None:
    LimitsSection.model_validate({f"fail_{name}": 3, f"review_{name}": 3})
    LimitsSection.model_validate({f"review_{name}": 5})
    with pytest.raises(ValidationError, match=f"review_{name} 5.* is above fail_{name} 3.*: nothing would ever be"):
        LimitsSection.model_validate({f"fail_{name}": 3, f"review_{name}": 5})
