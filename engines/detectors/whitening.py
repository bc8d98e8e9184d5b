"""The linear flow in closed form: a Gaussian with a mean and scale of its own at every location.

Each location is standardised by its own mean and deviation; one whitening matrix, the inverse Cholesky factor of the
pooled correlation, serves all locations. A covariance per location scores the same on the products tried and makes the
engine a hundred times larger.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

POOLED_VARIANCE_SHARE = 0.1
"""How far a location's variance is drawn to the mean over all locations: few images make it uncertain."""
CORRELATION_SHRINKAGE = 0.05
"""How far the off-diagonal correlations are drawn to zero."""
VARIANCE_FLOOR = 1e-6
"""Relative to the largest variance: channels that never vary must not divide by zero."""


class LocationWhitening(nn.Module):
    """z = L^-1 ((x - mean[location]) / deviation[location]); x is (n, height, width, dim)."""

    mean: Tensor
    inverse_deviation: Tensor
    whitening: Tensor

    def __init__(self, height: int, width: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(height, width, dim))
        self.register_buffer("inverse_deviation", torch.ones(height, width, dim))
        self.register_buffer("whitening", torch.eye(dim))

    def fit(self, x: Tensor) -> None:
        """Set all parameters from good features (n, height, width, dim)."""
        dim = x.shape[-1]
        self.mean = x.mean(dim=0)
        residual = x - self.mean
        variance = residual.square().mean(dim=0)
        pooled = variance.mean(dim=(0, 1))
        floor = VARIANCE_FLOOR * pooled.max().clamp_min(VARIANCE_FLOOR)
        variance = (1 - POOLED_VARIANCE_SHARE) * variance + POOLED_VARIANCE_SHARE * pooled
        self.inverse_deviation = variance.clamp_min(floor).rsqrt()
        rows = (residual * self.inverse_deviation).reshape(-1, dim)
        correlation = rows.T @ rows / len(rows)
        diagonal = correlation.diagonal().clamp_min(VARIANCE_FLOOR).diag()
        correlation = (1 - CORRELATION_SHRINKAGE) * correlation + CORRELATION_SHRINKAGE * diagonal
        # In float64, and a triangular solve: the inverse of this torch build fails on some machines.
        factor = torch.linalg.cholesky(correlation.double())
        identity = torch.eye(dim, dtype=torch.float64)
        self.whitening = torch.linalg.solve_triangular(factor, identity, upper=False).to(x.dtype)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log_det (height, width), which is the same for every image."""
        z = ((x - self.mean) * self.inverse_deviation) @ self.whitening.T
        log_det = self.inverse_deviation.log().sum(dim=-1) + self.whitening.diagonal().log().sum()
        return z, log_det
