"""What recurs in several parts at one place, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.training.images.recurrence import MIN_PARTS, MIN_SHARE, recurring_places

PARTS = 100
ROWS, COLUMNS, DIM = 3, 4, 12
ALL = np.arange(PARTS)


def ordinary(seed: int = 0) -> NDArray[np.float16]:
    return np.random.default_rng(seed).normal(size=(PARTS, ROWS, COLUMNS, DIM)).astype(np.float16)


def direction(seed: int) -> NDArray[np.float64]:
    vector = np.random.default_rng(seed).normal(size=DIM)
    return 12 * vector / np.linalg.norm(vector)


def at(
    images: NDArray[np.intp], row: int, column: int, *, shape: tuple[int, int] = (ROWS, COLUMNS)
) -> NDArray[np.bool_]:
    chosen = np.zeros((PARTS, *shape), np.bool_)
    chosen[images, row, column] = True
    return chosen


@pytest.mark.parametrize(("parts", "recurs"), [(MIN_PARTS, False), (MIN_PARTS + 1, True), (20, True)])
def test_parts_that_differ_alike_at_one_place_recur(parts: int, recurs: bool) -> None:
    """Each needs `MIN_PARTS` others."""
    features, edge = ordinary(), np.arange(parts)
    features[edge, 1, 2] += direction(1).astype(np.float16)
    found = recurring_places(features, at(edge, 1, 2), ALL, ALL)
    assert found[edge, 1, 2].all() == recurs
    assert not found[:, 0].any()


def test_of_many_parts_a_share_must_differ_alike() -> None:
    count = 400
    features = np.random.default_rng(0).normal(size=(count, 1, 1, DIM)).astype(np.float16)
    edge = np.arange(round(MIN_SHARE * count))
    features[edge, 0, 0] += direction(1).astype(np.float16)
    differs = np.zeros((count, 1, 1), np.bool_)
    differs[edge] = True
    everyone = np.arange(count)
    assert not recurring_places(features, differs, everyone, everyone).any()  # each has one less beside it
    features[len(edge), 0, 0] += direction(1).astype(np.float16)
    differs[len(edge)] = True
    assert recurring_places(features, differs, everyone, everyone)[: len(edge) + 1].all()


def test_defects_that_look_different_do_not_recur() -> None:
    features, dirty = ordinary(), np.arange(20)
    for image in dirty:
        features[image, 1, 2] += direction(100 + image).astype(np.float16)
    assert not recurring_places(features, at(dirty, 1, 2), ALL, ALL)[dirty].any()


def test_defects_that_lie_elsewhere_do_not_recur() -> None:
    features = ordinary()
    differs = np.zeros((PARTS, ROWS, COLUMNS), np.bool_)
    for image in range(2 * ROWS * COLUMNS):
        row, column = divmod(image % (ROWS * COLUMNS), COLUMNS)
        features[image, row, column] += direction(1).astype(np.float16)
        differs[image, row, column] = True
    assert not recurring_places(features, differs, ALL, ALL).any()


def test_images_of_one_part_are_one_witness() -> None:
    features, same = ordinary(), np.arange(20)
    features[same, 1, 2] += direction(1).astype(np.float16)
    parts = np.where(ALL < 20, ALL // 10, ALL)  # two parts, ten pictures each
    assert not recurring_places(features, at(same, 1, 2), ALL, parts).any()


def test_only_learned_images_that_differ_are_witnesses() -> None:
    features, edge = ordinary(), np.arange(20)
    features[edge, 1, 2] += direction(1).astype(np.float16)
    assert not recurring_places(features, at(edge, 1, 2), np.arange(17, PARTS), ALL).any()
    assert not recurring_places(features, at(edge[:3], 1, 2), ALL, ALL)[edge[:3]].any()
    found = recurring_places(features, at(edge[:10], 1, 2), ALL, ALL)
    assert found[edge, 1, 2].all()  # whoever looks like them, whether it differs as much or not
    assert not found[20:].any()


@pytest.mark.parametrize("shape", [(6, 8), (7, 9), (3, 4)])
def test_a_finer_map_takes_the_answer_of_its_place(shape: tuple[int, int]) -> None:
    features, edge = ordinary(), np.arange(20)
    features[edge, ROWS - 1, COLUMNS - 1] += direction(1).astype(np.float16)
    found = recurring_places(features, at(edge, shape[0] - 1, shape[1] - 1, shape=shape), ALL, ALL)
    assert found.shape == (PARTS, *shape)
    assert found[edge, -1, -1].all()
    per_place = -(-shape[0] // ROWS) * -(-shape[1] // COLUMNS)
    assert found[edge].sum(axis=(1, 2)).max() <= per_place
    assert not found[:, 0].any()


@pytest.mark.parametrize("features", [np.zeros((PARTS, DIM), np.float16), np.zeros((PARTS, 9, 9, DIM), np.float16)])
def test_features_without_places_of_the_map_have_none_that_recurs(features: NDArray[np.float16]) -> None:
    assert not recurring_places(features, np.ones((PARTS, ROWS, COLUMNS), np.bool_), ALL, ALL).any()


@given(st.integers(0, 2**31), st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_images_does_not_matter(seed: int, edge: int) -> None:
    features = ordinary(seed)
    features[:edge, 1, 2] += direction(seed).astype(np.float16)
    differs = at(ALL[:edge], 1, 2)
    order = np.random.default_rng(seed).permutation(PARTS)
    found = recurring_places(features, differs, ALL, ALL)
    assert np.array_equal(recurring_places(features[order], differs[order], ALL, ALL), found[order])
