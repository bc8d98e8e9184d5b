"""Which images and places each refinement finds in mixtures whose truth is known, and that it always finds the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from engines.errors import TrainingError
from engines.training.refinement.auto import cell_weights, oddness, suspect_weights
from engines.training.refinement.checkpoint import FileCheckpoint
from engines.training.refinement.records import CellWeights, Indices, Refinement, RefineOptions, Round, Scores
from engines.training.refinement.refine import refine
from tests.bench.engines.mixtures import GOOD, GaussianJudge, ListCheckpoint, good_maps, mixture


def same(a: Refinement, b: Refinement) -> bool:
    def equal(x: object, y: object) -> bool:
        if isinstance(x, tuple) and isinstance(y, tuple):
            return len(x) == len(y) and all(equal(*pair) for pair in zip(x, y, strict=True))
        if isinstance(x, Round) and isinstance(y, Round):
            return all(equal(getattr(x, each.name), getattr(y, each.name)) for each in fields(Round))
        return bool(np.array_equal(np.asarray(x), np.asarray(y)))

    return all(equal(getattr(a, each.name), getattr(b, each.name)) for each in fields(Refinement))


# What each method finds


@pytest.mark.parametrize("seed", range(5))
def test_auto_leaves_clean_data_alone(seed: int) -> None:
    judge, _ = mixture(0.0, good=100, seed=seed)
    found = refine(judge, 100, RefineOptions())
    assert len(found.removed) <= 2
    assert found.weights is None
    assert found.dirt_share == 0
    assert not found.capped


@pytest.mark.parametrize("share", [0.1, 0.2, 0.35, 0.45])
@pytest.mark.parametrize("seed", range(3))
def test_auto_finds_the_dirt(share: float, seed: int) -> None:
    judge, dirty = mixture(share, seed=seed)
    found = refine(judge, len(judge.maps), RefineOptions())
    assert set(dirty) <= set(found.removed)
    assert len(found.removed) <= len(dirty) + 6  # of 60: once data count as dirty, the rarer good ones leave, too
    assert found.dirt_share == pytest.approx(share, abs=0.1)
    assert (found.final_scores[dirty] > found.final_limit).all()


@pytest.mark.parametrize("share", [0.4, 0.5])
def test_much_dirt_in_typical_places_hides_from_its_own_model_and_not_from_auto(share: float) -> None:
    """It shapes the model and the median that it is measured against."""
    judge, dirty = mixture(share, places=(2, 6))
    papers = refine(judge, len(judge.maps), RefineOptions("irp", factor=3.0))
    ours = refine(judge, len(judge.maps), RefineOptions())
    assert np.isin(dirty, papers.removed).mean() < 0.1
    assert np.isin(dirty, ours.removed).mean() > 0.95


def test_auto_takes_the_weight_of_defects_in_images_that_stay() -> None:
    """Defects too small for their image to leave, among others that are not."""
    judge, dirty = mixture(0.2, good=80)
    small = np.setdiff1d(np.arange(100), dirty)[:30]
    rows, columns = small % 6, small // 6 % 6
    judge.maps[small, rows, columns] = 4.5
    found = refine(judge, 100, RefineOptions())
    stayed = np.isin(small, found.kept)
    assert found.weights is not None
    assert stayed.any()
    assert (found.weights[small, rows, columns][stayed] == 0).mean() > 0.9
    masked_share = 1 - found.weights[found.kept].mean()
    assert 0 < masked_share < 0.15
    assert found.rounds[-1].masked_share == pytest.approx(masked_share)


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


def test_irp_removes_the_largest_above_the_limit_one_per_round_and_stops() -> None:
    judge, dirty = mixture(0.1)
    found = refine(judge, len(judge.maps), RefineOptions("irp", factor=3.0, largest_only=True))
    assert set(found.removed) == set(dirty)
    for entry in found.rounds[:-1]:
        assert entry.limit == pytest.approx(3.0 * np.median(entry.scores))
        assert entry.removed.tolist() == [entry.indices[entry.scores.argmax()]]
        assert entry.scores.max() > entry.limit
    last = found.rounds[-1]
    assert len(last.removed) == 0
    assert last.scores.max() <= 3.0 * np.median(last.scores)
    assert [*found.removed] == [entry.removed[0] for entry in found.rounds[:-1]]


def test_irp_can_remove_all_above_the_limit_at_once() -> None:
    judge, dirty = mixture(0.1)
    found = refine(judge, len(judge.maps), RefineOptions("irp", factor=3.0, largest_only=False))
    first = found.rounds[0]
    above = first.indices[first.scores > first.limit]
    assert len(above) > 1
    assert first.removed.tolist() == above[np.argsort(-first.scores[above])].tolist()
    assert set(found.removed) == set(dirty)


def test_irp_finds_dirt_that_hides_behind_worse_dirt() -> None:
    maps = good_maps(40, seed=0)
    maps[3, 0, 0], maps[9, 0, 0] = 200.0, 20.0
    found = refine(GaussianJudge(maps), 40, RefineOptions("irp", factor=2.0))
    assert found.rounds[0].scores[9] <= found.rounds[0].limit
    assert found.removed.tolist() == [3, 9]


def test_osr_is_one_shot() -> None:
    judge, _ = mixture(0.1)
    found = refine(judge, len(judge.maps), RefineOptions("osr", factor=3.0))
    (only,) = found.rounds
    assert set(only.removed) == set(only.indices[only.scores > only.limit])
    assert len(only.removed) > 1
    assert judge.trained == [len(judge.maps)]


def test_none_touches_nothing() -> None:
    judge, _ = mixture(0.3)
    found = refine(judge, len(judge.maps), RefineOptions("none"))
    assert found.kept.tolist() == list(range(len(judge.maps)))
    assert (len(found.removed), found.rounds, found.weights, found.dirt_share) == (0, (), None, 0.0)


def test_images_that_the_first_rounds_put_aside_come_back() -> None:
    judge, _ = mixture(0.1)
    found = refine(judge, len(judge.maps), RefineOptions())
    back = np.concatenate([entry.returned for entry in found.rounds])
    assert len(back)
    out: set[int] = set()
    for entry in found.rounds:
        assert set(entry.returned) <= out
        assert not set(entry.removed) & out
        assert [*entry.scores[np.searchsorted(entry.indices, entry.removed)]] == sorted(
            entry.scores[np.searchsorted(entry.indices, entry.removed)], reverse=True
        )
        out = (out | set(entry.removed)) - set(entry.returned)
    assert out == set(found.removed)


def test_the_removed_are_in_the_order_in_which_they_left() -> None:
    judge, dirty = mixture(0.2)
    found = refine(judge, len(judge.maps), RefineOptions(known_bad=frozenset({int(dirty[2])})))
    assert found.removed[0] == dirty[2]
    last = {index: number for number, entry in enumerate(found.rounds) for index in entry.removed.tolist()}
    order = [last[index] for index in found.removed[1:].tolist()]
    assert order == sorted(order)


# Invariants


@given(st.floats(0.1, 10), st.floats(-10, 10), st.sampled_from([0.0, 0.1, 0.3, 0.5]), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_auto_does_not_depend_on_the_scale_or_zero_of_the_scores(
    scale: float, zero: float, share: float, seed: int
) -> None:
    judge, _ = mixture(share, seed=seed)
    moved = GaussianJudge(judge.maps, scale=scale, zero=zero)
    found, expected = (refine(each, len(judge.maps), RefineOptions()) for each in (moved, judge))
    assert found.kept.tolist() == expected.kept.tolist()
    assert found.removed.tolist() == expected.removed.tolist()
    assert found.final_limit == pytest.approx(scale * expected.final_limit + zero, rel=1e-4, abs=1e-3)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_scores_the_guards_hold(data: st.DataObject) -> None:
    count = data.draw(st.integers(12, 40))
    maps = np.array(data.draw(st.lists(st.floats(-100, 100), min_size=count, max_size=count)))
    numbers = st.frozensets(st.integers(0, count - 1), max_size=count // 3)
    good, bad = data.draw(numbers), data.draw(numbers)
    assume(not good & bad)
    share = data.draw(st.floats(0, 0.6))
    method = data.draw(st.sampled_from(["auto", "none"]))
    options = RefineOptions(method, max_removed_share=share, known_good=good, known_bad=bad)
    maps = maps + 0.01 * np.arange(count) % 0.07  # no two the same, see below
    found = refine(GaussianJudge(maps[:, None, None]), count, options)
    assert sorted([*found.kept, *found.removed]) == list(range(count))
    assert found.kept.tolist() == sorted(found.kept)
    assert good <= set(found.kept)
    assert bad <= set(found.removed)
    assert len(found.removed) - len(bad) <= share * (count - len(bad))
    assert found.final_scores.shape == (count,)
    assert set(found.protected) <= good
    for group in found.variants:
        assert not set(group) & bad


@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
def test_the_same_images_give_the_same_refinement(method: str) -> None:
    first, second = (refine(mixture(0.2)[0], 75, RefineOptions(method)) for _ in range(2))
    assert same(first, second)


# What was wrong once


def test_auto_stays_capped_when_much_dirt_returns() -> None:
    judge, _ = mixture(0.3, places=(1, 2))
    found = refine(judge, len(judge.maps), RefineOptions(max_removed_share=0.05))
    assert found.capped


def test_the_cap_holds_when_the_rounds_are_few() -> None:
    judge, _ = mixture(0.1)
    assert len(refine(judge, len(judge.maps), RefineOptions(max_rounds=1, max_removed_share=0.3)).removed) <= 20


def test_images_that_are_all_the_same_but_one() -> None:
    maps = np.zeros((GOOD, 1, 1))
    maps[3] = 20
    assert 3 in refine(GaussianJudge(maps), GOOD, RefineOptions()).removed


def test_a_cap_of_everything_is_refused() -> None:
    judge, _ = mixture(0.1)
    with pytest.raises(TrainingError, match="max_removed_share 1"):
        refine(judge, len(judge.maps), RefineOptions(max_removed_share=1.0))


# Going on after a kill


@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_goes_on_after_any_round_as_if_never_stopped(method: str, share: float, tmp_path: Path) -> None:
    options = RefineOptions(method, factor=2.0, known_bad=frozenset({4}))
    judge, _ = mixture(share)
    count = len(judge.maps)
    complete = ListCheckpoint()
    expected = refine(judge, count, options, complete)
    in_file = FileCheckpoint(tmp_path, "key", pytest.fail)
    makers: list[Callable[[], ListCheckpoint | FileCheckpoint]] = [ListCheckpoint, lambda: in_file]
    for done in range(len(complete.rounds) + 1):
        for make in makers:
            checkpoint = make()
            checkpoint.save(complete.rounds[:done])
            assert same(refine(judge, count, options, checkpoint), expected), done
            assert len(checkpoint.load()) == len(complete.rounds)


def test_rounds_that_are_known_are_not_learned_again() -> None:
    checkpoint = ListCheckpoint()
    judge, _ = mixture(0.2)
    refine(judge, len(judge.maps), RefineOptions("irp", factor=3.0, largest_only=True), checkpoint)
    assert len(judge.trained) == len(checkpoint.rounds) > 2
    judge.trained.clear()
    checkpoint.save(checkpoint.rounds[:-1])
    refine(judge, len(judge.maps), RefineOptions("irp", factor=3.0, largest_only=True), checkpoint)
    assert len(judge.trained) == 1


@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
def test_a_capped_refinement_says_so_after_a_restart_too(method: str) -> None:
    judge, _ = mixture(0.3)
    options = RefineOptions(method, factor=1.2, max_removed_share=0.05)
    kept = ListCheckpoint()
    expected = refine(judge, len(judge.maps), options, kept)
    assert expected.capped
    assert same(refine(judge, len(judge.maps), options, kept), expected)
