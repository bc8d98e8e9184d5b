"""Fewer channels at little loss: a fixed random projection."""

from __future__ import annotations

import torch
from torch import nn


def orthogonal_projection(channels: int, dim: int, generator: torch.Generator) -> nn.Conv2d:
    """Channels -> `dim` orthonormal random directions, as a 1x1 convolution; `dim` at most `channels`."""
    basis, _ = torch.linalg.qr(torch.randn(channels, dim, generator=generator, dtype=torch.float64))
    projection = nn.Conv2d(channels, dim, kernel_size=1, bias=False)
    projection.requires_grad_(requires_grad=False)
    with torch.no_grad():
        projection.weight.copy_(basis.T[:, :, None, None])
    return projection
