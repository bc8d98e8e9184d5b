"""What refinement may not do, what it refuses, what it points out, and where its limits lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.training.refinement.records import REFINEMENTS, RefineOptions, Scores
from engines.training.refinement.refine import refine
from engines.training.refinement.thresholds import above_median, densest_third
from tests.bench.engines.mixtures import GOOD, GaussianJudge, good_maps, mixture

# Guards


@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
def test_never_more_than_the_cap_and_it_is_reported(method: str) -> None:
    judge, dirty = mixture(0.3, good=70)
    found = refine(judge, 100, RefineOptions(method, factor=1.2, largest_only=False, max_removed_share=0.05))
    assert len(found.removed) == 5
    assert found.capped
    assert set(found.removed) <= set(dirty)


@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
def test_known_good_stays_and_is_reported_known_bad_leaves(method: str) -> None:
    judge, dirty = mixture(0.1)
    good, bad = int(dirty[0]), int(np.setdiff1d(np.arange(len(judge.maps)), dirty)[0])
    options = RefineOptions(method, factor=2.0, known_good=frozenset({good}), known_bad=frozenset({bad}))
    found = refine(judge, len(judge.maps), options)
    assert good in found.kept
    assert found.protected.tolist() == [good]
    assert found.removed[0] == bad
    assert all(bad not in entry.indices for entry in found.rounds)


def test_an_ordinary_known_good_image_is_not_reported() -> None:
    judge, dirty = mixture(0.1)
    ordinary = int(np.setdiff1d(np.arange(len(judge.maps)), dirty)[0])
    assert len(refine(judge, len(judge.maps), RefineOptions(known_good=frozenset({ordinary}))).protected) == 0


@pytest.mark.parametrize("method", REFINEMENTS)
@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ({1, 2}, {2, 3}, r"1 images are known-good and known-bad at once \(the first is number 2\)"),
        ({60}, set(), r"number 60 does not exist, there are 60"),
        (set(), {-1}, r"number -1 does not exist"),
        (set(), range(59), r"59 of 60 images are known-bad"),
    ],
)
def test_contradictions_are_errors(method: str, good: set[int], bad: set[int], message: str) -> None:
    judge, _ = mixture(0.0)
    with pytest.raises(TrainingError, match=message):
        refine(judge, GOOD, RefineOptions(method, known_good=frozenset(good), known_bad=frozenset(bad)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RefineOptions("magic"), 'unknown refinement "magic"; known: auto, irp, osr, none'),
        (RefineOptions("irp", factor=1.0), "lambda 1.0: must be above 1"),
        (RefineOptions("irp", factor=float("nan")), "lambda nan: must be above 1"),
    ],
)
def test_options_that_mean_nothing_are_errors(options: RefineOptions, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        refine(mixture(0.0)[0], GOOD, options)


class BrokenJudge(GaussianJudge):
    """One image scores NaN."""

    def _scores(self, cells: NDArray[np.float64]) -> Scores:
        scores = super()._scores(cells)
        scores[5] = np.nan
        return scores


@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
def test_scores_that_are_not_finite_are_an_error(method: str) -> None:
    with pytest.raises(TrainingError, match="image number 5 scores nan"):
        refine(BrokenJudge(good_maps(GOOD, 0)), GOOD, RefineOptions(method))


@pytest.mark.parametrize("method", ["irp", "osr"])
def test_a_multiple_of_a_negative_median_is_refused(method: str) -> None:
    judge, _ = mixture(0.1)
    judge.zero = -20.0
    with pytest.raises(TrainingError, match=r'needs positive finite scores.*or refinement "auto"'):
        refine(judge, len(judge.maps), RefineOptions(method))


# Limits


any_scores = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=60).map(np.array)


@given(any_scores, st.floats(0.01, 100), st.floats(-1e3, 1e3))
@settings(deadline=None)
def test_the_densest_third_moves_and_stretches_with_the_scores(scores: Scores, scale: float, shift: float) -> None:
    low, high = np.sort(scores)[[0, -1]]
    # thirds of equal length may swap by rounding; lengths may not
    _, deviation = densest_third(scores)
    moved_centre, moved_deviation = densest_third(scale * scores + shift)
    assert moved_deviation == pytest.approx(scale * deviation, rel=1e-6, abs=1e-6)
    assert scale * low + shift - 1e-6 <= moved_centre <= scale * high + shift + 1e-6


@given(any_scores, st.data())
@settings(deadline=None)
def test_less_than_half_of_dirt_cannot_move_the_densest_third_far(good: Scores, data: st.DataObject) -> None:
    """Dirt scores higher than what is good."""
    above = data.draw(st.lists(st.floats(0, 1e9), max_size=len(good) - 1))
    centre, deviation = densest_third(np.concatenate([good, good.max() + np.array(above)]))
    half_range = (good.max() - good.min()) / 2
    assert deviation <= half_range / 0.43 * (1 + 1e-6) + 1e-6
    assert good.min() - 1e-6 <= centre <= good.max() + half_range + 1e-6


def test_the_densest_third_of_normal_scores_has_their_deviation() -> None:
    centre, deviation = densest_third(np.random.default_rng(0).normal(7.0, 2.0, 20_000))
    assert centre == pytest.approx(7.0, abs=0.3)
    assert deviation == pytest.approx(2.0, rel=0.05)


def test_the_worst_above_the_median_comes_first_ties_in_order() -> None:
    assert above_median(np.array([1.0, 5.0, 1.0, 9.0, 1.0, 5.0, 1.0]), 3.0).tolist() == [3, 1, 5]


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_multiple_of_the_median_needs_positive_scores(bad: float) -> None:
    with pytest.raises(TrainingError, match="positive finite scores"):
        above_median(np.array([1.0, bad, 1.0]), 2.0)
