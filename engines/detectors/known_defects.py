"""A head for known defects: what a few labelled images say of defects like them, added to the anomaly map.

It reads the whitened features z of a cell (all streams, coarse ones interpolated; `Detector.cells`), so on good parts
every direction counts alike and a few positives suffice to find the one that the defects share. Long z, of strong
defects and of outliers, would decide everything in a linear model, so their length is compressed:

    v = z / |z| * 3 log(1 + |z| / sqrt(dim))          3 log 2 for a z as long as good parts have it
    logit = w v + b                                   logistic regression, classes balanced
    map = anomaly map + gain * max(0, logit - start)

What nobody has called a defect may ask for a review, never for a reject. So such a head has a bound: above `begins`
the joined map bends and stays below `ceiling`, in the same order:

    map = max(anomaly map, begins + w (1 - exp(-(joined - begins) / w)))    w = ceiling - begins, where joined > begins

`start` is what the hottest cells of good parts reach, so the map of a part without such a defect hardly changes. The
image score follows from this map as it does without labels. No gradient of the backbone is involved: the head is one
product per cell. Its weights come from `engines.training.known_defects`; docs/decisions/0023-known-defects.md has the
measurements.

References:
    D. R. Cox, "The regression analysis of binary sequences", Journal of the Royal Statistical Society B 20, 1958: the
    logistic model.
    G. Pang, C. Shen, A. van den Hengel, "Deep anomaly detection with deviation networks", KDD 2019: a few labelled
    anomalies beside many normal ones, the hottest places standing for an image without a mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from engines.detectors.without_torch import STRETCH, TINY


@dataclass(frozen=True)
class Bound:
    """Of what a head may add: from `begins` on it counts less and less, at `ceiling` nothing more."""

    begins: float
    ceiling: float


class KnownDefects(nn.Module):
    """Adds what looks like a known defect to an anomaly map. Weights, bias, gain and start are constants of the graph.

    Args:
        weight: (dim,), of the compressed features.
        bias: of the logit.
        gain: units of the anomaly map per unit of the logit.
        start: logit from which something is added.
        bound: no place is raised beyond its ceiling; None: no bound.
    """

    weight: Tensor

    def __init__(self, weight: Tensor, bias: float, *, gain: float, start: float, bound: Bound | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.dim = len(weight)
        self.bias, self.gain, self.start, self.bound = bias, gain, start, bound

    def forward(self, anomaly_map: Tensor, z: Tensor) -> Tensor:
        """The joined map of an anomaly map (n, height, width) and of whitened features (n, height, width, dim)."""
        joined = anomaly_map + self.gain * (logits(z, self.weight, self.bias, self.dim) - self.start).clamp_min(0.0)
        return joined if self.bound is None else anomaly_map.maximum(bent(joined, self.bound))


def bent(joined: Tensor, bound: Bound) -> Tensor:
    """The bent map of the module's formula, below the ceiling everywhere; the shape of `joined`."""
    width = bound.ceiling - bound.begins
    beyond = joined - bound.begins
    return bound.begins + beyond.clamp_max(0.0) + width * (1 - (-beyond.clamp_min(0.0) / width).exp())


def compression(z: Tensor, dim: int) -> Tensor:
    """The factor that turns whitened features (..., dim) into compressed ones, (..., 1).

    `dim` is a number of its own because a graph that is being traced has no numbers for shapes.
    """
    length = z.square().sum(dim=-1, keepdim=True).clamp_min(TINY).sqrt()
    return STRETCH * (1 + length / math.sqrt(dim)).log() / length


def compressed(z: Tensor) -> Tensor:
    """v of the module's formula, the shape of `z`."""
    return z * compression(z, z.shape[-1])


def logits(z: Tensor, weight: Tensor, bias: float, dim: int) -> Tensor:
    """w v + b of the module's formula: (...), from z (..., dim) and weight (dim,)."""
    return (z @ weight.unsqueeze(-1)).squeeze(-1) * compression(z, dim).squeeze(-1) + bias
