"""Advice on simulated stations, a short run of benchmarks/trends.py, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.trends import AGEINGS, Ageing, false_advice, first_right
from station.trends.advice import advice_of, trend_of
from station.trends.signals import ACTIONS, SIGNALS, Cause, Series

DAYS = tuple(map(float, range(40)))
NOISE = np.random.default_rng(1).normal(size=40)


def series(
    signal: str, values: np.ndarray[tuple[int], np.dtype[np.float64]], place: str = "top", recipe: str = "A"
) -> Series:
    return Series(signal, place, recipe, DAYS, tuple(map(float, values)))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_healthy_quarter_has_at_most_one_piece_of_advice(seed: int) -> None:
    assert len(false_advice(seed, every=9)) <= 1


@pytest.mark.parametrize("ageing", AGEINGS, ids=lambda one: one.name)
def test_each_ageing_is_named_with_half_of_its_time_left(ageing: Ageing) -> None:
    left, _, _ = first_right(1, ageing, every=4)
    assert left is not None
    assert left >= 0.5


def test_the_sentence_names_what_when_and_what_to_do() -> None:
    falling = 0.03 * (1 - 0.012 * np.clip(np.arange(40) - 25, 0, None)) + 1e-4 * NOISE
    (advice,) = advice_of([trend_of(series("sharpness", falling, recipe=name)) for name in ("A", "B")])
    assert advice.cause is Cause.FOCUS
    text = str(advice)
    for piece in (
        "top: ",
        "clean the lens",
        "sharpness -",
        "recipes A, B alike",
        "reaches its limit in ",
        "(80 % between ",
    ):
        assert piece in text, text


def test_cleaning_and_another_exposure_are_no_faults() -> None:
    cleaned = 0.03 * (1 - 0.002 * (np.arange(40) % 10)) + 1e-4 * NOISE
    exposure = np.where(np.arange(40) < 25, 120.0, 90.0) + NOISE
    assert advice_of([trend_of(series("sharpness", cleaned)), trend_of(series("mean grey", exposure))]) == []


def test_better_is_no_fault() -> None:
    assert advice_of([trend_of(series("sharpness", 0.03 * (1 + 0.01 * np.arange(40)) + 1e-4 * NOISE))]) == []


def test_a_limit_that_is_reached_is_said() -> None:
    gone = series("disk free", 0.3 - 0.0075 * np.arange(40) + 1e-4 * NOISE, "computer", "")
    (advice,) = advice_of([trend_of(gone)])
    assert advice.days_left[0] == 0.0
    assert advice.cause is Cause.DISK


def test_few_days_and_none() -> None:
    assert trend_of(Series("sharpness", "top", "A", (), ())).found is None
    assert trend_of(Series("sharpness", "top", "A", DAYS[:3], (1.0, 1.0, 1.0))).days_left is None


def test_every_cause_has_its_action_and_its_signal() -> None:
    assert ACTIONS.keys() == set(Cause)
    assert {one.cause for one in SIGNALS.values()} | {Cause.LENS} == set(Cause)
