"""What other sites know, as a prior for the Gaussians of a few images.

Twenty images do not determine a covariance of 160 x 160 numbers at every location. With the mean m0 and the covariance
C0 of many images of other sites, a conjugate prior of a Gaussian (normal, inverse Wishart [1]) that counts as k images
for the mean and as v for the covariance gives, for n images with mean m and covariance C,

    mean        (n m + k m0) / (n + k)
    covariance  (n C + v C0 + n k / (n + k) (m - m0)(m - m0)^T) / (n + v)

With k = v that is adding the sums of the others, weighed. A site with a lamp of its own takes less of the mean than of
the covariance; how much of each, the held-out deviance of its own images says (`engines.training.fitting.prior`).

References:
    [1] A. Gelman et al., "Bayesian data analysis", 3rd edition, 2013, section 3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.detectors.sums import LocationSums, Sums
from engines.detectors.whitening import cholesky_of


@dataclass(frozen=True, slots=True)
class PriorWeights:
    """How many images a prior counts as, for the mean and for the covariance; 0: not at all."""

    mean: float
    covariance: float


@dataclass(frozen=True)
class Others:
    """Of one stream: mean (height, width, dim) and covariance (height, width, dim, dim) of the other sites' images."""

    mean: Tensor
    covariance: Tensor

    @staticmethod
    def of(sums: LocationSums) -> Others:
        mean, covariance, _ = sums.moments()
        return Others(mean, covariance)

    def joined(self, mine: LocationSums, weights: PriorWeights) -> LocationSums:
        """Sums whose moments are those of the posterior, as above; where nothing is mine, those of the others."""
        n, k, v = mine.count.unsqueeze(-1), weights.mean, weights.covariance
        own = torch.where(n > 0, mine.first / n.clamp_min(1e-300), self.mean)
        scatter = mine.second - mine.first.unsqueeze(-1) * own.unsqueeze(-2)
        apart = own - self.mean
        between = (n * k / (n + k).clamp_min(1e-300)).unsqueeze(-1) * apart.unsqueeze(-1) * apart.unsqueeze(-2)
        posterior = torch.where(n + k > 0, (mine.first + k * self.mean) / (n + k).clamp_min(1e-300), self.mean)
        about = scatter + v * self.covariance + between  # (n + v) times the covariance
        first = (n + v) * posterior
        return LocationSums(mine.count + v, first, about + first.unsqueeze(-1) * posterior.unsqueeze(-2))


@dataclass(frozen=True)
class Prior:
    """What the other sites know of every stream, and how much it counts."""

    others: Mapping[str, Others]
    weights: Mapping[str, PriorWeights]

    def joined(self, mine: Sums) -> Sums:
        """The sums that are learned in place of `mine`. Streams that the others do not know stay as they are."""
        return {
            name: self.others[name].joined(one, self.weights[name]) if name in self.weights else one
            for name, one in mine.items()
        }


def deviance(sums: LocationSums, unseen: Tensor, weights: Tensor | None = None) -> float:
    """-2 log likelihood per number of unseen features (n, height, width, dim), without its constant.

    Of the Gaussians that `LocationWhitening` makes of the sums; with the log determinant, so that a wide covariance
    does not explain everything. `weights` (n, height, width): which features count; None: all.
    """
    mean, factor = cholesky_of(sums)
    residual = (unseen.double() - mean).permute(1, 2, 3, 0)
    z = torch.linalg.solve_triangular(factor, residual, upper=False)
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    of_each = (z.square().sum(dim=2) + log_det.unsqueeze(-1)) / mean.shape[-1]
    if weights is None:
        return float(of_each.mean())
    share = weights.double().permute(1, 2, 0)
    return float((of_each * share).sum() / share.sum().clamp_min(1.0))
