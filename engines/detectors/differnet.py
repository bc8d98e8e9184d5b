"""DifferNet: a flow on image-wide features of three scales, the baseline of the refinement papers.

After [1]. The image at full, half and quarter size goes through the frozen backbone, the last feature map of each is
averaged over all cells, and a flow of 8 blocks learns the density of the joined vector. An image is scored by several
turned views of it:

    score = mean over views of (|z|^2 / 2 - log_det) / dim,  the negative log-likelihood per dimension.

Where this differs from the paper, and why:

* Backbone: EfficientNet-Lite instead of AlexNet, so that detectors can be compared on the same features. The map that
  is averaged is `b15`, the output of the last block; the last convolution would make the vector four times as long.
* Each dimension is standardised by the training images before the flow, a diagonal linear flow in closed form. The
  paper feeds raw averages and spends many epochs on finding the scale.
* Subnets of one hidden layer of `HIDDEN`, not three of 2048: the paper's are 180 million parameters for one product.
  `DiffernetDetector(spec, hidden=2048, hidden_layers=3)` is the paper's.
* The transformed training views are drawn once for every image, not anew in every epoch, so that features are computed
  once. Views turn in coordinates of the image from -1 to 1, which is what stretching to a square first, as the paper
  does, amounts to: nothing is cut off at 90 degrees when the image is elongated.
* Localisation: the gradient of the score with respect to the last feature maps, not the pixels, times how far each cell
  is from its mean over the good images: the first-order share of the cell in the score. So the map is a function of
  the cached features, can be calibrated like that of every other detector, and is part of the exported graph
  (`FlowLayer.pullback`) without a backward pass through the backbone.

References:
    [1] M. Rudolph, B. Wandt, B. Rosenhahn, "Same same but different: semi-supervised defect detection with normalizing
        flows", WACV 2021.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from engines.bundle.manifest import InputSpec
from engines.detectors.backbones.loading import DEFAULT_BACKBONE, load_backbone
from engines.detectors.base import Detector, Features, TrainDefaults
from engines.detectors.flow import PermutedFlow

SCALES = (1, 2, 4)
"""The image is computed at its size divided by these."""
BLOCKS = 8
HIDDEN = 256
HIDDEN_LAYERS = 1
TRAIN_VIEWS = 4
TEST_VIEWS = 4
"""The paper takes up to 64. On bottle 1, 4 and 8 gave an image AUROC of 0.996, 1.0 and 1.0."""
BRIGHTNESS = 0.1
"""Largest relative change of brightness of a training view."""
MAP_STRIDE = 16
VARIANCE_FLOOR = 1e-4
"""Relative to the mean variance: dimensions that never vary must not divide by zero."""
MAX_EXPONENT = 50.0


class DiffernetDetector(Detector):
    """Flow on averaged features of several views.

    Args:
        spec: model input.
        backbone: see `load_backbone`.
        blocks: of the flow.
        hidden: width of the subnets.
        hidden_layers: of each subnet.
        train_views: transformed copies of every image to learn from.
        test_views: turned copies of an image to score, evenly spaced over the circle, the first not turned.

    Raises:
        BackboneError: the backbone cannot be loaded or does not take this input.
    """

    default_training = TrainDefaults(steps=50, learning_rate=2e-4, weight_decay=1e-5, images_per_step=24)
    has_closed_form = False
    mean: Tensor
    deviation: Tensor
    grid: Tensor
    test_angles: Tensor

    def __init__(
        self,
        spec: InputSpec,
        backbone: str = DEFAULT_BACKBONE,
        *,
        blocks: int = BLOCKS,
        hidden: int = HIDDEN,
        hidden_layers: int = HIDDEN_LAYERS,
        train_views: int = TRAIN_VIEWS,
        test_views: int = TEST_VIEWS,
    ) -> None:
        super().__init__()
        self.backbone = load_backbone(backbone, ("b15",))
        self.backbone.check_input(spec.height, spec.width)
        self._tap = self.backbone.taps[-1]
        self._channels = self.backbone.channels[self._tap]
        self.dim = self._channels * len(SCALES)
        self._flow_shape = {"blocks": blocks, "hidden": hidden, "hidden_layers": hidden_layers}
        self._train_views, self._test_views = train_views, test_views
        self.register_buffer("test_angles", 2 * math.pi * torch.arange(test_views) / test_views)
        self._map_size = spec.height // MAP_STRIDE, spec.width // MAP_STRIDE
        self.register_buffer("grid", _identity_grid(spec.height, spec.width))
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("deviation", torch.ones(self.dim))
        self.flow = self._new_flow()
        for scale in SCALES:
            height, width = (self._scaled(size, scale) for size in (spec.height, spec.width))
            self.backbone.check_input(height, width)
            self.register_buffer(f"rows{scale}", _resize_matrix(spec.height, height))
            self.register_buffer(f"columns{scale}", _resize_matrix(spec.width, width))
            stride = self.backbone.strides[self._tap]
            self.register_buffer(f"cell_mean{scale}", torch.zeros(self._channels, height // stride, width // stride))

    @property
    def map_size(self) -> tuple[int, int]:
        """See `Detector.map_size`."""
        return self._map_size

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Detector.features`.

        `train` (n, views, dim), `test` (n, views, dim), `cells1`, `cells2`, `cells4` (n, channels, rows, columns): the
        feature maps of the image as it is.
        """
        # One image at a time: its views are a batch already.
        found = [{"train": self._transformed(one), **self._test_features(one)} for one in torch.split(images, 1)]
        return {name: torch.cat([features[name] for features in found]) for name in found[0]}

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        """See `Detector.initialise`."""
        vectors = features["train"]
        share = _image_weights(weights, len(vectors)).to(vectors)
        self.mean = (vectors.mean(dim=1) * share[:, None]).sum(dim=0)
        variance = ((vectors - self.mean).square().mean(dim=1) * share[:, None]).sum(dim=0)
        floor = VARIANCE_FLOOR * variance.mean().clamp_min(VARIANCE_FLOOR)
        self.deviation = variance.clamp_min(floor).sqrt()
        for scale in SCALES:
            cells = features[f"cells{scale}"]
            setattr(self, f"cell_mean{scale}", (cells * share[:, None, None, None]).sum(dim=0))
        self.flow = self._new_flow().to(vectors.dtype)

    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        """See `Detector.loss`; over all training views."""
        per_image = self._loss(features["train"]).mean(dim=1)
        return (per_image * _image_weights(weights, len(per_image)).to(per_image)).sum()

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        """See `Detector.score`."""
        return self._loss(features["test"]).mean(dim=1), self._map(features)

    def positive(self, image_score: Tensor) -> Tensor:
        """See `Detector.positive`.

        The score is a log-density and may be negative, where a multiple of the median means nothing. Its exponential
        is positive, and a ratio of two of them does not depend on the constant that the log-density lacks: "lambda
        times the median" becomes "log lambda above the median". For standard normal z that is nearly lambda times the
        median of the mean of z^2, for the usual lambda of 2 to 4.
        """
        return image_score.clamp_max(MAX_EXPONENT).exp()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `Detector.forward`; without the training views."""
        return self.score(self._test_features(image))

    def _new_flow(self) -> PermutedFlow:
        return PermutedFlow(self.dim, **self._flow_shape)

    def _loss(self, vectors: Tensor) -> Tensor:
        """Negative log-likelihood per dimension up to a constant; (..., dim) -> (...)."""
        z, log_det = self.flow((vectors - self.mean) / self.deviation)
        result: Tensor = (z.square().sum(dim=-1) / 2 - log_det) / self.dim
        return result

    def _map(self, features: Features) -> Tensor:
        """First-order share of every cell in the score of the image as it is; negative shares count as none."""
        x = (features["test"][:, 0] - self.mean) / self.deviation
        z, _ = self.flow(x)
        gradient = self.flow.pullback(x, z / self.dim, -torch.ones_like(x[:, :1]) / self.dim) / self.deviation
        shares = []
        for scale, weights in zip(SCALES, torch.split(gradient, self._channels, dim=1), strict=True):
            deviation = features[f"cells{scale}"] - getattr(self, f"cell_mean{scale}")
            share = (weights[:, :, None, None] * deviation).sum(dim=1, keepdim=True).relu()
            shares.append(functional.interpolate(share, size=self._map_size, mode="bilinear", align_corners=False))
        total = torch.stack(shares).sum(dim=0)
        smooth = functional.avg_pool2d(total, kernel_size=3, stride=1, padding=1, count_include_pad=False)
        # The reshape changes nothing; it writes the size into the exported graph.
        return smooth.reshape(-1, *self._map_size)

    def _test_features(self, images: Tensor) -> dict[str, Tensor]:
        x = images.permute(0, 3, 1, 2).float()
        angles = self.test_angles[1:].expand(x.shape[0], -1)
        maps = self._maps(self._turned(x, angles, first=x), self._test_views)
        return {
            "test": _averages(maps),
            **{f"cells{scale}": value[:, 0] for scale, value in zip(SCALES, maps, strict=True)},
        }

    def _transformed(self, images: Tensor) -> Tensor:
        """Views at random angles and brightness; the same for the same image, whatever the batch."""
        random = torch.stack([_uniform(image, (self._train_views, 2)) for image in images])
        angles, brightness = 2 * math.pi * random[..., 0], 1 + BRIGHTNESS * (2 * random[..., 1] - 1)
        views = self._turned(images.permute(0, 3, 1, 2).float(), angles)
        brighter = (views * brightness[..., None, None, None]).clamp(0, 255)
        return _averages(self._maps(brighter, self._train_views))

    def _maps(self, views: Tensor, count: int) -> list[Tensor]:
        """The last feature map at every scale of (n, `count` views, 3, h, w): (n, views, channels, rows, columns)."""
        x = views.flatten(0, 1)
        maps = []
        for scale in SCALES:
            scaled = x if scale == 1 else getattr(self, f"rows{scale}") @ x @ getattr(self, f"columns{scale}").T
            maps.append(self.backbone(scaled)[self._tap].unflatten(0, (-1, count)))
        return maps

    def _turned(self, x: Tensor, angles: Tensor, first: Tensor | None = None) -> Tensor:
        """Images (n, 3, h, w) turned about their centre by angles (n, views) in radians: (n, views, 3, h, w).

        Black where nothing was. `first` becomes one more view, before the others.
        """
        cos, sin = angles.cos()[..., None, None], angles.sin()[..., None, None]
        across, down = self.grid[..., 0], self.grid[..., 1]
        grids = torch.stack([cos * across - sin * down, sin * across + cos * down], dim=-1)
        views = [] if first is None else [first]
        for view in range(self._test_views - 1 if first is not None else self._train_views):
            views.append(functional.grid_sample(x, grids[:, view], padding_mode="zeros", align_corners=False))
        return torch.stack(views, dim=1)

    def _scaled(self, size: int, scale: int) -> int:
        """Of an input, to a multiple that the backbone takes."""
        multiple = self.backbone.input_multiple
        return max(1, round(size / scale / multiple)) * multiple


def _averages(maps: list[Tensor]) -> Tensor:
    """Global average pooling of every map, joined: (n, views, dim)."""
    return torch.cat([value.mean(dim=(3, 4)) for value in maps], dim=2)


def _identity_grid(height: int, width: int) -> Tensor:
    """(height, width, 2): x and y of the pixel centres, -1..1 from edge to edge."""
    across = (2 * torch.arange(width) + 1) / width - 1
    down = (2 * torch.arange(height) + 1) / height - 1
    return torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)


def _resize_matrix(size: int, target: int) -> Tensor:
    """(target, size): resizes one direction, bilinear with antialiasing, as a matrix product that every runtime has."""
    resized = functional.interpolate(
        torch.eye(size)[None, None], size=(target, size), mode="bilinear", antialias=True, align_corners=False
    )
    return resized[0, 0]


def _uniform(image: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Random numbers in [0, 1) that depend on the image alone."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(int(image.sum(dtype=torch.int64))))


def _image_weights(weights: Tensor | None, count: int) -> Tensor:
    """(n,), sum 1: what each image counts; the mean of its cells."""
    per_image = torch.ones(count) if weights is None else weights.float().flatten(1).mean(dim=1)
    total = per_image.sum()
    if total <= 0:
        raise ValueError("all weights are zero: nothing is left to learn from")
    return per_image / total
