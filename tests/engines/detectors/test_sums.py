"""Sums over images: whatever is added and taken away in whatever order, the model is that of what is left."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.detectors.sums import LocationSums, added, without
from engines.detectors.whitening import LocationWhitening

ROWS, COLUMNS, DIM = 2, 3, 4
seeds = st.integers(0, 2**31)


def images(seed: int, count: int) -> torch.Tensor:
    """Half precision, as features are kept; far from zero, where sums of squares cancel."""
    rng = np.random.default_rng(seed)
    values = 4 + rng.normal(size=(count, ROWS, COLUMNS, DIM)) @ rng.normal(size=(DIM, DIM))
    return torch.from_numpy(values.astype(np.float16).astype(np.float32))


def parameters(sums: LocationSums) -> tuple[torch.Tensor, torch.Tensor]:
    whitening = LocationWhitening(ROWS, COLUMNS, DIM).double()
    whitening.fit_sums(sums)
    return whitening.mean, whitening.whitening


def near(first: LocationSums, second: LocationSums) -> bool:
    return all(
        torch.allclose(a, b, rtol=1e-8, atol=1e-8) for a, b in zip(parameters(first), parameters(second), strict=True)
    )


@settings(max_examples=40, deadline=None)
@given(seeds, st.lists(st.integers(2, 40), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_a_block_that_is_taken_away_leaves_nothing(seed: int, counts: list[int], random: object) -> None:
    blocks = [LocationSums.of(images(seed + number, count)) for number, count in enumerate(counts)]
    order = list(range(len(blocks)))
    random.shuffle(order)  # type: ignore[attr-defined]
    whole = blocks[order[0]]
    for number in order[1:]:
        whole = whole + blocks[number]
    gone = order[0]
    scratch = LocationSums.of(torch.cat([images(seed + n, c) for n, c in enumerate(counts) if n != gone]))
    assert near(whole - blocks[gone], scratch)


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(0.05, 1.0))
def test_a_weight_is_that_of_every_image_of_the_block(seed: int, weight: float) -> None:
    one, other = images(seed, 12), images(seed + 1, 9)
    everything = torch.cat([one, other])
    weights = torch.ones(21, ROWS, COLUMNS, dtype=torch.float64)
    weights[12:] = weight
    expected = LocationSums.of(everything, weights)
    assert near(LocationSums.of(one) + LocationSums.of(other) * weight, expected)
    back = (LocationSums.of(one) + LocationSums.of(other) * weight) - LocationSums.of(other) * weight
    assert near(back, LocationSums.of(one))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_cells_without_weight_are_not_there(seed: int) -> None:
    values = images(seed, 10)
    weights = (torch.rand(10, ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed)) > 0.4).float()
    kept = weights[:, 1, 2] > 0
    sums = LocationSums.of(values, weights)
    alone = LocationSums.of(values[kept])
    assert torch.allclose(sums.second[1, 2], alone.second[1, 2])
    assert sums.count[1, 2] == alone.count[1, 2]


def test_moments_are_those_of_the_images() -> None:
    values = images(3, 50).double()
    mean, covariance, pooled = LocationSums.of(values).moments()
    assert torch.allclose(mean, values.mean(dim=0))
    expected = torch.stack([torch.cov(values[:, 1, column].T, correction=0) for column in range(COLUMNS)])
    assert torch.allclose(covariance[1], expected)
    assert torch.allclose(pooled, covariance.mean(dim=(0, 1)))


def test_streams_are_added_each_to_its_own() -> None:
    first, second = {"a": LocationSums.of(images(1, 5))}, {"a": LocationSums.of(images(2, 6))}
    both = added(added(None, first), second)
    assert both["a"].count[0, 0] == 11
    assert near(without(both, second)["a"], first["a"])


def test_the_way_through_sums_is_the_quick_way_to_single_precision() -> None:
    values = images(4, 80)
    weights = (torch.rand(80, ROWS, COLUMNS, generator=torch.Generator().manual_seed(1)) > 0.2).float()
    quick, exact = LocationWhitening(ROWS, COLUMNS, DIM), LocationWhitening(ROWS, COLUMNS, DIM)
    quick.fit(values, weights)
    exact.fit_sums(LocationSums.of(values, weights))
    assert torch.allclose(quick.mean, exact.mean, rtol=1e-4, atol=1e-4)
    assert torch.allclose(quick.whitening, exact.whitening, rtol=1e-3, atol=1e-3)
