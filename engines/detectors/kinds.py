"""The kind of a defect: what the place that looks worst has in common with labelled defects. A suggestion, never a
verdict.

It reads the same compressed whitened features v of a cell as the head for known defects (`known_defects`), so on good
parts every direction counts alike. An image is described by its hottest cells, a kind by the mean of its images:

    u = mean of v over the hottest cells - what all kinds have in common
    likeness to a kind = cosine of u and the kind's mean of u

Unit vectors and class means need no more than one image a kind (nearest class mean [1]). Whether the best likeness is
enough for a name is decided by who reads it: below a limit from leaving images out the kind is unknown (a reject option
[2]; `engines.training.kinds.fit`).

References:
    [1] T. Mensink, J. Verbeek, F. Perronnin, G. Csurka, "Distance-based image classification: generalizing to new
        classes at near-zero cost", IEEE TPAMI 35, 2013.
    [2] C. K. Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions on Information Theory 16,
        1970.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from engines.detectors.known_defects import compression
from engines.detectors.without_torch import HOTTEST_SHARE, TINY


class Kinds(nn.Module):
    """How much an image looks like each kind of defect.

    Args:
        common: (dim,), what all kinds have in common.
        kinds: (kinds, dim), unit vectors.
        map_size: (height, width) of the maps.
    """

    common: Tensor
    kinds: Tensor

    def __init__(self, common: Tensor, kinds: Tensor, map_size: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("common", common)
        self.register_buffer("kinds", kinds)
        self.dim = len(common)
        self.cells = map_size[0] * map_size[1]
        """A graph that is being traced has no numbers for shapes."""

    def forward(self, anomaly_map: Tensor, z: Tensor) -> Tensor:
        """Likenesses (n, kinds), -1 to 1, of maps (n, height, width) and whitened features (n, height, width, dim)."""
        off = look(anomaly_map, z, self.cells, self.dim) - self.common
        length = off.square().sum(dim=-1, keepdim=True).clamp_min(TINY).sqrt()
        return ((off / length).unsqueeze(1) * self.kinds).sum(dim=-1)


def look(anomaly_map: Tensor, z: Tensor, cells: int, dim: int) -> Tensor:
    """What the hottest cells look like, (n, dim): the mean of their compressed features.

    Args:
        anomaly_map: (n, height, width).
        z: (n, height, width, dim), whitened features.
        cells: of a map.
        dim: of a cell.
    """
    flat = anomaly_map.flatten(1)
    coldest = flat.topk(math.ceil(cells * HOTTEST_SHARE), dim=1).values[:, -1:]
    # Weights and sums: GPUs before Ampere have no float32 matrix products, and not every runtime gathers fast.
    share = (flat >= coldest).to(z.dtype)
    share = share / share.sum(dim=1, keepdim=True)
    features = (z * compression(z, dim)).flatten(1, 2)
    return (share.unsqueeze(-1) * features).sum(dim=1)
