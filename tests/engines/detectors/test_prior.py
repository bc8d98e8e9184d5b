"""The prior of other sites: the posterior of a Gaussian, and the deviance by which it is weighed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.detectors.prior import Others, Prior, PriorWeights, deviance
from engines.detectors.sums import LocationSums
from engines.detectors.whitening import cholesky_of
from tests.engines.detectors.test_sums import COLUMNS, DIM, ROWS, images

counts = st.floats(0, 300)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), counts, counts)
def test_moments_are_those_of_the_posterior(seed: int, k: float, v: float) -> None:
    mine, theirs = images(seed, 9).double(), images(seed + 1, 50).double() + 1
    others = Others.of(LocationSums.of(theirs))
    mean, covariance, _ = others.joined(LocationSums.of(mine), PriorWeights(k, v)).moments()
    place = mine[:, 1, 2].numpy(), theirs[:, 1, 2].numpy()
    own, prior = (values.mean(axis=0) for values in place)
    n = len(mine)
    expected = (n * own + k * prior) / (n + k)
    apart = np.outer(own - prior, own - prior)
    spread = [np.cov(values.T, ddof=0) for values in place]
    expected_covariance = (n * spread[0] + v * spread[1] + n * k / (n + k) * apart) / (n + v)
    assert np.allclose(mean[1, 2].numpy(), expected, atol=1e-9)
    assert np.allclose(covariance[1, 2].numpy(), expected_covariance, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(1, 300))
def test_equal_weights_are_weighed_sums(seed: int, weight: float) -> None:
    mine, theirs = LocationSums.of(images(seed, 9)), LocationSums.of(images(seed + 1, 50))
    joined = Others.of(theirs).joined(mine, PriorWeights(weight, weight))
    added = mine + theirs * (weight / 50)
    for one, other in zip(joined.moments(), added.moments(), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


def test_without_weight_nothing_changes_and_where_nothing_is_seen_the_others_stand_in() -> None:
    weights = torch.ones(9, ROWS, COLUMNS)
    weights[:, 0, 0] = 0
    mine, others = LocationSums.of(images(1, 9), weights), Others.of(LocationSums.of(images(2, 40)))
    same = others.joined(mine, PriorWeights(0, 0))
    for one, other in zip(same.moments(), mine.moments(), strict=True):
        assert torch.allclose(one, other)
    joined = others.joined(mine, PriorWeights(5, 7))
    mean, covariance, _ = joined.moments()
    assert torch.allclose(mean[0, 0], others.mean[0, 0])
    assert torch.allclose(covariance[0, 0], others.covariance[0, 0])


def test_streams_that_the_others_do_not_know_stay_as_they_are() -> None:
    mine = {"a": LocationSums.of(images(1, 9)), "b": LocationSums.of(images(2, 9))}
    others = Others.of(LocationSums.of(images(3, 30)))
    joined = Prior({"a": others}, {"a": PriorWeights(3, 3)}).joined(mine)
    assert joined["b"] is mine["b"]
    assert float(joined["a"].count[0, 0]) == 12


def test_the_deviance_is_that_of_a_normal_distribution() -> None:
    sums, unseen = LocationSums.of(images(1, 60)), images(2, 7)
    mean, factor = cholesky_of(sums)
    total = 0.0
    for row in range(ROWS):
        for column in range(COLUMNS):
            normal = torch.distributions.MultivariateNormal(mean[row, column], scale_tril=factor[row, column])
            total += float(-2 * normal.log_prob(unseen[:, row, column].double()).mean()) - DIM * math.log(2 * math.pi)
    assert deviance(sums, unseen) == pytest.approx(total / ROWS / COLUMNS / DIM)
    weights = torch.ones(7, ROWS, COLUMNS)
    weights[3:] = 0
    assert deviance(sums, unseen, weights) == pytest.approx(deviance(sums, unseen[:3]))
