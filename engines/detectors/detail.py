"""The map that people see: twice as fine as the one that the score follows from, and drawn together on what stands out.

Structure is seen on coarse maps, so a spot heats up everything within their reach, and its outline is several times as
wide as the spot. A finer stream of the backbone (stride 8; a mean per location, one covariance) ranks parts worse but
knows where they are odd. With C the map interpolated to its cells and f its log deviance,

    shown = C - 1/2 max(0, (largest f within `REACH` cells) - f - log 2) + what keeps the highest value of the map

so a cell that is less than half as odd as the oddest one near it fades (lateral inhibition [1]), and where f sees
nothing the map stays as it is. Without the half, regions of faint defects shrank to a cell. The highest value of the
shown map is that of the map: limits of regions hold for both, and a part shows a region with the one where it does with
the other. What it was chosen by and measured on: docs/decisions/0031-peers.md.

References:
    [1] H. K. Hartline, H. G. Wagner, F. Ratliff, "Inhibition in the eye of Limulus", Journal of General Physiology 39,
        1956.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.detectors.sums import LocationSums
from engines.detectors.whitening import RIDGE, TINY

FACTOR = 2
"""Shown cells per cell of the map, in each direction."""
STRENGTH = 0.5
HALF_AS_ODD = math.log(2)
REACH = 4
"""Cells of the shown map, 32 px of the model's input: the stride of the coarsest stream."""
MIN_DEVIANCE = 0.05


def detail_sums(features: Tensor, weights: Tensor | None) -> LocationSums:
    """Of features (n, height, width, dim); `weights` (n, rows, columns) of the map that the score follows from."""
    if weights is None:
        return LocationSums.of(features)
    size = tuple(features.shape[1:3])
    return LocationSums.of(features, functional.interpolate(weights.float().unsqueeze(1), size=size).squeeze(1))


class DetailedMap(nn.Module):
    """Makes the shown map. A mean per location and one covariance for all are learned, all else is fixed.

    Args:
        rows: of the map that the score follows from.
        columns: of that map.
        dim: of the finer features.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, rows: int, columns: int, dim: int) -> None:
        super().__init__()
        self.size = rows * FACTOR, columns * FACTOR
        self.dim = dim
        self.register_buffer("mean", torch.zeros(*self.size, dim))
        self.register_buffer("whitening", torch.eye(dim))

    def fit(self, features: Tensor, weights: Tensor | None, earlier: LocationSums | None = None) -> None:
        """Learn from features (n, *size, dim). `weights` (n, rows, columns): see `Detector.initialise`.

        `earlier`: of images that are learned, too.
        """
        sums = detail_sums(features, weights)
        mean, _, covariance = (sums if earlier is None else earlier + sums).moments()
        ridge = RIDGE * covariance.diagonal().mean() + TINY
        factor = torch.linalg.cholesky(covariance + ridge * torch.eye(self.dim, dtype=covariance.dtype))
        # A triangular solve: the inverse of this torch build fails on some machines.
        identity = torch.eye(self.dim, dtype=covariance.dtype)
        inverse = torch.linalg.solve_triangular(factor, identity, upper=False).T
        self.mean, self.whitening = mean.float(), inverse.float().contiguous()

    def forward(self, anomaly_map: Tensor, features: Tensor) -> Tensor:
        """Two maps, (n, 2, *size): the one that the score follows from, each cell repeated, and the shown one.

        Args:
            anomaly_map: (n, rows, columns).
            features: (n, *size, dim).
        """
        whitened = (features - self.mean) @ self.whitening
        fine = (whitened.square().sum(dim=-1) / self.dim).clamp_min(MIN_DEVIANCE).log().reshape(-1, 1, *self.size)
        oddest = functional.max_pool2d(fine, kernel_size=2 * REACH + 1, stride=1, padding=REACH)
        coarse = anomaly_map.unsqueeze(1)
        smooth = functional.interpolate(coarse, size=self.size, mode="bilinear", align_corners=False)
        drawn = smooth - STRENGTH * (oddest - fine - HALF_AS_ODD).clamp_min(0.0)
        shown = drawn + (coarse.amax(dim=(2, 3), keepdim=True) - drawn.amax(dim=(2, 3), keepdim=True))
        repeated = functional.interpolate(coarse, size=self.size, mode="nearest")
        # The reshape changes nothing; it writes the size into the exported graph.
        return torch.cat([repeated, shown], dim=1).reshape(-1, 2, *self.size)
