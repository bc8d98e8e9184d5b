"""The linear flow in closed form: a Gaussian of its own at every location of a feature map.

PaDiM [1] with the covariance of each location drawn towards the one of all locations,
since a few hundred images do not determine 160 x 160 numbers at every location. On the products tried, a covariance per
location ranks 0.02 to 0.08 better (image AUROC) than one for all locations, at a coarse map's size it stays small.

References:
    [1] T. Defard, A. Setkov, A. Loesch, R. Audigier, "PaDiM: a patch distribution modeling framework for anomaly
        detection and localization", ICPR Workshops 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.detectors.sums import LocationSums

POOLED_SHARE = 0.2
"""How far the covariance of a location is drawn to the mean over all locations."""
RIDGE = 1e-4
"""Of the mean variance, added to the diagonal: dimensions that never vary must not divide by zero."""
TINY = 1e-8
"""The same for images that never vary at all."""


def cholesky_of(sums: LocationSums) -> tuple[Tensor, Tensor]:
    """Mean and lower factor of the covariance that is learned at every location: (h, w, dim), (h, w, dim, dim)."""
    mean, covariance, pooled = sums.moments()
    covariance = (1 - POOLED_SHARE) * covariance + POOLED_SHARE * pooled
    ridge = RIDGE * pooled.diagonal().mean() + TINY
    return mean, torch.linalg.cholesky(covariance + ridge * torch.eye(mean.shape[-1], dtype=mean.dtype))


class LocationWhitening(nn.Module):
    """z = L^-1 (x - mean), both of the location; x is (n, height, width, dim)."""

    mean: Tensor
    whitening: Tensor

    def __init__(self, height: int, width: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(height, width, dim))
        self.register_buffer("whitening", torch.eye(dim).repeat(height, width, 1, 1))
        """Transposed, so that a row vector is multiplied from the left."""

    def fit(self, x: Tensor, weights: Tensor | None = None) -> None:
        """Set mean and whitening from features (n, height, width, dim).

        Args:
            weights: (n, height, width) from 0 to 1; None: all 1. Where hardly any weight is left, the mean over all
                locations stands in.
        """
        by_location = x.permute(1, 2, 0, 3)
        if weights is None:
            count = torch.full((*x.shape[1:3], 1), float(len(x)), dtype=x.dtype)
            self.mean = by_location.mean(dim=2)
            residual = by_location - self.mean.unsqueeze(2)
        else:
            share = weights.to(x.dtype).permute(1, 2, 0).unsqueeze(-1)
            count = share.sum(dim=2)
            total = (by_location * share).sum(dim=2)
            everywhere = total.sum(dim=(0, 1)) / count.sum().clamp_min(1.0)
            self.mean = torch.where(count < 1.0, everywhere, total / count.clamp_min(1.0))
            residual = (by_location - self.mean.unsqueeze(2)) * share.sqrt()
        covariance = residual.transpose(-1, -2) @ residual / count.clamp_min(1.0).unsqueeze(-1)
        pooled = (covariance * count.unsqueeze(-1)).sum(dim=(0, 1)) / count.sum().clamp_min(1.0)
        covariance = torch.where(count.unsqueeze(-1) < 2.0, pooled, covariance)  # one image has no covariance
        covariance = (1 - POOLED_SHARE) * covariance + POOLED_SHARE * pooled
        dim = x.shape[-1]
        ridge = RIDGE * pooled.diagonal().mean() + TINY
        factor = torch.linalg.cholesky(covariance + ridge * torch.eye(dim, dtype=x.dtype))
        # A triangular solve: the batched inverse of this torch build fails on some machines.
        identity = torch.eye(dim, dtype=x.dtype).expand_as(factor)
        self.whitening = torch.linalg.solve_triangular(factor, identity, upper=False).transpose(-1, -2).contiguous()

    def fit_sums(self, sums: LocationSums) -> None:
        """The same from sums, in double precision: of the same images the same, in whatever parts they came.

        It takes four times as long as `fit`.
        """
        mean, factor = cholesky_of(sums)
        # A triangular solve: the batched inverse of this torch build fails on some machines.
        identity = torch.eye(mean.shape[-1], dtype=mean.dtype).expand_as(factor)
        inverse = torch.linalg.solve_triangular(factor, identity, upper=False).transpose(-1, -2)
        dtype = self.mean.dtype
        self.mean, self.whitening = mean.to(dtype), inverse.to(dtype).contiguous()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log_det (height, width), which is the same for every image."""
        residual = x - self.mean
        z = (residual.permute(1, 2, 0, 3) @ self.whitening).permute(2, 0, 1, 3)
        return z, self.whitening.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
