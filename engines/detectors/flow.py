"""Normalizing flow on vectors: affine couplings with soft clamping, and the closed-form whitening they start from.

Every layer is `y, log_det = layer(x)` with x (..., dim) and log_det (...), and has an `inverse`. A density follows by
the change of variables: log p(x) = log N(z; 0, I) + log_det.

Affine coupling: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP" (ICLR 2017). Soft clamping:
Ardizzone et al., "Guided image generation with conditional invertible neural networks" (2019), as DifferNet uses it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

CLAMP = 1.9
"""Largest |log scale| of one coupling."""


class AffineCoupling(nn.Module):
    """Scales and shifts one half of the vector by functions of the other half; then the halves change places.

    So the next coupling changes what this one kept. A random permutation in between gains nothing where the vector is
    a random projection already, and costs a gather per coupling. Starts as the exchange alone: the last layer of the
    subnet is zero.
    """

    def __init__(self, dim: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.kept = dim // 2
        self.changed = dim - self.kept
        self.subnet = nn.Sequential(nn.Linear(self.kept, hidden), nn.ReLU(), nn.Linear(hidden, 2 * self.changed))
        with torch.no_grad():
            for parameter in self.subnet.parameters():
                parameter.zero_()
            first = next(self.subnet.parameters())
            first.normal_(0.0, math.sqrt(2.0 / self.kept), generator=generator)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, changed = torch.split(x, [self.kept, self.changed], dim=-1)
        log_scale, shift = self._scale_and_shift(kept)
        return torch.cat([changed * log_scale.exp() + shift, kept], dim=-1), log_scale.sum(dim=-1)

    def inverse(self, y: Tensor) -> Tensor:
        """The x of this y."""
        changed, kept = torch.split(y, [self.changed, self.kept], dim=-1)
        log_scale, shift = self._scale_and_shift(kept)
        return torch.cat([kept, (changed - shift) * (-log_scale).exp()], dim=-1)

    def _scale_and_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = torch.split(self.subnet(kept), [self.changed, self.changed], dim=-1)
        return CLAMP * (2 / math.pi) * torch.atan(raw / CLAMP), shift


class Flow(nn.Module):
    """Couplings in a row. With none it is the identity."""

    def __init__(self, dim: int, *, couplings: int, hidden: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.layers = nn.ModuleList(AffineCoupling(dim, hidden, generator) for _ in range(couplings))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_det = torch.zeros_like(x[..., 0])
        for layer in self.layers:
            x, layer_log_det = layer(x)
            log_det = log_det + layer_log_det
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """The x of this z."""
        for layer in reversed(self.layers):
            assert isinstance(layer, AffineCoupling)
            z = layer.inverse(z)
        return z
