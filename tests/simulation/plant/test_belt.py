"""The belt's physics: who passes what when, and who stands in front of the ejector."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.simulation.plant.belt import PART_LENGTH_COUNTS, PITCH_COUNTS, VIEW_COUNTS, Belt, Layout, Place

LAYOUT = Layout.for_rate(4.0, transit_s=1.5)


def test_ejector_is_as_far_as_the_transit_time_asks() -> None:
    assert LAYOUT.barrier_to_ejector_counts == round(1.5 * 4 * PITCH_COUNTS)


@pytest.mark.parametrize("rate", [0.2, 1.0, 4.0, 20.0, 200.0])
def test_id_is_given_within_a_pitch_and_within_0_5_s_of_the_barrier(rate: float) -> None:
    layout = Layout.for_rate(rate, transit_s=1.0)
    lead = layout.barrier_counts - layout.entry_counts
    assert 0 < lead < PITCH_COUNTS
    assert lead / layout.speed_counts_per_s <= 0.501


@pytest.mark.parametrize("rate", [0.2, 4.0, 20.0, 200.0])
def test_only_one_part_is_in_view_and_none_at_the_ejector_meanwhile(rate: float) -> None:
    layout = Layout.for_rate(rate, transit_s=1.5)
    assert sum(VIEW_COUNTS) < PITCH_COUNTS
    assert layout.barrier_counts + VIEW_COUNTS[1] < layout.ejector_counts - PART_LENGTH_COUNTS // 2


def test_places_come_in_order_with_the_exact_count() -> None:
    belt = Belt(LAYOUT)
    belt.put_on(1, 500)
    passages = belt.advance(500 + 100_000)  # the clock jumped: nothing is skipped
    assert [passage.place for passage in passages] == list(Place)
    assert [passage.at_counts for passage in passages] == sorted(passage.at_counts for passage in passages)
    assert passages[2].at_counts == 500 + LAYOUT.barrier_counts
    assert belt.empty


def test_parts_keep_their_distance() -> None:
    belt = Belt(LAYOUT)
    belt.put_on(1, 0)
    assert not belt.has_room(PITCH_COUNTS - 1)
    with pytest.raises(ValueError, match="part 2"):
        belt.put_on(2, PITCH_COUNTS - 1)
    belt.put_on(2, PITCH_COUNTS)


@given(offset=st.integers(-2 * PITCH_COUNTS, 2 * PITCH_COUNTS))
def test_ejector_takes_whoever_is_in_front_of_it(offset: int) -> None:
    """Three parts; the ejector fires `offset` counts after the middle one stood exactly in front of it."""
    belt = Belt(LAYOUT)
    for serial in (1, 2, 3):
        belt.put_on(serial, serial * PITCH_COUNTS)
    at = 2 * PITCH_COUNTS + LAYOUT.ejector_counts + offset
    gone = {passage.serial for passage in belt.advance(at) if passage.place is Place.PAST_EJECTOR}
    ejection = belt.fire_ejector(at)
    nearest = min((1, 2, 3), key=lambda serial: abs(at - serial * PITCH_COUNTS - LAYOUT.ejector_counts))
    error = at - nearest * PITCH_COUNTS - LAYOUT.ejector_counts
    if abs(error) < PART_LENGTH_COUNTS // 2:
        assert ejection is not None
        assert (ejection.serial, ejection.error_counts) == (nearest, error)
        assert nearest not in gone
    else:
        assert ejection is None


def test_ejected_part_does_not_come_to_the_good_bin() -> None:
    belt = Belt(LAYOUT)
    belt.put_on(1, 0)
    belt.advance(LAYOUT.ejector_counts)
    assert belt.fire_ejector(LAYOUT.ejector_counts) is not None
    assert belt.advance(10 * LAYOUT.ejector_counts) == []
