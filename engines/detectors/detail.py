"""The map that people see: twice as fine as the one that the score follows from, and drawn together on what stands out.

Structure is seen on coarse maps, so a spot heats up everything within their reach: its outline is several times as wide
as the spot, and beside a strong one even ground that never varies stands out. A finer stream of the backbone (stride 8;
a mean per location, one covariance) ranks parts worse but knows where they are odd. With C the map interpolated to its
cells and f the log of its deviance, averaged over neighbours,

    shown = C - max(0, near - f - log 1.5, everywhere - f - log 4) + what keeps the highest value of the map

where near is the largest f within `REACH` cells and everywhere the largest of all. So a cell that is much less odd than
the oddest one near it fades (lateral inhibition [1]), one far from it only where it is less than a quarter as odd, and
where f sees nothing the map stays as it is. Without the average, cells that are odd by chance stay as islands in what
fades. The highest value of the shown map is that of the map: limits of regions hold for both, and a part shows a region
with the one where it does with the other. What it was chosen by and measured on: docs/decisions/0031-peers.md.

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
REACH = 8
"""Cells of the shown map, 64 px of the model's input: twice the stride of the coarsest stream."""
SPARED_NEAR, SPARED_FAR = math.log(1.5), math.log(4)
"""How much less odd a cell may be before it fades. Reach of the deepest features is the whole input, and with one limit
for all of it a faint defect fades beside a strong one."""
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
        deviance = (whitened.square().sum(dim=-1) / self.dim).reshape(-1, 1, *self.size)
        fine = _averaged(deviance).clamp_min(MIN_DEVIANCE).log()
        near = functional.max_pool2d(fine, kernel_size=2 * REACH + 1, stride=1, padding=REACH) - SPARED_NEAR
        everywhere = fine.amax(dim=(2, 3), keepdim=True) - SPARED_FAR
        coarse = anomaly_map.unsqueeze(1)
        smooth = functional.interpolate(coarse, size=self.size, mode="bilinear", align_corners=False)
        drawn = smooth - (torch.maximum(near, everywhere) - fine).clamp_min(0.0)
        shown = drawn + (coarse.amax(dim=(2, 3), keepdim=True) - drawn.amax(dim=(2, 3), keepdim=True))
        repeated = functional.interpolate(coarse, size=self.size, mode="nearest")
        # The reshape changes nothing; it writes the size into the exported graph.
        return torch.cat([repeated, shown], dim=1).reshape(-1, 2, *self.size)


def _averaged(values: Tensor) -> Tensor:
    """(n, 1, rows, columns): the mean with the eight neighbours, in shares of 1, 2, 1 each way; at the border a cell
    stands for those that there are not. As two means of four: no weights in the exported graph.
    """
    between = functional.avg_pool2d(values, kernel_size=2, stride=1, padding=1, count_include_pad=False)
    return functional.avg_pool2d(between, kernel_size=2, stride=1)
