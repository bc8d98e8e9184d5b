"""What wears out in the simulated plant: the encoder counts less, the valve opens late; a new one does neither."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from station.simulation.plant.wear import Encoder, Valve


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 0.2)), max_size=200))
def test_a_slipping_wheel_never_goes_back_and_finds_its_places(steps: list[tuple[int, float]]) -> None:
    wheel, true, before = Encoder(), 0, 0
    for step, slip in steps:
        wheel.slip = slip
        true += step
        wheel.moved_to(true)
        assert before <= wheel.counted <= true
        assert wheel.at(true) == wheel.counted
        assert abs(wheel.place_of(wheel.counted) - true) <= 1 / (1 - slip) + 1e-6
        before = wheel.counted


def test_a_new_wheel_counts_everything_and_three_percent_are_missing_of_a_worn_one() -> None:
    wheel = Encoder()
    wheel.moved_to(1000)
    assert (wheel.counted, wheel.at(900)) == (1000, 900)
    wheel.slip = 0.03
    wheel.moved_to(2000)
    assert wheel.counted == 1970


def test_a_worn_valve_opens_late_irregularly_and_as_long_as_ever() -> None:
    new, worn = Valve(1), Valve(1)
    worn.late_s = 0.06
    delays = []
    for second in range(40):
        new.put(second, True)
        assert new.due(second) == [True]
        new.put(second + 0.05, False)
        assert new.due(second + 0.05) == [False]
        worn.put(second, True)
        worn.put(second + 0.05, False)
        changes = []
        for ms in range(300):
            changes += [(ms, level) for level in worn.due(second + ms / 1000)]
        (opened, first), (closed, last) = changes
        assert (first, last) == (True, False)
        assert 49 <= closed - opened <= 51
        delays.append(opened)
    assert 30 <= min(delays) < max(delays) <= 91
