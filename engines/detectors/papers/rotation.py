"""Rotation pretext: is it still clear which way up each place of the part is?

A classifier learns which of four turns was applied to a good image [1]; on something that is not like the good ones it
is less sure, and how far the turn that was applied is ahead of the next is the score, after [2]. No defect is needed to
learn it.

Where this differs from the papers, and why:

* The features are frozen and the classifier is a linear discriminant in closed form, with class means per location and
  one covariance: seconds in place of a training from scratch, and there is a map.
* The score of [2] is the log-probability of the right turn. On parts whose way up is clear it is 0 in all images to the
  last bit, and no limit can be drawn from that. The lead in logits goes on where the probability has reached 1.
* A frame that is not square cannot be turned by a quarter: then the four are the flips of the frame and their product.

References:
    [1] S. Gidaris, P. Singh, N. Komodakis, "Unsupervised representation learning by predicting image rotations", ICLR
        2018.
    [2] I. Golan, R. El-Yaniv, "Deep anomaly detection using geometric transformations", NeurIPS 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engines.bundle.manifest import InputSpec, MapScore
from engines.detectors.backbones.loading import DEFAULT_BACKBONE, load_backbone
from engines.detectors.base import Detector, Features, TrainDefaults
from engines.detectors.projection import orthogonal_projection

TAP = "b14"
DIM = 96
TURNS = 4
SHRINKAGE = 0.1
"""Of the covariance towards the identity times its mean variance."""
HOTTEST_SHARE = 0.1
MIN_SURPRISE = 1e-6
SEED = 20263


class RotationDetector(Detector):
    """How surprising the turns of an image are at each location.

    Args:
        spec: model input.
        backbone: see `load_backbone`; of an ONNX file the coarsest output is used.

    Raises:
        BackboneError: the backbone cannot be loaded or does not take this input.
    """

    default_training = TrainDefaults(steps=0)
    map_score = MapScore(hottest_share=HOTTEST_SHARE)
    mean: Tensor
    direction: Tensor
    offset: Tensor

    def __init__(self, spec: InputSpec, backbone: str = DEFAULT_BACKBONE) -> None:
        super().__init__()
        self.backbone = load_backbone(backbone, (TAP,))
        self.backbone.check_input(spec.height, spec.width)
        self._tap = self.backbone.taps[-1]
        stride = self.backbone.strides[self._tap]
        self._map_size = spec.height // stride, spec.width // stride
        self._is_square = spec.height == spec.width
        channels = self.backbone.channels[self._tap]
        self.dim = min(DIM, channels)
        self.projection = orthogonal_projection(channels, self.dim, torch.Generator().manual_seed(SEED))
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("direction", torch.zeros(*self._map_size, self.dim, TURNS))
        self.register_buffer("offset", torch.zeros(*self._map_size, TURNS))

    @property
    def map_size(self) -> tuple[int, int]:
        """See `Detector.map_size`."""
        return self._map_size

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Detector.features`: `turned` (n, turns, rows, columns, dim), each turned back to where it was."""
        upright = images.permute(0, 3, 1, 2).float()
        found = []
        for turn in range(TURNS):
            value = self.projection(self.backbone(self._turned(upright, turn))[self._tap])
            found.append(self._turned(value, -turn % TURNS if self._is_square else turn).permute(0, 2, 3, 1))
        return {"turned": torch.stack(found, dim=1)}

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        """See `Detector.initialise`: linear discriminants (Fisher 1936), a mean for each turn and location."""
        turned = features["turned"]
        share = torch.ones(turned.shape[0], *self._map_size) if weights is None else weights.to(turned.dtype)
        if not share.any():
            raise ValueError("all weights are zero: nothing is left to learn from")
        cells = share[:, None, :, :, None]
        self.mean = (turned * cells).sum(dim=(0, 1, 2, 3)) / (TURNS * share.sum())
        centred = (turned - self.mean) * cells
        count = share.sum(dim=0)[None, :, :, None]
        everywhere = centred.sum(dim=(0, 2, 3)) / share.sum()
        means = torch.where(count < 1, everywhere[:, None, None, :], centred.sum(dim=0) / count.clamp_min(1))
        residual = ((turned - self.mean - means) * cells).reshape(-1, self.dim)
        covariance = residual.T @ residual / (TURNS * share.sum())
        spread = covariance.diagonal().mean() + 1e-8
        covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread * torch.eye(self.dim)
        factor = torch.linalg.cholesky(covariance)
        flat = means.reshape(-1, self.dim)
        solved = torch.cholesky_solve(flat.T, factor).T
        shape = TURNS, *self._map_size
        self.direction = solved.reshape(*shape, self.dim).permute(1, 2, 3, 0).contiguous()
        self.offset = (-0.5 * (flat * solved).sum(dim=-1)).reshape(shape).permute(1, 2, 0).contiguous()

    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        """See `Detector.loss`: cross-entropy of the turns."""
        surprise = self._surprise(features)
        if weights is None:
            return surprise.mean()
        return (surprise * weights).sum() / weights.sum().clamp_min(1)

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        """See `Detector.score`: by how much the right one of the four turns is behind, mean at each cell, and of the
        hottest."""
        logits = self._logits(features)
        behind = torch.stack(
            [
                torch.cat([logits[..., turn, :turn], logits[..., turn, turn + 1 :]], dim=-1).amax(dim=-1)
                - logits[..., turn, turn]
                for turn in range(TURNS)
            ],
            dim=-1,
        )
        # The reshape changes nothing; it writes the size into the exported graph.
        anomaly_map = behind.mean(dim=-1).permute(2, 0, 1).reshape(-1, *self._map_size)
        return self.hottest(anomaly_map), anomaly_map

    def positive(self, image_score: Tensor) -> Tensor:
        """See `Detector.positive`: about the surprise, which is never negative."""
        return functional.softplus(image_score).clamp_min(MIN_SURPRISE)

    def _logits(self, features: Features) -> Tensor:
        """(rows, columns, n, turns, turns): of the turn that was applied, for each that could have been."""
        centred = features["turned"] - self.mean
        # For each location one product: (n * turns, dim) x (dim, turns).
        by_location = centred.permute(2, 3, 0, 1, 4).reshape(*self._map_size, -1, self.dim)
        logits = by_location @ self.direction + self.offset.unsqueeze(2)
        shaped: Tensor = logits.reshape(*self._map_size, -1, TURNS, TURNS)
        return shaped

    def _surprise(self, features: Features) -> Tensor:
        """(n, rows, columns): mean negative log-probability of the right turn."""
        chances = torch.log_softmax(self._logits(features), dim=-1)
        right = torch.stack([chances[..., turn, turn] for turn in range(TURNS)], dim=-1)
        return (-right.mean(dim=-1)).clamp_min(MIN_SURPRISE).permute(2, 0, 1)

    def _turned(self, maps: Tensor, turn: int) -> Tensor:
        """(n, channels, rows, columns) turned by quarters, or flipped where the frame is not square."""
        if not self._is_square:
            axes = [axis for axis, bit in ((2, 1), (3, 2)) if turn & bit]
            return maps.flip(axes) if axes else maps
        match turn:
            case 1:
                return maps.transpose(2, 3).flip([2])
            case 2:
                return maps.flip([2, 3])
            case 3:
                return maps.transpose(2, 3).flip([3])
        return maps
