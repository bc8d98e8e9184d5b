"""Masked feature reconstruction: what does the surrounding of a place say that it should look like?

A predictive block whose receptive field has its centre masked [1] learns to reconstruct the features of a cell from
those around it; where a part is not like its surroundings promise, the reconstruction is off. The same idea at the
scale of whole images is masked image modelling [2].

Where this differs from the papers, and why:

* The predictor is linear and solved in closed form (ridge), in place of a block trained by gradient: seconds, one
  answer, and it can be fitted once per fold of a cross-fit and round of a refinement.
* The mask covers the cell and its neighbours: receptive fields of a deep layer overlap, so a neighbour already holds
  most of what is masked, and a defect would reconstruct itself.
* The residual is whitened per location as the default detector whitens features, so both are scores of one kind.

References:
    [1] N. Ristea, N. Madan, R. Ionescu, K. Nasrollahi, F. Khan, T. Moeslund, M. Shah, "Self-supervised predictive
        convolutional attentive block for anomaly detection", CVPR 2022.
    [2] K. He, X. Chen, S. Xie, Y. Li, P. Dollar, R. Girshick, "Masked autoencoders are scalable vision learners",
        CVPR 2022.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engines.bundle.manifest import InputSpec, MapScore
from engines.detectors.backbones.base import BackboneError
from engines.detectors.backbones.loading import DEFAULT_BACKBONE, load_backbone
from engines.detectors.base import Detector, Features, TrainDefaults
from engines.detectors.projection import orthogonal_projection
from engines.detectors.whitening import LocationWhitening

TAP = "e8"
DIM = 64
REACH = 2
"""Cells around the masked place that are seen, each way."""
MASKED = 1
"""Cells around the place that are masked with it, each way."""
RIDGE = 0.1
"""Of the mean variance of what is seen."""
HOTTEST_SHARE = 0.02
MIN_DEVIANCE = 0.05
SEED = 20262
IMAGES_AT_ONCE = 16


class MaskedDetector(Detector):
    """Residual of a linear reconstruction from the surroundings, one likelihood per location.

    Args:
        spec: model input.
        backbone: see `load_backbone`; of an ONNX file the finest output is used.

    Raises:
        BackboneError: the backbone cannot be loaded, or its map is smaller than the mask.
    """

    default_training = TrainDefaults(steps=0)
    map_score = MapScore(hottest_share=HOTTEST_SHARE, log=True)
    mean: Tensor
    kernel: Tensor

    def __init__(self, spec: InputSpec, backbone: str = DEFAULT_BACKBONE) -> None:
        super().__init__()
        self.backbone = load_backbone(backbone, (TAP,))
        self.backbone.check_input(spec.height, spec.width)
        self._tap = self.backbone.taps[0]
        stride = self.backbone.strides[self._tap]
        self._map_size = spec.height // stride, spec.width // stride
        if min(self._map_size) <= 2 * MASKED + 1:
            raise BackboneError(f"a map of {self._map_size} cells has no surroundings: choose a larger input")
        channels = self.backbone.channels[self._tap]
        self.dim = min(DIM, channels)
        self.projection = orthogonal_projection(channels, self.dim, torch.Generator().manual_seed(SEED))
        size = 2 * REACH + 1
        self.register_buffer("mean", torch.zeros(*self._map_size, self.dim))
        self.register_buffer("kernel", torch.zeros(self.dim, self.dim, size, size))
        """As a convolution has it; 0 where the mask is."""
        self.whitening = LocationWhitening(*self._map_size, self.dim)

    @property
    def map_size(self) -> tuple[int, int]:
        """See `Detector.map_size`."""
        return self._map_size

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Detector.features`: `cells` (n, rows, columns, dim)."""
        value = self.backbone(images.permute(0, 3, 1, 2).float())[self._tap]
        return {"cells": self.projection(value).permute(0, 2, 3, 1)}

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        """See `Detector.initialise`: the mean of each location, the predictor, the whitening of its residuals."""
        cells = features["cells"]
        share = torch.ones(cells.shape[:3]) if weights is None else weights.to(cells.dtype)
        if not share.any():
            raise ValueError("all weights are zero: nothing is left to learn from")
        count = share.sum(dim=0).unsqueeze(-1)
        total = (cells * share.unsqueeze(-1)).sum(dim=0)
        everywhere = total.sum(dim=(0, 1)) / count.sum()
        self.mean = torch.where(count < 1, everywhere, total / count.clamp_min(1))
        self._fit_predictor((cells - self.mean) * share.unsqueeze(-1), share)
        self.whitening.fit(self._residual(cells), weights)

    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        """See `Detector.loss`: half the deviance of the residuals."""
        deviance = self._deviance(features)
        if weights is None:
            return deviance.mean() / 2
        return (deviance * weights).sum() / weights.sum().clamp_min(1) / 2

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        """See `Detector.score`: log deviance per cell, log of the mean of the hottest."""
        # The reshape changes nothing; it writes the size into the exported graph.
        found = self._deviance(features).clamp_min(MIN_DEVIANCE).log().reshape(-1, *self._map_size)
        return self.hottest(found), found

    def positive(self, image_score: Tensor) -> Tensor:
        """See `Detector.positive`: the deviance itself instead of its log."""
        return image_score.exp()

    def _fit_predictor(self, centred: Tensor, share: Tensor) -> None:
        """Ridge regression of each cell with weight on the cells around it, over all images and locations."""
        size = 2 * REACH + 1
        seen = _seen(size).repeat(self.dim)  # `unfold` has the channels outside, the places inside
        inputs = int(seen.sum())
        gram, cross = torch.zeros(inputs, inputs), torch.zeros(inputs, self.dim)
        for start in range(0, len(centred), IMAGES_AT_ONCE):
            some = centred[start : start + IMAGES_AT_ONCE].permute(0, 3, 1, 2)
            around = functional.unfold(some, size, padding=REACH)[:, seen].transpose(1, 2).reshape(-1, inputs)
            there = share[start : start + IMAGES_AT_ONCE].reshape(-1) > 0
            target = some.permute(0, 2, 3, 1).reshape(-1, self.dim)[there]
            gram += around[there].T @ around[there]
            cross += around[there].T @ target
        ridge = RIDGE * gram.diagonal().mean() + 1e-8
        factor = torch.linalg.cholesky(gram + ridge * torch.eye(inputs))
        kernel = torch.zeros(self.dim, self.dim * size * size)
        kernel[:, seen] = torch.cholesky_solve(cross, factor).T
        self.kernel = kernel.reshape(self.dim, self.dim, size, size)

    def _residual(self, cells: Tensor) -> Tensor:
        """(n, rows, columns, dim): what the surroundings do not explain."""
        centred = (cells - self.mean).permute(0, 3, 1, 2)
        return (centred - functional.conv2d(centred, self.kernel, padding=REACH)).permute(0, 2, 3, 1)

    def _deviance(self, features: Features) -> Tensor:
        z, _ = self.whitening(self._residual(features["cells"]))
        deviance: Tensor = z.square().sum(dim=-1) / self.dim
        return deviance


def _seen(size: int) -> Tensor:
    """(size * size,) True for the places of a square that the predictor sees."""
    offset = (torch.arange(size) - size // 2).abs()
    return (torch.maximum(offset[:, None], offset[None, :]) > MASKED).reshape(-1)
