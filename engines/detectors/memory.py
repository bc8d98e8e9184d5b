"""A memory of good patches: how far is each place of an image from the nearest good one?

After PatchCore [1]: features of two middle layers, averaged over neighbourhoods, a coreset chosen greedily, distance to
the nearest neighbour. Nothing is trained, and 20 images are enough to start.

Where this differs from the paper, and why:

* Each layer is projected at random to a few dimensions before it is kept (distances stay [2]), and
  scaled to the same spread, so that neither drowns the other. The paper projects only to choose the coreset.
* The coreset is bounded in number, and chosen among a bounded number of patches: the time of an inference and of a
  training are known beforehand.
* The image score is the mean of the hottest cells instead of the reweighted maximum: steadier, and no lookup of
  neighbours of neighbours in the graph.

References:
    [1] K. Roth, L. Pemula, J. Zepeda, B. Schölkopf, T. Brox, P. Gehler, "Towards total recall in industrial anomaly
        detection", CVPR 2022.
    [2] W. B. Johnson, J. Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", Contemporary
        Mathematics 26, 1984.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.bundle.manifest import InputSpec, MapScore
from engines.detectors.backbones.base import BackboneError
from engines.detectors.backbones.loading import DEFAULT_BACKBONE, load_backbone
from engines.detectors.base import Detector, Features, TrainDefaults
from engines.detectors.projection import orthogonal_projection

TAPS = ("x4", "e11")
STREAM_DIM = 96
"""Dimensions kept of each layer."""
BANK_SIZE = 2000
CANDIDATES = 20_000
"""Patches among which the coreset is chosen."""
HOTTEST_SHARE = 0.01
VARIANCE_FLOOR = 1e-6
MIN_SQUARED_DISTANCE = 1e-4
"""Below this the square is rounding; good patches lie at about 0.1 to 1."""
SEED = 20261


class MemoryDetector(Detector):
    """Distance to the nearest patch of a coreset.

    Args:
        spec: model input.
        backbone: see `load_backbone`; of an ONNX file all outputs are used.
        bank_size: patches remembered at most.

    Raises:
        BackboneError: the backbone cannot be loaded or does not take this input.
    """

    default_training = TrainDefaults(steps=0)
    map_score = MapScore(hottest_share=HOTTEST_SHARE)
    bank: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, spec: InputSpec, backbone: str = DEFAULT_BACKBONE, *, bank_size: int = BANK_SIZE) -> None:
        super().__init__()
        self.backbone = load_backbone(backbone, TAPS)
        self.backbone.check_input(spec.height, spec.width)
        # The coarsest of the layers gives the cells; finer ones are averaged into them.
        stride = max(self.backbone.strides.values())
        self._map_size = spec.height // stride, spec.width // stride
        for tap, tap_stride in self.backbone.strides.items():
            if stride % tap_stride:
                raise BackboneError(f'"{tap}" has stride {tap_stride}, which does not divide the coarsest, {stride}')
        generator = torch.Generator().manual_seed(SEED)
        dims = {tap: min(STREAM_DIM, channels) for tap, channels in self.backbone.channels.items()}
        self.projections = nn.ModuleDict(
            {
                tap: orthogonal_projection(self.backbone.channels[tap], dims[tap], generator)
                for tap in self.backbone.taps
            }
        )
        self.dim = sum(dims.values())
        self._dims = list(dims.values())
        self.bank_size = bank_size
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("scale", torch.ones(self.dim))
        self.register_buffer("bank", torch.zeros(bank_size, self.dim))

    @property
    def map_size(self) -> tuple[int, int]:
        """See `Detector.map_size`."""
        return self._map_size

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Detector.features`: `patches` (n, rows, columns, dim)."""
        taps = self.backbone(images.permute(0, 3, 1, 2).float())
        streams = []
        for tap, value in taps.items():
            around = functional.avg_pool2d(value, kernel_size=3, stride=1, padding=1, count_include_pad=False)
            factor = max(self.backbone.strides.values()) // self.backbone.strides[tap]
            if factor > 1:
                around = functional.avg_pool2d(around, kernel_size=factor, stride=factor)
            streams.append(self.projections[tap](around))
        return {"patches": torch.cat(streams, dim=1).permute(0, 2, 3, 1)}

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        """See `Detector.initialise`: choose the coreset among the patches with weight."""
        patches = features["patches"].reshape(-1, self.dim)
        if weights is not None:
            patches = patches[weights.reshape(-1) > 0]
        if len(patches) == 0:
            raise ValueError("all weights are zero: nothing is left to learn from")
        generator = torch.Generator().manual_seed(SEED)
        if len(patches) > CANDIDATES:
            patches = patches[torch.randperm(len(patches), generator=generator)[:CANDIDATES]]
        variances = torch.split(patches.var(dim=0, correction=0), self._dims)
        # One number per layer: within a layer the directions that vary more also say more.
        spread = [variance.mean().clamp_min(VARIANCE_FLOOR).expand_as(variance) for variance in variances]
        self.scale = (torch.cat(spread) * self.dim).rsqrt()
        self.mean = patches.mean(dim=0)
        scaled = (patches - self.mean) * self.scale
        chosen = coreset(scaled, min(self.bank_size, len(scaled)))
        # Always the same size, so that engines of few images have the same graph: repeats change no distance.
        self.bank = scaled[chosen[torch.arange(self.bank_size) % len(chosen)]]

    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        """See `Detector.loss`: half the mean squared distance, as if each patch were the centre of a Gaussian."""
        squared = self._distances(features).square()
        if weights is None:
            return squared.mean() / 2
        return (squared * weights).sum() / weights.sum().clamp_min(1) / 2

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        """See `Detector.score`: distance per cell, in units of the spread of good patches."""
        # The reshape changes nothing; it writes the size into the exported graph.
        distances = self._distances(features).reshape(-1, *self._map_size)
        return self.hottest(distances), distances

    def positive(self, image_score: Tensor) -> Tensor:
        """See `Detector.positive`: distances are."""
        return image_score

    def _distances(self, features: Features) -> Tensor:
        """(n, rows, columns)."""
        # Centred, so that the squares below are not large numbers with a small difference.
        patches = (features["patches"] - self.mean) * self.scale
        squared = (
            patches.square().sum(dim=-1, keepdim=True) - 2 * patches @ self.bank.T + self.bank.square().sum(dim=-1)
        )
        return squared.amin(dim=-1).clamp_min(MIN_SQUARED_DISTANCE).sqrt()


def coreset(points: Tensor, count: int) -> Tensor:
    """Greedy k-centre: each next point is the one farthest from all that are chosen; at most twice the best radius.

    Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985); Sener and Savarese (ICLR 2018).

    Args:
        points: (n, dim).
        count: how many to choose, 1..n.

    Returns:
        (count,) indices, the first is the point nearest to the mean.
    """
    if not 1 <= count <= len(points):
        raise ValueError(f"coreset of {count} among {len(points)} points: allowed is 1 to {len(points)}")
    points = points.detach()
    squares = points.square().sum(dim=1)
    chosen = torch.empty(count, dtype=torch.long)
    newest = (points - points.mean(dim=0)).square().sum(dim=1).argmin()
    nearest = torch.full_like(squares, torch.inf)
    for index in range(count):
        chosen[index] = newest
        nearest = torch.minimum(nearest, squares - 2 * (points @ points[newest]) + squares[newest])
        nearest[newest] = -torch.inf
        newest = nearest.argmax()
    return chosen
