"""What a Gaussian at every location knows of its images, as sums: adding images, or taking them away again, is exact.

Of images x with weights w at a location: n = sum of w, s = sum of w x, S = sum of w x x^T. Mean s / n and covariance
S / n - (s / n)(s / n)^T follow from these three alone, so the model of a set of images is that of the sum of its parts,
whatever the order in which they came [1]. In double precision: features of half precision lose nothing, and what was
added and taken away leaves 1e-12 of itself.

References:
    [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance: analysis and
        recommendations", The American Statistician 37, 1983.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

IMAGES_AT_ONCE = 64
"""Bounds the memory that double precision takes."""


@dataclass(frozen=True)
class LocationSums:
    """Of features (images, height, width, dim), at every location by itself; double precision."""

    count: Tensor
    """(height, width)."""
    first: Tensor
    """(height, width, dim)."""
    second: Tensor
    """(height, width, dim, dim)."""

    @staticmethod
    def of(x: Tensor, weights: Tensor | None = None) -> LocationSums:
        """Of features (n, height, width, dim); `weights` (n, height, width) from 0 to 1, None: all 1."""
        height, width, dim = x.shape[1:]
        count = torch.zeros(height, width, dtype=torch.float64)
        first = torch.zeros(height, width, dim, dtype=torch.float64)
        second = torch.zeros(height, width, dim, dim, dtype=torch.float64)
        for start in range(0, len(x), IMAGES_AT_ONCE):
            some = x[start : start + IMAGES_AT_ONCE].detach().double().permute(1, 2, 0, 3)
            if weights is None:
                shared = some
                count += some.shape[2]
            else:
                share = weights[start : start + IMAGES_AT_ONCE].double().permute(1, 2, 0)
                shared = some * share.unsqueeze(-1)
                count += share.sum(dim=2)
            first += shared.sum(dim=2)
            second += shared.transpose(-1, -2) @ some
        return LocationSums(count, first, second)

    def __add__(self, other: LocationSums) -> LocationSums:
        return LocationSums(self.count + other.count, self.first + other.first, self.second + other.second)

    def __sub__(self, other: LocationSums) -> LocationSums:
        return LocationSums(self.count - other.count, self.first - other.first, self.second - other.second)

    def __mul__(self, weight: float) -> LocationSums:
        return LocationSums(self.count * weight, self.first * weight, self.second * weight)

    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (height, width, dim), covariance (height, width, dim, dim), and the covariance of all locations.

        Where hardly any weight is left, the mean over all locations stands in, and their covariance.
        """
        count = self.count.unsqueeze(-1)
        if bool((self.count >= 2.0).all()):  # nothing has to stand in: as ever without masks, and in half the time
            mean = self.first / count
            covariance = (self.second / count.unsqueeze(-1)).sub_(mean.unsqueeze(-1) * mean.unsqueeze(-2))
            return mean, covariance, (covariance * (count / self.count.sum()).unsqueeze(-1)).sum(dim=(0, 1))
        everywhere = self.first.sum(dim=(0, 1)) / self.count.sum().clamp_min(1.0)
        mean = torch.where(count < 1.0, everywhere, self.first / count.clamp_min(1.0))
        # About any mean: S - s m^T - m s^T + n m m^T; the one that stands in is not that of the location.
        product = self.first.unsqueeze(-1) * mean.unsqueeze(-2)
        about = self.second - product - product.transpose(-1, -2)
        about = about + count.unsqueeze(-1) * mean.unsqueeze(-1) * mean.unsqueeze(-2)
        covariance = about / count.clamp_min(1.0).unsqueeze(-1)
        pooled = (covariance * count.unsqueeze(-1)).sum(dim=(0, 1)) / self.count.sum().clamp_min(1.0)
        covariance = torch.where(count.unsqueeze(-1) < 2.0, pooled, covariance)  # one image has no covariance
        return mean, covariance, pooled


Sums = Mapping[str, LocationSums]
"""Name of a stream of features -> their sums."""


def added(first: Sums | None, second: Sums, weight: float = 1.0) -> Sums:
    """`first` (None: nothing yet) and `weight` times `second`."""
    weighted = second if weight == 1.0 else {name: one * weight for name, one in second.items()}
    return weighted if first is None else {name: first[name] + one for name, one in weighted.items()}


def without(whole: Sums, part: Sums) -> Sums:
    """What is left of a whole without a part of it."""
    return {name: one - part[name] for name, one in whole.items()}
