"""What `auto` does beyond leaving images out: which places lose their weight, what recurs, what is odd or doubtful."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from engines.training.refinement.auto import cell_weights, oddness, suspect_weights
from engines.training.refinement.records import CellWeights, Indices, RefineOptions, Scores
from engines.training.refinement.refine import refine
from tests.bench.engines.mixtures import mixture


def test_cells_are_measured_against_their_own_location() -> None:
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(50, 2, 2)).astype(np.float32)
    cells[:, 0, 0] += 100  # always hot: the ordinary state of this location
    cells[7, 1, 1] = 20
    weights = cell_weights(cells, np.arange(50), spared(cells, 3))
    assert weights[7, 1, 1] == 0
    assert weights[:, 0, 0].mean() > 0.9
    assert weights[3].all()
    assert cell_weights(cells, np.arange(50), spared(cells, 7))[7].all()


def spared(cells: NDArray[np.float32], *images: int) -> NDArray[np.bool_]:
    """All cells of these images."""
    chosen = np.zeros(cells.shape, np.bool_)
    chosen[list(images)] = True
    return chosen


class FixedJudge:
    """Scores that no learning changes: those of a normal distribution, and images `FAR` deviations out.

    Of the cells of the other images `outlying` is the share that is far above the median of its location.
    """

    FAR = (2.8, 3.3, 3.8, 4.3, 4.8, 5.3, 6.3, 7.5)

    def __init__(self, outlying: float) -> None:
        ordinary = stats.norm.ppf((np.arange(300) + 0.5) / 300)
        self.scores: Scores = np.r_[ordinary[np.abs(ordinary) < 2.5], self.FAR]
        cells = np.random.default_rng(0).normal(size=(len(self.scores), 10, 10)).clip(-3, 3)
        ordinary_cells = cells[: -len(self.FAR)]
        ordinary_cells.flat[:: round(1 / outlying) if outlying else ordinary_cells.size] = 20.0
        self.cells = cells.astype(np.float32)

    def own(self, kept: Indices, *, continued: bool) -> Scores:
        return self.scores[kept]

    def unseen(self, learned: Indices, weights: CellWeights | None) -> tuple[Scores, NDArray[np.float32]]:
        return self.scores, self.cells

    def positive(self, scores: Scores) -> Scores:
        return scores

    def describe(self, images: Indices, kept: Indices) -> NDArray[np.float32]:
        return self.cells[images].reshape(len(images), -1)

    def recurring(self, differs: NDArray[np.bool_], learned: Indices) -> NDArray[np.bool_]:
        return np.zeros_like(differs)  # one number a cell: all that is above its mean points the same way

    def parts(self) -> Indices:
        return np.arange(len(self.cells))


def test_a_place_loses_its_weight_when_it_is_far_out_or_beside_one_that_is() -> None:
    """Good parts have many places a little out of the ordinary: without them a model takes its own like for defects."""
    cells = np.random.default_rng(0).normal(size=(60, 6, 6)).clip(-1, 1).astype(np.float32)
    cells[7, 1, 1:3] = 2.3  # a little, and connected only with each other
    cells[8, 1, 1], cells[8, 2, 2], cells[8, 4, 4] = 8.0, 2.3, 2.3
    cells[9, 2, 2] = 2.3  # the same place in the next image is no neighbour
    weights = cell_weights(cells, np.arange(60), spared(cells))
    assert (weights[8, 1, 1], weights[8, 2, 2]) == (0, 0)
    assert weights.sum() == weights.size - 2


def locally_odd(odd: Indices) -> NDArray[np.float32]:
    """Cells of 100 images: some are hot in two places, the last ten a little all over, as by their exposure."""
    cells = np.random.default_rng(0).normal(size=(100, 10, 10)).clip(-3, 3)
    cells[90:] += 2.5
    cells[odd, 4, 4:6] += 7
    return cells.astype(np.float32)


def test_an_image_is_odd_by_its_places_not_by_its_exposure() -> None:
    odd = np.array([3, 30, 60])
    found = oddness(locally_odd(odd), np.arange(100))
    assert set(np.argsort(found)[-3:]) == set(odd)


def test_only_suspect_images_lose_places_in_very_dirty_data() -> None:
    odd = np.array([3, 30, 60])
    cells = locally_odd(odd)
    weights = suspect_weights(cells, np.arange(100), spared(cells, 60))
    assert not weights[[3, 30], 4, 4:6].any()
    assert weights[60].all()
    untouched = weights.all(axis=(1, 2))
    assert 0.2 < untouched.mean() < 0.8


def test_images_that_are_hardly_out_of_very_dirty_data_are_doubtful() -> None:
    rng = np.random.default_rng(0)
    judge = FixedJudge(0.0)
    far, near = np.arange(0, 280, 4), np.arange(2, 280, 8)
    for image, height in [*((image, 15.0) for image in far), *((image, 4.0) for image in near)]:
        row, column = rng.integers(0, 5, 2)
        judge.cells[image, row : row + 3, column : column + 2] = height
    found = refine(judge, len(judge.scores), RefineOptions())
    doubtful = set(found.doubtful.tolist())
    assert doubtful <= set(found.removed.tolist())
    assert not doubtful & set(found.suspects.tolist())
    assert not doubtful & set(far.tolist())
    assert np.isin(near, np.concatenate([found.doubtful, *found.variants])).all()  # or a person is asked
    assert np.isin(near, found.doubtful).any()


def test_what_leaves_otherwise_is_not_doubtful() -> None:
    clean = FixedJudge(0.0)
    assert len(refine(clean, len(clean.scores), RefineOptions()).doubtful) == 0
    judge, dirty = mixture(0.3)
    found = refine(judge, len(judge.maps), RefineOptions())
    assert np.isin(dirty, found.removed).mean() > 0.95
    assert len(found.doubtful) == 0


class RecurringJudge(FixedJudge):
    """Weak dirt all over, and one place that recurs in some parts."""

    def __init__(self) -> None:
        super().__init__(outlying=0.015)
        self.edge = np.arange(0, 60, 2)
        self.cells[self.edge, 5, 5] = 6.0
        self.asked: list[NDArray[np.bool_]] = []

    def recurring(self, differs: NDArray[np.bool_], learned: Indices) -> NDArray[np.bool_]:
        self.asked.append(differs)
        found = np.zeros_like(differs)
        found[self.edge, 5, 5] = True
        return found


def test_what_recurs_keeps_its_weight() -> None:
    judge = RecurringJudge()
    known_good = 9
    judge.cells[known_good, 2, 2:5] = 6.0
    found = refine(judge, len(judge.scores), RefineOptions(known_good=frozenset({known_good})))
    assert len(judge.asked) == 1
    assert judge.asked[0][judge.edge, 5, 5].all()  # out of the ordinary: so it is compared
    assert found.weights is not None
    assert found.weights[judge.edge, 5, 5].all()
    assert found.weights[known_good].all()  # a person vouches for it
    far_out = judge.cells == 20.0
    assert found.weights[far_out & np.isin(np.arange(len(judge.cells)), found.kept)[:, None, None]].mean() < 0.5


def test_many_outlying_cells_make_odd_images_leave() -> None:
    """Their scores say nothing here; a score of the same size would not leave in data with fewer such cells."""
    rng = np.random.default_rng(0)
    judge = FixedJudge(0.0)
    odd = np.arange(0, 280, 5)
    for image in odd:
        row, column = rng.integers(0, 5, 2)
        judge.cells[image, row : row + 3, column : column + 2] = 9.0
    found = refine(judge, len(judge.scores), RefineOptions())
    assert np.isin(odd, found.removed).mean() > 0.95
    assert found.dirt_share == pytest.approx(len(odd) / len(judge.scores), abs=0.06)
    assert (found.final_scores[odd] > found.final_limit).mean() > 0.95


@pytest.mark.parametrize(("outlying", "deviations"), [(0.0, 5.0), (1 / 150, 4.0)])
def test_the_more_outlying_cells_the_nearer_an_image_must_be_to_stay(outlying: float, deviations: float) -> None:
    """`refinement/auto.py` says what was measured for these limits, and for the share of cells, 0.5 %."""
    judge = FixedJudge(outlying)
    found = refine(judge, len(judge.scores), RefineOptions())
    assert sorted(judge.scores[found.removed]) == [far for far in judge.FAR if far > deviations]
    assert (found.weights is None) == (outlying == 0)
    assert (found.dirt_share == 0) == (outlying == 0)  # few are out in both: only the cells say that they are dirt
