"""The default detector: a normalizing flow with a likelihood at every location of a feature map.

Three streams (fine texture, parts, structure) from a frozen trunk; each is projected, whitened in closed form per
location and passed through a few couplings. With z, log_det of the couplings at a location, the deviance per dimension

    e = (|z|^2 - 2 log_det) / dim

is twice the negative log-likelihood, without the terms that are the same for every image. It is near 1 on good parts.
The map is the mean over the streams of log e: a geometric mean, so no stream drowns the others. The image score is the
log of the mean of the hottest cells.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.detectors.base import Detector, Features
from engines.detectors.features import INPUT_MULTIPLE, load_lite0
from engines.detectors.flow import Flow
from engines.detectors.whitening import LocationWhitening
from engines.manifest import InputSpec

STREAMS = {"x4": (240, 16), "e11": (672, 16), "b15": (320, 32)}
"""Tap -> channels and stride. x4 comes at stride 8 and is averaged to 16."""
STREAM_DIM = 160
"""Dimensions kept of each stream by a random orthogonal projection."""
MAP_STRIDE = 16
HOTTEST_SHARE = 0.01
IGNORED_BORDER = 1
"""Cells at the edge of the map that do not count for the image score: half of what they see is padding."""
MIN_DEVIANCE = 0.05
PROJECTION_SEED = 20260


class SpatialDetector(Detector):
    """Flow over feature maps, one likelihood per location.

    Args:
        spec: model input; width and height multiples of 32.
        couplings: per stream; 0 leaves the Gaussian.
        hidden: width of the couplings' subnets.
    """

    def __init__(self, spec: InputSpec, *, couplings: int = 2, hidden: int = 128) -> None:
        super().__init__()
        if spec.width % INPUT_MULTIPLE or spec.height % INPUT_MULTIPLE:
            raise ValueError(f"input {spec.width}x{spec.height}: both must be multiples of {INPUT_MULTIPLE}")
        self.trunk = load_lite0(tuple(STREAMS))
        self.couplings, self.hidden = couplings, hidden
        self._map_size = spec.height // MAP_STRIDE, spec.width // MAP_STRIDE
        self.projections = nn.ModuleDict()
        self.whitenings = nn.ModuleDict()
        self.flows = nn.ModuleDict()
        generator = torch.Generator().manual_seed(PROJECTION_SEED)
        for tap, (channels, stride) in STREAMS.items():
            self.projections[tap] = _orthogonal_projection(channels, STREAM_DIM, generator)
            self.whitenings[tap] = LocationWhitening(spec.height // stride, spec.width // stride, STREAM_DIM)
        self.reset_flows(0)

    @property
    def map_size(self) -> tuple[int, int]:
        """See `Detector.map_size`."""
        return self._map_size

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Detector.features`: tap -> (n, rows, columns, 160)."""
        taps = self.trunk(images.permute(0, 3, 1, 2).float())
        taps["x4"] = functional.avg_pool2d(taps["x4"], kernel_size=2, stride=2)
        return {tap: self.projections[tap](value).permute(0, 2, 3, 1) for tap, value in taps.items()}

    def reset_flows(self, seed: int) -> None:
        """Couplings back to the identity."""
        for index, tap in enumerate(STREAMS):
            self.flows[tap] = Flow(STREAM_DIM, couplings=self.couplings, hidden=self.hidden, seed=seed + index)

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        """See `Detector.initialise`."""
        for tap in STREAMS:
            whitening = self.whitenings[tap]
            assert isinstance(whitening, LocationWhitening)
            whitening.fit(features[tap])
        self.reset_flows(0)

    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        """See `Detector.loss`: half the deviance, mean over streams and locations."""
        return torch.stack([self._deviance(tap, features[tap]).mean() for tap in STREAMS]).mean() / 2

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        """See `Detector.score`."""
        logs = []
        for tap, (_, stride) in STREAMS.items():
            log_deviance = self._deviance(tap, features[tap]).clamp_min(MIN_DEVIANCE).log()
            if stride != MAP_STRIDE:
                resized = functional.interpolate(
                    log_deviance.unsqueeze(1), size=self._map_size, mode="bilinear", align_corners=False
                )
                log_deviance = resized[:, 0]
            logs.append(log_deviance)
        # The reshape changes nothing; it writes the size into the exported graph.
        anomaly_map = torch.stack(logs).mean(dim=0).reshape(-1, *self._map_size)
        return self._hottest(anomaly_map), anomaly_map

    def positive(self, image_score: Tensor) -> Tensor:
        """See `Detector.positive`: the deviance itself instead of its log."""
        return image_score.exp()

    def _hottest(self, log_map: Tensor) -> Tensor:
        """Log of the mean over the hottest cells, (n,), of a map (n, height, width) in log units, border ignored."""
        inner = log_map[:, IGNORED_BORDER:-IGNORED_BORDER, IGNORED_BORDER:-IGNORED_BORDER]
        height, width = self._map_size
        count = math.ceil((height - 2 * IGNORED_BORDER) * (width - 2 * IGNORED_BORDER) * HOTTEST_SHARE)
        return inner.flatten(1).topk(count, dim=1).values.exp().mean(dim=1).log()

    def _deviance(self, tap: str, x: Tensor) -> Tensor:
        """(n, rows, columns)."""
        whitened, _ = self.whitenings[tap](x)
        z, log_det = self.flows[tap](whitened)
        deviance: Tensor = (z.square().sum(dim=-1) - 2 * log_det) / STREAM_DIM
        return deviance


def _orthogonal_projection(channels: int, dim: int, generator: torch.Generator) -> nn.Conv2d:
    basis, _ = torch.linalg.qr(torch.randn(channels, dim, generator=generator, dtype=torch.float64))
    projection = nn.Conv2d(channels, dim, kernel_size=1, bias=False)
    projection.requires_grad_(requires_grad=False)
    with torch.no_grad():
        projection.weight.copy_(basis.T[:, :, None, None])
    return projection
