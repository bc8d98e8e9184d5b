"""Refinement on synthetic mixtures whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.training.errors import TrainingError
from engines.training.irp import IrpOptions, above_median, refine


def scores_of(values: np.ndarray):
    """A model that always says the same of an image."""
    return lambda indices: values[indices]


positive = st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=60).map(np.array)


@given(positive, st.floats(1.1, 10))
@settings(deadline=None)
def test_nothing_above_the_limit_stays_unless_capped(values: np.ndarray, factor: float) -> None:
    result = refine(scores_of(values), len(values), IrpOptions(factor=factor, max_rounds=1000))
    assert len(result.removed) <= len(values) // 2
    if not result.capped:
        kept = values[result.kept]
        assert (kept <= factor * np.median(kept)).all()
    assert sorted([*result.kept, *result.removed]) == list(range(len(values)))


@given(positive, st.floats(0.01, 100))
@settings(deadline=None)
def test_the_scale_of_the_scores_does_not_matter(values: np.ndarray, scale: float) -> None:
    options = IrpOptions(factor=2.0)
    first = refine(scores_of(values * 2.0), len(values), options)
    second = refine(scores_of(values * 4.0), len(values), options)
    assert first.kept.tolist() == second.kept.tolist()


@given(st.integers(0, 10_000), st.floats(0.0, 0.3))
@settings(max_examples=50, deadline=None)
def test_separated_dirt_leaves_and_good_images_stay(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    count = 100
    dirty = rng.random(count) < share
    values = np.where(dirty, rng.uniform(5, 20, count), rng.uniform(0.7, 1.4, count))
    result = refine(scores_of(values), count, IrpOptions(factor=3.0))
    assert set(result.removed) == set(np.flatnonzero(dirty))


def test_dirt_that_hides_behind_worse_dirt_leaves_in_a_later_round() -> None:
    """The model gets better as dirt leaves: the score of mild dirt rises."""
    severe, mild = 0, 1

    def score(indices: np.ndarray) -> np.ndarray:
        values = np.ones(40)
        values[severe] = 50
        values[mild] = 2 if severe in indices else 10
        return values[indices]

    result = refine(score, 40, IrpOptions(factor=3.0))
    assert [entry.removed.tolist() for entry in result.rounds] == [[severe], [mild], []]


def test_largest_only_takes_one_per_round() -> None:
    values = np.array([1.0] * 10 + [9.0, 8.0])
    result = refine(scores_of(values), 12, IrpOptions(factor=3.0, largest_only=True, max_rounds=9))
    assert [entry.removed.tolist() for entry in result.rounds] == [[10], [11], []]


def test_the_cap_holds_and_is_reported() -> None:
    values = np.array([1.0] * 60 + [100.0] * 40)
    result = refine(scores_of(values), 100, IrpOptions(factor=3.0, max_removed_share=0.1))
    assert len(result.removed) == 10
    assert result.capped


def test_no_rounds_keep_everything() -> None:
    result = refine(scores_of(np.array([1.0, 99.0])), 2, IrpOptions(max_rounds=0))
    assert result.kept.tolist() == [0, 1]
    assert result.removed.tolist() == []


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_scores_must_be_positive(bad: float) -> None:
    with pytest.raises(TrainingError, match="positive finite scores"):
        refine(scores_of(np.array([1.0, bad, 1.0])), 3, IrpOptions())


def test_worst_comes_first() -> None:
    assert above_median(np.array([1.0, 5.0, 1.0, 9.0, 1.0]), 3.0).tolist() == [3, 1]
