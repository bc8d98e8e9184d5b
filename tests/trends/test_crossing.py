"""The day on which a limit is reached: by hand, against Student's t of SciPy, and its coverage in simulated series."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from station.trends import crossing as module
from station.trends.crossing import crossing
from station.trends.signals import SIGNALS

DAYS = np.arange(40.0)
QUARTER_BELOW = (0.0, 0.75)


def aged(random: np.random.Generator, *, rho: float, begin: int = 20, per_day: float = 0.9, spread: float = 1.2) -> np.ndarray[tuple[int], np.dtype[np.float64]]:  # fmt: skip  # noqa: E501
    """120 at first; its limit of 90 is reached `30 / per_day` days after the begin."""
    noise = random.normal(size=len(DAYS)) * math.sqrt(1 - rho**2)
    for day in range(1, len(DAYS)):
        noise[day] += rho * noise[day - 1]
    return 120 - per_day * np.clip(DAYS - begin, 0, None) + spread * noise


def test_without_noise_it_is_the_day() -> None:
    values = aged(np.random.default_rng(1), rho=0.5, spread=1e-6)
    assert crossing(DAYS, values, *QUARTER_BELOW, rises=False) == pytest.approx([20 + 30 / 0.9 - 39] * 3, abs=0.1)
    assert crossing(DAYS, -values, 0.0, 0.75, rises=True) == pytest.approx([20 + 30 / 0.9 - 39] * 3, abs=0.1)
    assert crossing(DAYS, values, 110.0, 0.0, rises=False) == (0.0, 0.0, 0.0), "beyond it already"
    assert crossing(DAYS, values, 130.0, 0.0, rises=True)[0] == math.inf, "it goes the other way"


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.7])
def test_eighty_percent_hold_the_day(rho: float) -> None:
    true, held = 20 + 30 / 0.9 - 39, []
    for seed in range(40):
        values = aged(np.random.default_rng(seed), rho=rho)
        _, earliest, latest = crossing(DAYS, values, *QUARTER_BELOW, rises=False)
        held.append(earliest <= true <= latest)
    assert np.mean(held) >= 0.65, "of 40; 80 % are meant"


def test_a_day_of_another_kind_does_not_move_it_much() -> None:
    values = aged(np.random.default_rng(2), rho=0.3)
    odd = values.copy()
    odd[[12, 30]] = (60.0, 140.0)
    whole, with_odd = (crossing(DAYS, each, *QUARTER_BELOW, rises=False) for each in (values, odd))
    assert with_odd[0] == pytest.approx(whole[0], abs=4)


@given(st.floats(-30, 30), st.integers(5, 80))
def test_students_t_is_that_of_scipy(value: float, freedom: int) -> None:
    (found,) = module._student(np.array([value]), freedom)
    assert found == pytest.approx(stats.t.cdf(value, freedom), abs=0.002)


@given(st.sampled_from(sorted(SIGNALS)), st.floats(0.01, 5000))
def test_a_limit_is_its_form(name: str, normal: float) -> None:
    signal = SIGNALS[name]
    by_form = tuple(offset + share * normal for offset, share in signal.forms(normal))
    assert by_form == pytest.approx(signal.limits(normal))
    assert all(abs(limit - normal) >= (signal.absolute or 0.0) * (1 - 1e-9) for limit in by_form if not signal.limit)
