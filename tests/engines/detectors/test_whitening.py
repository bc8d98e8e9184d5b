"""The closed-form flow against brute force."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from engines.detectors.whitening import POOLED_SHARE, RIDGE, TINY, LocationWhitening

ROWS, COLUMNS, DIM = 3, 4, 5


def correlated(count: int, seed: int = 0) -> Tensor:
    """(count, ROWS, COLUMNS, DIM) in float64; every location has a mean and a covariance of its own."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, ROWS, COLUMNS, 1, DIM, generator=generator, dtype=torch.float64)
    mixing = torch.randn(ROWS, COLUMNS, DIM, DIM, generator=generator, dtype=torch.float64)
    return (noise @ mixing).squeeze(-2) + 10 * torch.randn(ROWS, COLUMNS, DIM, generator=generator, dtype=torch.float64)


def fitted(x: Tensor, weights: Tensor | None = None) -> LocationWhitening:
    whitening = LocationWhitening(*x.shape[1:]).to(x.dtype)
    whitening.fit(x, weights)
    return whitening


def brute_force(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of every location, one after the other, as written in the module."""
    rows, columns, dim = x.shape[1:]
    mean = torch.zeros(rows, columns, dim, dtype=x.dtype)
    covariance = torch.zeros(rows, columns, dim, dim, dtype=x.dtype)
    for row in range(rows):
        for column in range(columns):
            share, values = weights[:, row, column].to(x.dtype), x[:, row, column]
            mean[row, column] = sum(w * v for w, v in zip(share, values, strict=True)) / share.sum()
            for w, v in zip(share, values, strict=True):
                residual = v - mean[row, column]
                covariance[row, column] += w * torch.outer(residual, residual) / share.sum()
    count = weights.sum(dim=0).to(x.dtype)
    pooled = (covariance * count[..., None, None]).sum(dim=(0, 1)) / count.sum()
    ridge = RIDGE * pooled.diagonal().mean() + TINY
    return mean, (1 - POOLED_SHARE) * covariance + POOLED_SHARE * pooled + ridge * torch.eye(dim, dtype=x.dtype)


@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_gaussian_of_every_location(weighted: bool) -> None:
    x = correlated(30)
    generator = torch.Generator().manual_seed(1)
    weights = torch.randint(0, 2, x.shape[:3], generator=generator) if weighted else torch.ones(x.shape[:3])
    mean, covariance = brute_force(x, weights)
    whitening = fitted(x, weights if weighted else None)
    unseen = correlated(7, seed=2)
    z, log_det = whitening(unseen)
    found = -0.5 * z.square().sum(dim=-1) + log_det - DIM / 2 * math.log(2 * math.pi)
    expected = torch.distributions.MultivariateNormal(mean, covariance).log_prob(unseen)
    assert torch.allclose(found, expected, rtol=1e-9)


def test_log_det_is_that_of_the_jacobian() -> None:
    whitening = fitted(correlated(30))
    x = correlated(1, seed=3)
    _, log_det = whitening(x)
    jacobian = torch.autograd.functional.jacobian(lambda value: whitening(value)[0], x)
    assert isinstance(jacobian, Tensor)
    size = ROWS * COLUMNS * DIM
    matrix = jacobian.reshape(size, size)
    assert torch.allclose(torch.linalg.slogdet(matrix).logabsdet, log_det.sum())
    for row in range(ROWS):
        for column in range(COLUMNS):
            block = jacobian[0, row, column, :, 0, row, column]
            assert torch.allclose(torch.linalg.slogdet(block).logabsdet, log_det[row, column])


def test_whitened_images_have_mean_zero_and_deviation_one() -> None:
    x = correlated(1)[0, 0, 0] + 3 * correlated(400)[:, :1, :1].expand(-1, ROWS, COLUMNS, -1)
    z, _ = fitted(x)(x)
    assert z.mean(dim=0).abs().max() < 1e-9
    assert torch.allclose(z.square().mean(dim=0), torch.ones(()).double(), atol=1e-2)


def test_weights_of_one_change_nothing() -> None:
    x = correlated(20)
    plain, weighted = fitted(x), fitted(x, torch.ones(x.shape[:3]))
    assert torch.allclose(plain.mean, weighted.mean)
    assert torch.allclose(plain.whitening, weighted.whitening)


def test_what_has_no_weight_does_not_count() -> None:
    x, weights = correlated(20), torch.ones(20, ROWS, COLUMNS, dtype=torch.uint8)
    weights[3, 1] = 0
    weights[7] = 0
    other = x.clone()
    other[weights == 0] = 1e6
    assert torch.allclose(fitted(x, weights).mean, fitted(other, weights).mean)
    assert torch.allclose(fitted(x, weights).whitening, fitted(other, weights).whitening)


def test_a_location_without_weight_takes_the_mean_over_all() -> None:
    x, weights = correlated(20), torch.ones(20, ROWS, COLUMNS)
    weights[:, 2, 2] = 0
    whitening = fitted(x, weights)
    everywhere = x[weights == 1].mean(dim=0)
    assert torch.allclose(whitening.mean[2, 2], everywhere)
    assert torch.isfinite(whitening.whitening).all()


def test_a_location_without_weight_takes_the_covariance_over_all() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, ROWS, COLUMNS, DIM, generator=generator, dtype=torch.float64)
    weights = torch.ones(x.shape[:3])
    weights[:, 2, 2] = 0
    z, _ = fitted(x, weights)(x)
    assert z[:, 2, 2].square().mean().item() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("x", [torch.zeros(4, 2, 2, 3), torch.full((1, 2, 2, 3), 7.0), torch.ones(9, 1, 1, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_identical_images_stay_finite(x: Tensor, weighted: bool) -> None:
    whitening = fitted(x, torch.zeros(x.shape[:3]) if weighted else None)
    z, log_det = whitening(x + 1e-3)
    assert torch.isfinite(z).all()
    assert torch.isfinite(log_det).all()


def test_dimensions_that_never_vary_stay_finite_and_a_change_of_them_shows() -> None:
    x = correlated(20).float()
    x[..., 0] = 5.0
    whitening = fitted(x)
    assert whitening(x)[0].abs().max() < 100
    x[..., 0] = 5.5
    assert whitening(x)[0].square().sum(dim=-1).min() > 100
