"""Copies of one part are found, and nothing else is."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.training.fitting.crossfit import BLOCKS, FOLDS, FOLDS_OF_FEW, fold_of
from engines.training.images import grouping
from engines.training.images.grouping import connected, pairwise_distances, part_groups, twin_groups

SHAPE = (4, 4, 8)


def parts(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Features of parts of one product: much in common, and something of their own."""
    rng = np.random.default_rng(seed)
    return (20 + 5 * rng.normal(size=SHAPE) + rng.normal(size=(count, *SHAPE))).astype(np.float32)


def features(values: NDArray[np.float32]) -> dict[str, NDArray[np.float16]]:
    return {"coarse": values.astype(np.float16), "fine": np.zeros((len(values), 2000), np.float16)}


def groups(values: NDArray[np.float32]) -> list[int]:
    return [int(label) for label in twin_groups(features(values), np.arange(len(values)))]


@pytest.mark.parametrize("count", [3, 16, 40, 120])
@pytest.mark.parametrize("seed", range(3))
def test_different_parts_are_not_grouped(count: int, seed: int) -> None:
    assert groups(parts(count, seed)) == list(range(count))


def test_copies_are_found_wherever_they_are() -> None:
    values = parts(60)
    noise = np.random.default_rng(1).normal(size=values.shape).astype(np.float32)
    for copy, original in ((41, 3), (55, 3), (20, 19)):
        values[copy] = values[original] + 0.2 * noise[copy]
    expected = list(range(60))
    expected[41] = expected[55] = 3
    expected[20] = 19
    assert groups(values) == expected


@pytest.mark.parametrize("marked", [2, 5, 12])
def test_parts_that_share_a_mark_are_no_copies(marked: int) -> None:
    """Deep features see the mark from everywhere and are near each other; the finest ones show where it is."""
    rng = np.random.default_rng(0)
    fine = rng.normal(size=(80, 8, 8, 6)).astype(np.float32)
    fine[:marked, 2:4, 2:4] += 30.0
    coarse = rng.normal(size=(80, 2, 2, 6)).astype(np.float32)
    coarse[:marked] += 30.0
    values = {"fine": fine.astype(np.float16), "coarse": coarse.astype(np.float16)}
    assert part_groups(values, np.arange(80)).tolist() == list(range(80))
    if marked == 5:
        assert set(twin_groups(values, np.arange(80))[:marked]) == {0}
    for value in values.values():
        value[70] = value[0]
    assert np.flatnonzero(part_groups(values, np.arange(80)) != np.arange(80)).tolist() == [70]


@pytest.mark.parametrize("strength", [0.9, 0.97, 1.05, 1.1])
def test_copies_of_another_strength_are_found(strength: float) -> None:
    """Another exposure makes all features a little stronger or weaker."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, *SHAPE)).astype(np.float32)
    values[50] = strength * values[7]
    found = groups(values)
    assert found[50] == 7
    assert sorted(set(range(60)) - set(found)) == [50]


def test_a_product_that_hardly_varies_is_not_one_group() -> None:
    """Half of the images look nearly the same, since the product does."""
    values = parts(60)
    values[:30] = values[0] + 0.01 * (values[:30] - values[0])
    assert groups(values) == list(range(60))


def test_a_standing_belt_does_not_hide_the_other_copies() -> None:
    values = parts(100)
    values[40:52] = values[40]
    values[9] = values[3]
    assert groups(values)[9] == 3


def test_labels_are_of_the_images_asked_for() -> None:
    values = parts(60)
    values[41] = values[30]
    indices = np.arange(20, 60)
    found = twin_groups(features(values), indices)
    assert found[41 - 20] == 30 - 20
    assert np.count_nonzero(found != np.arange(40)) == 1


def test_identical_images_stay_finite() -> None:
    found = groups(np.zeros((40, *SHAPE), np.float32))
    assert found == list(range(40))


def groups_at_once(values: dict[str, NDArray[np.float16]], indices: NDArray[np.intp], *, everywhere: bool) -> list[int]:
    """`twin_groups`, or `part_groups`, as their formulas stand, of all images at once and in double precision."""
    count = len(indices)
    looks = values["coarse"][indices].astype(np.float32).reshape(count, -1)
    looks = looks - looks.mean(axis=0)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True) + 1e-12
    distances = np.linalg.norm(looks[:, None].astype(float) - looks[None].astype(float), axis=2)
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")
    neighbour = order[:, grouping.NEIGHBOUR - 1]
    similar = distances[np.arange(count), neighbour]
    linked = distances <= grouping.TWIN_RATIO * np.minimum(similar[:, None], similar) + grouping.IDENTICAL
    if everywhere:
        fine = values["fine"][indices].astype(np.float32)
        fine = fine - fine.mean(axis=0)
        fine = (fine / (np.linalg.norm(fine, axis=-1, keepdims=True) + 1e-12)).reshape(count, -1, fine.shape[-1])

        def far(first: int, second: int) -> float:
            apart = np.linalg.norm(fine[first] - fine[second], axis=-1)
            return float(np.quantile(apart, grouping.EVERYWHERE_SHARE))

        for first, second in np.argwhere(linked):
            merely = min(far(one, neighbour[one]) for one in (first, second))
            near = far(first, second) <= grouping.EVERYWHERE_RATIO * merely + grouping.HALF_IDENTICAL
            linked[first, second] = near
    labels = connected(linked)
    sizes = np.bincount(labels, minlength=count)[labels]
    too_large = sizes > max(grouping.MIN_LARGE_GROUP, grouping.MAX_GROUP_SHARE * count)
    return np.where(too_large, np.arange(count), labels).tolist()


@given(st.integers(16, 120), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.3]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_blocks_find_the_same_groups_as_all_images_at_once(
    count: int, seed: int, noise: float, everywhere: bool
) -> None:
    """With copies to the bit, copies with noise or another strength, and a belt that stood."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(count, 2, 2, 6))
    fine = rng.normal(size=(count, 4, 4, 3))
    for values in (coarse, fine):
        of, copies = np.random.default_rng(seed + 1).integers(0, count, (2, count // 4))
        values[copies] = values[of] + noise * rng.normal(size=(count // 4, *values.shape[1:]))
        start = seed % count
        values[start : start + 20] = values[start]
    both = {"coarse": coarse.astype(np.float16), "fine": fine.astype(np.float16)}
    indices = np.sort(np.random.default_rng(seed).permutation(count)[: max(16, count - 7)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "IMAGES_AT_ONCE", 13)
        found = (part_groups if everywhere else twin_groups)(both, indices)
    assert found.tolist() == groups_at_once(both, indices, everywhere=everywhere)


def test_memory_does_not_grow_with_the_square_of_the_images() -> None:
    """A matrix of each with each would have 72 MB; a product whose images are all the same has the most pairs."""
    values = np.random.default_rng(0).normal(size=(3000, 2, 2, 6)).astype(np.float16)
    values[1500:] = values[0]
    both = {"coarse": values, "fine": np.repeat(np.repeat(values, 2, axis=1), 2, axis=2)}
    for grouped in (twin_groups, part_groups):
        tracemalloc.start()
        grouped(both, np.arange(3000))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40e6


@given(st.integers(1, 20), st.data())
def test_connected_images_share_the_smallest_label(count: int, data: st.DataObject) -> None:
    node = st.integers(0, count - 1)
    links = data.draw(st.lists(st.tuples(node, node), max_size=25))
    linked = np.zeros((count, count), bool)
    for a, b in links:
        linked[a, b] = linked[b, a] = True
    labels = connected(linked)
    for a, b in links:
        assert labels[a] == labels[b]
    for label in set(labels.tolist()):
        group = np.flatnonzero(labels == label)
        assert label == group.min()
        reached = {int(label)}
        while (more := {int(each) for node in reached for each in np.flatnonzero(linked[node])} - reached) != set():
            reached |= more
        assert reached == set(group.tolist())


def test_distances_are_euclidean() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    expected = np.linalg.norm(a[:, None].astype(float) - b[None].astype(float), axis=2)
    assert np.allclose(pairwise_distances(a, b), expected)
    assert np.allclose(np.diag(pairwise_distances(a, a)), 0, atol=1e-6)


def test_identical_rows_have_no_distance() -> None:
    """By products in single precision alone it would be more than `IDENTICAL` allows."""
    rows = np.random.default_rng(0).normal(size=(64, 4000)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.diag(pairwise_distances(rows, rows.copy())).max() < 0.01 * grouping.IDENTICAL


# Folds


group_labels = st.integers(20, 200).flatmap(
    lambda count: st.lists(st.integers(0, count // 2), min_size=count, max_size=count)
)


def first_positions(raw: list[int]) -> NDArray[np.intp]:
    """Labels as `twin_groups` gives them: the position of the first image of the group."""
    return np.array([raw.index(label) for label in raw], np.intp)


either = st.sampled_from([FOLDS, FOLDS_OF_FEW])


@given(group_labels, either)
@settings(max_examples=60, deadline=None)
def test_no_fold_splits_a_group(raw: list[int], count: int) -> None:
    labels = first_positions(raw)
    folds = fold_of(labels, count)
    assert set(folds) <= set(range(count))
    for label in set(labels.tolist()):
        assert len(set(folds[labels == label])) == 1


@given(st.integers(20, 500), either)
def test_without_groups_folds_are_contiguous_blocks_of_equal_size(count: int, number: int) -> None:
    folds = fold_of(np.arange(count), number)
    sizes = np.bincount(folds, minlength=number)
    assert sizes.min() > 0
    changes = np.flatnonzero(np.diff(folds)) + 1
    blocks = np.diff([0, *changes, count])
    assert len(set(blocks[:-1])) <= 1
    assert blocks[-1] <= blocks[0]
    assert len(blocks) >= BLOCKS  # as long with more folds
    assert len(blocks) >= 2 * number  # several in each
    assert sizes.max() - sizes.min() <= blocks[0]


@given(st.integers(20, 200), st.floats(0, 0.5))
@settings(max_examples=60, deadline=None)
def test_every_fold_has_images(count: int, twin_share: float) -> None:
    """Some images are copies of the one before."""
    rng = np.random.default_rng(count)
    labels = np.arange(count)
    for copy in np.flatnonzero(rng.random(count) < twin_share):
        labels[copy] = labels[max(0, copy - 1)]
    if np.bincount(labels).max() <= count // 10:
        assert set(fold_of(labels, FOLDS)) == set(range(FOLDS))


@pytest.mark.parametrize(("count", "group"), [(24, 2), (40, 4), (200, 20)])
def test_every_fold_has_images_when_all_parts_were_taken_as_often(count: int, group: int) -> None:
    labels = np.arange(count) // group * group
    assert set(fold_of(labels, FOLDS)) == set(range(FOLDS))
