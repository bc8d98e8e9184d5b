"""Refinement on synthetic mixtures whose truth is known, with a Gaussian for every cell of small maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.training.checkpoint import FileCheckpoint
from engines.training.errors import TrainingError
from engines.training.irp import REFINEMENTS, Refinement, RefineOptions, Round, refine
from engines.training.irp.auto import cell_weights
from engines.training.irp.guards import variants
from engines.training.irp.records import CellWeights, Indices, Scores
from engines.training.irp.thresholds import above_median, shortest_half

FOLDS = 4
MAP_SIZE = (6, 6)
GOOD = 60


@dataclass
class GaussianJudge:
    """Every cell is normal by itself; an image scores the deviation of its worst cell, counted from `zero`."""

    maps: NDArray[np.float64]
    """(images, rows, columns)."""
    scale: float = 1.0
    zero: float = 0.0
    looks: NDArray[np.float32] | None = None
    trained: list[int] = field(default_factory=list)
    """How many images each model learned from."""

    def _cells(self, learned: Indices, judged: Indices, weights: CellWeights | None = None) -> NDArray[np.float64]:
        self.trained.append(len(learned))
        share = np.ones_like(self.maps[learned]) if weights is None else weights[learned].astype(float)
        count = share.sum(axis=0) + 1e-9
        mean = (share * self.maps[learned]).sum(axis=0) / count
        variance = (share * (self.maps[learned] - mean) ** 2).sum(axis=0) / count
        return np.asarray(np.abs(self.maps[judged] - mean) / np.sqrt(variance + 1e-3), np.float64)

    def own(self, kept: Indices, *, continued: bool) -> Scores:
        return self._scores(self._cells(kept, kept))

    def unseen(self, learned: Indices, weights: CellWeights | None) -> tuple[Scores, NDArray[np.float32]]:
        cells = np.empty(self.maps.shape)
        for fold in range(FOLDS):
            held_out = np.arange(fold, len(self.maps), FOLDS)
            cells[held_out] = self._cells(np.setdiff1d(learned, held_out), held_out, weights)
        return self._scores(cells), (self.scale * cells + self.zero).astype(np.float32)

    def _scores(self, cells: NDArray[np.float64]) -> Scores:
        return np.asarray(self.scale * cells.max(axis=(1, 2)) + self.zero, np.float64)

    def positive(self, scores: Scores) -> Scores:
        return scores

    def describe(self) -> NDArray[np.float32]:
        return self.maps.reshape(len(self.maps), -1).astype(np.float32) if self.looks is None else self.looks


@dataclass
class ListCheckpoint:
    """Keeps rounds in memory."""

    rounds: list[Round] = field(default_factory=list)

    def load(self) -> list[Round]:
        return list(self.rounds)

    def save(self, rounds: list[Round]) -> None:
        self.rounds = list(rounds)


def good_maps(count: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, *MAP_SIZE))


def mixture(
    share: float, *, good: int = GOOD, seed: int = 0, places: tuple[int, int] = MAP_SIZE
) -> tuple[GaussianJudge, Indices]:
    """Good images and in between, `share` of all, images with a defect of about 20 deviations in one cell.

    The cell is among the first rows and columns that `places` counts. Returns the defective images, too.
    """
    rng = np.random.default_rng(seed + 1000)
    count = round(good / (1 - share))
    maps = good_maps(count, seed)
    dirty = np.sort(rng.choice(count, size=count - good, replace=False))
    rows, columns = rng.integers(0, places, (len(dirty), 2)).T
    maps[dirty, rows, columns] += rng.uniform(16, 24, len(dirty))
    return GaussianJudge(maps), dirty


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
    assert len(found.removed) <= len(dirty) + 3
    assert found.dirt_share == pytest.approx(share, abs=0.05)
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
    small = np.setdiff1d(np.arange(100), dirty)[:3]
    judge.maps[small, 2, 2] = 4.5
    found = refine(judge, 100, RefineOptions())
    stayed = np.intersect1d(small, found.kept)
    assert found.weights is not None
    assert len(stayed)
    assert (found.weights[stayed, 2, 2] == 0).all()
    masked_share = 1 - found.weights[found.kept].mean()
    assert 0 < masked_share < 0.05
    assert found.rounds[-1].masked_share == pytest.approx(masked_share)


def test_cells_are_measured_against_their_own_location() -> None:
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(50, 2, 2)).astype(np.float32)
    cells[:, 0, 0] += 100  # always hot: the ordinary state of this location
    cells[7, 1, 1] = 20
    weights = cell_weights(cells, np.arange(50))
    assert weights[7, 1, 1] == 0
    assert weights[:, 0, 0].mean() > 0.9


def test_irp_removes_the_largest_above_the_limit_one_per_round_and_stops() -> None:
    judge, dirty = mixture(0.1)
    found = refine(judge, len(judge.maps), RefineOptions("irp", factor=3.0))
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


@pytest.mark.parametrize("method", REFINEMENTS)
def test_scores_that_are_not_finite_are_an_error(method: str) -> None:
    with pytest.raises(TrainingError, match="image number 5 scores nan"):
        refine(BrokenJudge(good_maps(GOOD, 0)), GOOD, RefineOptions(method))


@pytest.mark.parametrize("method", ["irp", "osr"])
def test_a_multiple_of_a_negative_median_is_refused(method: str) -> None:
    judge, _ = mixture(0.1)
    judge.zero = -20.0
    with pytest.raises(TrainingError, match=r'needs positive finite scores.*or refinement "auto"'):
        refine(judge, len(judge.maps), RefineOptions(method))


# Invariants


@given(st.floats(0.01, 100), st.floats(-1000, 1000), st.sampled_from([0.0, 0.1, 0.3, 0.5]), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_auto_does_not_depend_on_the_scale_or_zero_of_the_scores(
    scale: float, zero: float, share: float, seed: int
) -> None:
    judge, _ = mixture(share, seed=seed)
    moved = GaussianJudge(judge.maps, scale=scale, zero=zero)
    found, expected = (refine(each, len(judge.maps), RefineOptions()) for each in (moved, judge))
    assert found.kept.tolist() == expected.kept.tolist()
    assert found.removed.tolist() == expected.removed.tolist()
    assert found.final_limit == pytest.approx(scale * expected.final_limit + zero, rel=1e-6, abs=1e-6)


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
    found = refine(GaussianJudge(maps[:, None, None]), count, options)
    assert sorted([*found.kept, *found.removed]) == list(range(count))
    assert found.kept.tolist() == sorted(found.kept)
    assert good <= set(found.kept)
    assert bad <= set(found.removed)
    assert len(found.removed) - len(bad) <= share * (count - len(bad))
    assert found.final_scores.shape == (count,)
    assert set(found.protected) <= good
    for group in found.variants:
        assert set(group) <= set(found.removed) - bad


@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
def test_the_same_images_give_the_same_refinement(method: str) -> None:
    first, second = (refine(mixture(0.2)[0], 75, RefineOptions(method)) for _ in range(2))
    assert same(first, second)


# What is not right yet; each of these fails today


@pytest.mark.xfail(strict=True, reason="the images within the cap come back, and then nothing is above the limit")
def test_auto_stays_capped_when_much_dirt_returns() -> None:
    judge, _ = mixture(0.3, places=(1, 3))
    found = refine(judge, len(judge.maps), RefineOptions(max_removed_share=0.05))
    assert found.capped


@pytest.mark.xfail(strict=True, reason="the cap is not checked in the rounds before the limit is drawn")
def test_the_cap_holds_when_the_rounds_are_few() -> None:
    judge, _ = mixture(0.1)
    assert len(refine(judge, len(judge.maps), RefineOptions(max_rounds=1, max_removed_share=0.3)).removed) <= 20


@pytest.mark.xfail(strict=True, reason="the limit becomes the largest score")
def test_a_cap_of_everything_is_no_cap() -> None:
    judge, dirty = mixture(0.1)
    assert set(refine(judge, len(judge.maps), RefineOptions(max_removed_share=1.0)).removed) >= set(dirty)


# Going on after a kill


@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_goes_on_after_any_round_as_if_never_stopped(method: str, share: float, tmp_path: Path) -> None:
    options = RefineOptions(method, factor=2.0, known_bad=frozenset({4}))
    judge, _ = mixture(share)
    count = len(judge.maps)
    expected = refine(judge, count, options)
    in_file = FileCheckpoint(tmp_path, "key", pytest.fail)
    makers: list[Callable[[], ListCheckpoint | FileCheckpoint]] = [ListCheckpoint, lambda: in_file]
    for done in range(len(expected.rounds) + 1):
        for make in makers:
            checkpoint = make()
            checkpoint.save(list(expected.rounds[:done]))
            assert same(refine(judge, count, options, checkpoint), expected), done
            assert len(checkpoint.load()) == len(expected.rounds)


def test_rounds_that_are_known_are_not_learned_again() -> None:
    checkpoint = ListCheckpoint()
    judge, _ = mixture(0.2)
    refine(judge, len(judge.maps), RefineOptions("irp", factor=3.0), checkpoint)
    assert len(judge.trained) == len(checkpoint.rounds) > 2
    judge.trained.clear()
    checkpoint.save(checkpoint.rounds[:-1])
    refine(judge, len(judge.maps), RefineOptions("irp", factor=3.0), checkpoint)
    assert len(judge.trained) == 1


@pytest.mark.xfail(strict=True, reason="what was capped is not kept with the rounds")
@pytest.mark.parametrize("method", ["auto", "irp", "osr"])
def test_a_capped_refinement_says_so_after_a_restart_too(method: str) -> None:
    judge, _ = mixture(0.3)
    options = RefineOptions(method, factor=1.2, max_removed_share=0.05)
    kept = ListCheckpoint()
    expected = refine(judge, len(judge.maps), options, kept)
    assert expected.capped
    assert same(refine(judge, len(judge.maps), options, kept), expected)


# Variants


def test_removed_images_that_look_alike_are_a_variant_and_scattered_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    maps = good_maps(GOOD + 20, seed=0)
    looks = rng.normal(size=(GOOD + 20, 4)).astype(np.float32)
    variant, scattered = np.arange(GOOD, GOOD + 10), np.arange(GOOD + 10, GOOD + 20)
    maps[np.arange(GOOD, GOOD + 20), np.arange(20) % 6, 0] += 20
    looks[variant] = 30 + 0.3 * looks[variant]
    looks[scattered] *= 30
    found = refine(GaussianJudge(maps, looks=looks), len(maps), RefineOptions())
    assert set(found.removed) >= {*variant, *scattered}
    (group,) = found.variants
    assert set(group) == set(variant)


def test_the_largest_variant_comes_first_and_pairs_are_none() -> None:
    looks = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    removed = np.arange(86, 100)
    for start, stop in ((86, 91), (91, 98), (98, 100)):
        looks[start:stop] = 100 * start + 0.01 * looks[start:stop]
    groups = variants(removed, np.arange(86), looks)
    assert [group.tolist() for group in groups] == [list(range(91, 98)), list(range(86, 91))]
    assert variants(removed[:3], np.arange(86), looks) == ()


# Limits


any_scores = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=60).map(np.array)


@given(any_scores, st.floats(0.01, 100), st.floats(-1e3, 1e3))
@settings(deadline=None)
def test_the_shortest_half_moves_and_stretches_with_the_scores(scores: Scores, scale: float, shift: float) -> None:
    low, high = np.sort(scores)[[0, -1]]
    # halves of equal length may swap by rounding; lengths may not
    _, deviation = shortest_half(scores)
    moved_centre, moved_deviation = shortest_half(scale * scores + shift)
    assert moved_deviation == pytest.approx(scale * deviation, rel=1e-6, abs=1e-6)
    assert scale * low + shift - 1e-6 <= moved_centre <= scale * high + shift + 1e-6
    assert shortest_half(-scores)[1] == pytest.approx(deviation, rel=1e-9, abs=1e-9)


@given(any_scores, st.data())
@settings(deadline=None)
def test_less_than_half_cannot_move_the_shortest_half_far(good: Scores, data: st.DataObject) -> None:
    bad = data.draw(st.lists(st.floats(-1e9, 1e9), max_size=len(good) - 1))
    centre, deviation = shortest_half(np.concatenate([good, bad]))
    half_range = (good.max() - good.min()) / 2
    assert deviation <= half_range / 0.6745 * (1 + 1e-9)
    assert abs(centre - (good.max() + good.min()) / 2) <= 2 * half_range + 1e-6


def test_the_shortest_half_of_normal_scores_has_their_deviation() -> None:
    centre, deviation = shortest_half(np.random.default_rng(0).normal(7.0, 2.0, 20_000))
    assert centre == pytest.approx(7.0, abs=0.3)
    assert deviation == pytest.approx(2.0, rel=0.05)


def test_the_worst_above_the_median_comes_first_ties_in_order() -> None:
    assert above_median(np.array([1.0, 5.0, 1.0, 9.0, 1.0, 5.0, 1.0]), 3.0).tolist() == [3, 1, 5]


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_multiple_of_the_median_needs_positive_scores(bad: float) -> None:
    with pytest.raises(TrainingError, match="positive finite scores"):
        above_median(np.array([1.0, bad, 1.0]), 2.0)
