"""Which images and places each refinement finds in mixtures whose truth is known, and that it always finds the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engines.errors import TrainingError
from engines.training.refinement.checkpoint import FileCheckpoint
from engines.training.refinement.records import Refinement, RefineOptions, Round
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
