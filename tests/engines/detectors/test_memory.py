"""The coreset of the memory detector."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.detectors.memory import coreset


def radius(points: torch.Tensor, chosen: torch.Tensor) -> float:
    """Largest distance of a point to its nearest chosen one."""
    return float(torch.cdist(points, points[chosen]).amin(dim=1).max())


@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_points_are_different_and_the_radius_shrinks(count: int, dim: int, seed: int) -> None:
    points = torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    chosen = coreset(points, count)
    assert sorted(chosen.tolist()) == list(range(count))
    radii = [radius(points, chosen[:size]) for size in range(1, count + 1)]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(radii))
    assert radii[-1] < 1e-6


@given(st.integers(1, 6), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_every_cluster_gets_a_point_before_any_gets_two(clusters: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, clusters, (50,), generator=generator)
    labels[:clusters] = torch.arange(clusters)
    centres = 100.0 * torch.eye(clusters, dtype=torch.float64)
    points = centres[labels] + torch.rand(50, clusters, dtype=torch.float64, generator=generator)
    assert set(labels[coreset(points, clusters)].tolist()) == set(range(clusters))


def test_the_radius_is_at_most_twice_the_best() -> None:
    points = torch.randn(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    best = min(radius(points, torch.tensor([a, b])) for a in range(9) for b in range(a))
    assert radius(points, coreset(points, 2)) <= 2 * best


def test_equal_points_are_no_problem() -> None:
    assert len(set(coreset(torch.ones(8, 3), 8).tolist())) == 8


@pytest.mark.parametrize("count", [0, 4])
def test_impossible_sizes_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="allowed is 1 to 3"):
        coreset(torch.ones(3, 2), count)
