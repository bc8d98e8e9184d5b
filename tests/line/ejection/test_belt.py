"""Where the belt is, from values that come late, jittery, wrapped around, or not at all."""

from __future__ import annotations

import random
from itertools import pairwise
from statistics import stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.line.ejection.belt import ENCODER_MODULUS, ClockBelt, EncoderBelt

MS = 1_000_000
S = 1_000_000_000


def fed(
    belt: EncoderBelt, start: int, counts_per_s: float, seconds: float, *, first_ns: int = 0, every_ms: float = 5
) -> int:
    """Samples of a belt that runs; the time of the last one."""
    time_ns = first_ns
    for index in range(round(seconds * 1000 / every_ms) + 1):
        time_ns = first_ns + round(index * every_ms * MS)
        belt.sample(round(start + counts_per_s * (time_ns - first_ns) / S) % ENCODER_MODULUS, time_ns)
    return time_ns


def position(belt: EncoderBelt, time_ns: int) -> float:
    found = belt.position(time_ns)
    assert found is not None
    return found


def test_unknown_before_the_first_sample() -> None:
    belt = EncoderBelt(1000)
    assert belt.position(0) is None
    assert belt.time_at(5.0, 0) is None


def test_position_between_and_beyond_samples() -> None:
    belt = EncoderBelt(1000)
    last = fed(belt, 0, 4000, 1.0)
    for ahead_ms in (-30, -2, 0, 3, 8):
        time_ns = last + ahead_ms * MS
        assert belt.position(time_ns) == pytest.approx(4000 * time_ns / S, abs=1)
    assert belt.position(last, ahead_ns=50 * MS) == pytest.approx(4000 * 1.05, abs=2)
    assert belt.position(last - 500 * MS) == pytest.approx(2000, abs=1), "from the history"
    assert belt.speed_counts_per_s == pytest.approx(4000, rel=1e-3)
    due = belt.time_at(4040.0, last)
    assert due == pytest.approx(1.01 * S, abs=0.5 * MS)
    assert due is not None
    assert position(belt, due) >= 4040.0


@settings(max_examples=20, deadline=None)
@given(start=st.integers(ENCODER_MODULUS - 3000, ENCODER_MODULUS - 1))
def test_wrap_around_is_no_step(start: int) -> None:
    belt = EncoderBelt(1000)
    last = fed(belt, start, 4000, 1.0)
    assert position(belt, last) - position(belt, 0) == pytest.approx(4000, abs=2)


def test_line_through_the_samples_takes_out_their_jitter() -> None:
    """Every sample comes up to 4 ms late; the error of the position varies far less than that of a sample."""
    rng = random.Random(1)
    belt, errors, late_by = EncoderBelt(1000), [], []
    for index in range(400):
        late_ms = rng.uniform(0, 4)
        belt.sample(20 * index, index * 5 * MS + round(late_ms * MS))
        late_by.append(4 * late_ms)  # counts
        if index > 40:
            errors.append(position(belt, index * 5 * MS + 5 * MS) - 20 * index)
    assert stdev(errors) < 0.5 * stdev(late_by)


def test_belt_that_stands_stays_where_it_is_and_goes_on_from_there() -> None:
    belt = EncoderBelt(1000)
    last = fed(belt, 0, 4000, 0.5)
    assert belt.position(last + 2 * S) == 2000
    assert belt.time_at(2500.0, last + 2 * S) is None
    again = fed(belt, 2020, 4000, 0.1, first_ns=last + 10 * S)
    assert belt.position(again) == pytest.approx(2420, abs=2)
    assert belt.position(last + 5 * S) == pytest.approx(2010, abs=10), "while it stood"


def test_sample_that_was_held_up_does_not_end_the_movement() -> None:
    belt = EncoderBelt(1000)
    last = fed(belt, 0, 4000, 0.5)
    belt.sample(2200, last + 50 * MS)  # nothing for ten intervals, then the value that fits
    assert belt.position(last + 50 * MS) == pytest.approx(2200, abs=2)
    assert belt.time_at(2240.0, last + 50 * MS) == pytest.approx(last + 60 * MS, abs=2 * MS)


def test_belt_that_runs_back() -> None:
    belt = EncoderBelt(1000)
    last = fed(belt, 5000, -2000, 0.5)
    assert belt.position(last) == pytest.approx(4000, abs=2)
    assert belt.time_at(4500.0, last) is None


@pytest.mark.parametrize(("step", "taken"), [(999, True), (1000, False), (-999, True), (-1000, False)])
def test_a_step_as_long_as_the_way_to_the_ejector_is_a_jump(step: int, taken: bool) -> None:
    """A part could be at the ejector before the next value comes."""
    belt = EncoderBelt(1000)
    belt.sample(5000, 0)
    assert belt.sample(5000 + step, 5 * MS) is taken


@pytest.mark.parametrize("count", [0, 9000, 4_000_000_000])
def test_counter_that_was_set_anew_is_a_jump(count: int) -> None:
    belt = EncoderBelt(1000)
    last = fed(belt, 4000, 1000, 0.5)
    assert belt.sample(count, last + 5 * MS) is False
    assert belt.sample(count + 5, last + 10 * MS) is True


def test_clock_belt_is_time() -> None:
    belt = ClockBelt()
    assert belt.position(5, 7) == 12
    assert belt.time_at(12.0, 0) == 12


def late_samples(draw_late_ms: list[float], counts_per_ms: float, scan_ms: float = 5.0) -> list[tuple[int, int]]:
    """(count, time) of a belt that runs, from a PLC that waits for each answer: a write that is held up delays those
    after it, and they come in a burst."""
    samples, free_ms = list[tuple[int, int]](), 0.0
    for index, late_ms in enumerate(draw_late_ms):
        taken_ms = max(index * scan_ms, free_ms)
        free_ms = taken_ms + 0.3 + late_ms
        samples.append((round(taken_ms * counts_per_ms), round(free_ms * MS)))
    return samples


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.1, 1.0, 0.0, 0.3, 2.0, 12.0, 20.0, 40.0]), min_size=20, max_size=120),
    st.sampled_from([1.0, 4.0, 20.0]),
)
def test_samples_that_were_held_up_do_not_put_the_belt_farther_ahead_than_they_were_late(
    late_ms: list[float], counts_per_ms: float
) -> None:
    """A part that is taken to be farther than it is would be pushed before it is there."""
    belt = EncoderBelt(1e9)
    samples = late_samples(late_ms, counts_per_ms)
    for (count, time_ns), (_, next_ns) in pairwise(samples):
        belt.sample(count, time_ns)
        for asked_ns in (time_ns, (time_ns + next_ns) // 2, next_ns - 1):
            position = belt.position(asked_ns)
            true = counts_per_ms * asked_ns / MS
            assert position is not None
            assert position - true <= counts_per_ms * 40, f"{(position - true) / counts_per_ms:.1f} ms ahead"
            assert true - position <= counts_per_ms * 90, f"{(true - position) / counts_per_ms:.1f} ms behind"


@pytest.mark.parametrize("late_ms", [8.0, 18.0, 40.0, 80.0])
@pytest.mark.parametrize("scan_ms", [5.0, 20.0, 50.0])
def test_one_sample_that_was_held_up_puts_the_belt_nowhere_ahead(late_ms: float, scan_ms: float) -> None:
    belt = EncoderBelt(1e9)
    samples = late_samples([0.0] * 20 + [late_ms] + [0.0] * 20, 4.0, scan_ms)
    for (count, time_ns), (_, next_ns) in pairwise(samples):
        belt.sample(count, time_ns)
        for asked_ns in range(time_ns, next_ns, MS):
            position = belt.position(asked_ns)
            assert position is not None
            assert position - 4.0 * asked_ns / MS < 4.0
    assert belt.position(samples[-2][1]) == pytest.approx(4.0 * samples[-2][1] / MS, abs=4.0), "as before"


@pytest.mark.parametrize("scan_ms", [5.0, 20.0, 50.0, 90.0])
def test_belt_that_starts_is_followed_between_samples(scan_ms: float) -> None:
    belt = EncoderBelt(1e9)
    belt.sample(1000, 0)  # it stands
    first_ns = 10 * S
    last_ns = fed(belt, 1001, 4000, 1.0, first_ns=first_ns, every_ms=scan_ms)
    after_ns = last_ns + round(scan_ms * MS) - 1
    assert belt.position(after_ns) == pytest.approx(1001 + 4000 * (after_ns - first_ns) / S, abs=2)
    assert belt.position(last_ns + S) == pytest.approx(1001 + 4000 * (last_ns - first_ns) / S, abs=2), "it stands"
