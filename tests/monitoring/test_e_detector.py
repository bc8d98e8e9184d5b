"""The run length that is promised holds, also for values that depend on each other, and a larger share is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.monitoring.e_detector import EDetector, alternatives_of


def log_r_of(values: list[bool], p0: float, p1: float) -> float:
    """R by its definition: the sum over all beginnings of the product of the likelihood ratios since."""
    ratios = [p1 / p0 if value else (1 - p1) / (1 - p0) for value in values]
    return math.log(sum(math.prod(ratios[begin:]) for begin in range(len(ratios))))


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.floats(0.01, 0.3))
def test_the_evidence_is_the_mean_of_r_by_its_definition(values: list[bool], p0: float) -> None:
    alternatives = alternatives_of(p0)
    detector = EDetector(p0, 1e9, alternatives)
    for value in values:
        detector.add(value)
    expected = sum(math.exp(log_r_of(values, p0, p1)) for p1 in alternatives) / len(alternatives)
    assert detector.evidence == pytest.approx(expected, rel=1e-9)


def alarms_within(length: int, runs: int, run_length: float, *, correlated: bool) -> int:
    """Of runs in control, at a share of exactly `p0`."""
    p0, random, count = 0.02, np.random.default_rng(11), 0
    for _ in range(runs):
        detector = EDetector(p0, run_length, (0.1, 0.5, 0.9))
        draws = random.random(length) < p0
        if correlated:  # the conditional share is p0 or 0: bursts of quiet
            draws &= np.repeat(random.random(length // 50 + 1) < 0.5, 50)[:length]
        count += any(detector.add(bool(draw)) for draw in draws)
    return count


@pytest.mark.parametrize("correlated", [False, True])
def test_false_alarms_are_as_rare_as_promised(correlated: bool) -> None:
    """Within n values at most a share of n / A alarms (the maximal inequality for R); 3 standard deviations on top."""
    runs, length, run_length = 400, 500, 5000.0
    bound = runs * length / run_length
    assert alarms_within(length, runs, run_length, correlated=correlated) <= bound + 3 * math.sqrt(bound)


def test_a_larger_share_is_found_soon() -> None:
    random, delays = np.random.default_rng(12), []
    for _ in range(100):
        detector = EDetector(0.01, 1e6, alternatives_of(0.01))
        delays.append(next(number for number in range(1, 10_000) if detector.add(bool(random.random() < 0.1))))
    assert np.mean(delays) < 110, "published for the same mixture and threshold: 88"


def test_evidence_never_overflows_and_survives_a_restart() -> None:
    detector = EDetector(0.001, 1e6, (0.5,))
    for _ in range(5000):
        detector.add(True)
    assert detector.alarms
    other = EDetector(0.001, 1e6, (0.5,))
    other.restore(detector.memory)
    assert other.evidence == detector.evidence
    detector.reset()
    other.restore(detector.memory)
    assert other.evidence < 1e-9


@pytest.mark.parametrize("memory", [[], [1.0, 2.0], [math.nan], ["x"]])
def test_what_is_no_memory_is_refused(memory: list[float]) -> None:
    with pytest.raises((ValueError, TypeError)):
        EDetector(0.01, 1e6, (0.5,)).restore(memory)


@pytest.mark.parametrize(
    ("p0", "run_length", "others"), [(0.0, 10, (0.5,)), (0.5, 0.5, (0.6,)), (0.5, 10, (0.4,)), (0.5, 10, ())]
)
def test_settings_that_make_no_sense_are_refused(p0: float, run_length: float, others: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        EDetector(p0, run_length, others)
