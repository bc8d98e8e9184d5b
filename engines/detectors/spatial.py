"""The default detector: a normalizing flow with a likelihood at every location of feature maps.

Three streams of a frozen trunk, one finer (texture, small defects) and two coarse ones (structure), are projected,
averaged with their neighbours [4] and whitened in closed form per location (`whitening`, after [1]), then pass a few
couplings [2] that all locations share, as in [3]. With z, log_det of the couplings at a location, the deviance per
dimension

    e = (|z|^2 - 2 log_det) / dim

is twice the negative log-likelihood, without the terms that are the same for every image. It is near 1 on good parts.
The map is the mean over the streams of log e: a geometric mean, so no stream drowns the others. The image score is the
log of the mean of the hottest cells. What was tried and measured: docs/decisions/0005-spatial-detector.md. Labelled
defects may add to the map, see `known_defects`.

References:
    [1] T. Defard, A. Setkov, A. Loesch, R. Audigier, "PaDiM: a patch distribution modeling framework for anomaly
        detection and localization", ICPR Workshops 2021.
    [2] L. Dinh, J. Sohl-Dickstein, S. Bengio, "Density estimation using Real NVP", ICLR 2017.
    [3] D. Gudovskiy, S. Ishizaka, K. Kozuka, "CFLOW-AD: real-time unsupervised anomaly detection with localization via
        conditional normalizing flows", WACV 2022.
    [4] K. Roth, L. Pemula, J. Zepeda, B. Schölkopf, T. Brox, P. Gehler, "Towards total recall in industrial anomaly
        detection", CVPR 2022: a patch is described by the mean of its 3 x 3 neighbourhood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.bundle.manifest import InputSpec, MapScore
from engines.detectors.backbones.base import BackboneError
from engines.detectors.backbones.loading import DEFAULT_BACKBONE, load_backbone
from engines.detectors.base import Detector, Features, TrainDefaults
from engines.detectors.detail import DetailedMap
from engines.detectors.flow import Flow
from engines.detectors.prior import deviance
from engines.detectors.projection import orthogonal_projection
from engines.detectors.sums import LocationSums, Sums, added
from engines.detectors.whitening import LocationWhitening
from engines.detectors.without_torch import DETAIL


@dataclass(frozen=True)
class Stream:
    """One feature map that is scored."""

    tap: str
    stride: int
    dim: int
    """Dimensions kept by a random orthogonal projection; at most the channels of the tap."""


LITE_STREAMS = (Stream("e8", 16, 64), Stream("b14", 32, 160), Stream("b15", 32, 160))
FILE_DIMS = {False: 160, True: 64}
"""Of a backbone from a file, for its coarsest maps and for its finer ones."""
MAP_STRIDE = 16
NEIGHBOURHOOD = 3
"""Locations, each way: their mean shifts less with texture and position of the part than one location does."""
HOTTEST_SHARE = 0.02
DETAIL_TAP = "b4"
"""Of a Lite trunk, stride 8; see `detail`. A backbone from a file has none."""
MIN_DEVIANCE = 0.05
PROJECTION_SEED = 20260


class SpatialDetector(Detector):
    """Flow over feature maps, one likelihood per location.

    Args:
        spec: model input.
        backbone: see `load_backbone`. All maps of a file are streams, those finer than `MAP_STRIDE` averaged to it.
        couplings: per stream; 0 leaves the Gaussian.
        hidden: width of the couplings' subnets.

    Raises:
        BackboneError: the backbone cannot be loaded or does not take this input.
    """

    features_version = 3
    has_sums = True
    default_training = TrainDefaults(steps=60, learning_rate=2e-3, weight_decay=1e-4)
    map_score = MapScore(hottest_share=HOTTEST_SHARE, log=True)

    def __init__(
        self, spec: InputSpec, backbone: str = DEFAULT_BACKBONE, *, couplings: int = 2, hidden: int = 96
    ) -> None:
        super().__init__()
        self.backbone = load_backbone(backbone, (DETAIL_TAP, *(stream.tap for stream in LITE_STREAMS)))
        self.backbone.check_input(spec.height, spec.width)
        self.streams = _streams(self.backbone.channels, self.backbone.strides)
        self.couplings, self.hidden = couplings, hidden
        self._map_size = spec.height // MAP_STRIDE, spec.width // MAP_STRIDE
        self.projections = nn.ModuleDict()
        self.whitenings = nn.ModuleDict()
        self.flows = nn.ModuleDict()
        generator = torch.Generator().manual_seed(PROJECTION_SEED)
        for stream in self.streams:
            channels = self.backbone.channels[stream.tap]
            self.projections[stream.tap] = orthogonal_projection(channels, stream.dim, generator)
            rows, columns = spec.height // stream.stride, spec.width // stream.stride
            self.whitenings[stream.tap] = LocationWhitening(rows, columns, stream.dim)
        self.detail: DetailedMap | None = None
        if self.streams == LITE_STREAMS:
            self.detail = DetailedMap(*self._map_size, self.backbone.channels[DETAIL_TAP])
        self.reset_flows(0)

    @property
    def map_size(self) -> tuple[int, int]:
        """See `Detector.map_size`."""
        return self._map_size

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """See `Detector.features`: tap -> (n, rows, columns, dim)."""
        taps = self.backbone(images.permute(0, 3, 1, 2).float())
        found = {}
        for stream in self.streams:
            value = taps[stream.tap]
            finer = stream.stride // self.backbone.strides[stream.tap]
            if finer > 1:
                value = functional.avg_pool2d(value, kernel_size=finer, stride=finer)
            projected = self.projections[stream.tap](value)
            averaged = functional.avg_pool2d(
                projected, NEIGHBOURHOOD, stride=1, padding=NEIGHBOURHOOD // 2, count_include_pad=False
            )
            found[stream.tap] = averaged.permute(0, 2, 3, 1)
        if self.detail is not None:
            found[DETAIL] = taps[DETAIL_TAP].permute(0, 2, 3, 1)
        return found

    def reset_flows(self, seed: int) -> None:
        """Couplings back to the identity."""
        for index, stream in enumerate(self.streams):
            flow = Flow(stream.dim, couplings=self.couplings, hidden=self.hidden, seed=seed + index)
            self.flows[stream.tap] = flow

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        """See `Detector.initialise`."""
        if self.in_sums:
            sums = self.sums(features, weights)
            if self.earlier is not None:
                sums = added(self.earlier, sums)
            self.initialise_from(sums if self.prior is None else self.prior.joined(sums))
            return
        for stream in self.streams:
            whitening = self.whitenings[stream.tap]
            assert isinstance(whitening, LocationWhitening)
            whitening.fit(features[stream.tap], _at_stride(weights, stream))
        self.reset_flows(0)

    def sums(self, features: Features, weights: Tensor | None = None) -> Sums:
        """See `Detector.sums`."""
        return {
            stream.tap: LocationSums.of(features[stream.tap], _at_stride(weights, stream)) for stream in self.streams
        }

    def deviances(self, sums: Sums, features: Features, weights: Tensor | None = None) -> dict[str, float]:
        """See `Detector.deviances`."""
        return {
            stream.tap: deviance(sums[stream.tap], features[stream.tap], _at_stride(weights, stream))
            for stream in self.streams
        }

    def initialise_from(self, sums: Sums) -> None:
        """See `Detector.initialise_from`."""
        for stream in self.streams:
            whitening = self.whitenings[stream.tap]
            assert isinstance(whitening, LocationWhitening)
            whitening.fit_sums(sums[stream.tap])
        self.reset_flows(0)

    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        """See `Detector.loss`: half the deviance, mean over streams and locations."""
        losses = []
        for stream in self.streams:
            deviance = self._deviance(stream, self._whitened(stream, features[stream.tap]))
            share = _at_stride(weights, stream)
            losses.append(deviance.mean() if share is None else (deviance * share).sum() / share.sum().clamp_min(1.0))
        return torch.stack(losses).mean() / 2

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        """See `Detector.score`."""
        has_head = self.suspects is not None or self.known_defects is not None
        return self._scored(features, with_cells=has_head)[:2]

    def score_with_cells(self, features: Features) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `Detector.score_with_cells`."""
        return self._scored(features, with_cells=True)

    def _scored(self, features: Features, *, with_cells: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        whitened = [self._whitened(stream, features[stream.tap]) for stream in self.streams]
        logs = []
        for stream, z in zip(self.streams, whitened, strict=True):
            log_deviance = self._deviance(stream, z).clamp_min(MIN_DEVIANCE).log()
            logs.append(self._on_map(log_deviance.unsqueeze(-1), stream)[..., 0])
        # The reshape changes nothing; it writes the size into the exported graph.
        anomaly_map = torch.stack(logs).mean(dim=0).reshape(-1, *self._map_size)
        cells = self._cells(whitened) if with_cells else None
        for head in (self.known_defects, self.suspects):
            if head is not None:
                anomaly_map = head(anomaly_map, cells)
        return self.hottest(anomaly_map), anomaly_map, cells

    def cells(self, features: Features) -> Tensor:
        """See `Detector.cells`: those of all streams, coarse ones interpolated."""
        return self._cells([self._whitened(stream, features[stream.tap]) for stream in self.streams])

    @property
    def map_detail(self) -> Literal[1, 2]:
        """See `Detector.map_detail`."""
        return 1 if self.detail is None else 2

    def fit_detail(self, features: Features, weights: Tensor | None = None) -> None:
        """See `Detector.fit_detail`."""
        if self.detail is not None:
            self.detail.fit(features[DETAIL], weights, None if self.earlier is None else self.earlier.get(DETAIL))

    def layers(self, anomaly_map: Tensor, features: Features) -> Tensor:
        """See `Detector.layers`."""
        if self.detail is None:
            return anomaly_map
        layers: Tensor = self.detail(anomaly_map, features[DETAIL])
        return layers

    def positive(self, image_score: Tensor) -> Tensor:
        """See `Detector.positive`: the deviance itself instead of its log."""
        return image_score.exp()

    def _whitened(self, stream: Stream, x: Tensor) -> Tensor:
        z: Tensor = self.whitenings[stream.tap](x)[0]
        return z

    def _cells(self, whitened: Sequence[Tensor]) -> Tensor:
        on_map = [self._on_map(z, stream) for stream, z in zip(self.streams, whitened, strict=True)]
        return torch.cat(on_map, dim=-1).reshape(-1, *self._map_size, sum(stream.dim for stream in self.streams))

    def _on_map(self, values: Tensor, stream: Stream) -> Tensor:
        """(n, rows, columns, dim) of a stream at the size of the map."""
        if stream.stride == MAP_STRIDE:
            return values
        channels = values.permute(0, 3, 1, 2)
        resized = functional.interpolate(channels, size=self._map_size, mode="bilinear", align_corners=False)
        return resized.permute(0, 2, 3, 1)

    def _deviance(self, stream: Stream, z: Tensor) -> Tensor:
        """(n, rows, columns), of whitened features."""
        flow = self.flows[stream.tap]
        assert isinstance(flow, Flow)
        deviance: Tensor
        # A graph that is being traced cannot ask what its weights are.
        if torch.is_grad_enabled() or torch.onnx.is_in_onnx_export() or flow.has_learned:
            z, log_det = flow(z)
            deviance = (z.square().sum(dim=-1) - 2 * log_det) / stream.dim
        else:  # refinement learns in closed form, many times
            deviance = z.square().sum(dim=-1) / stream.dim
        return deviance


def _streams(channels: dict[str, int], strides: dict[str, int]) -> tuple[Stream, ...]:
    """The streams of a Lite trunk, or those of a backbone from a file: all it has, fine ones averaged to the map."""
    if all(stream.tap in channels for stream in LITE_STREAMS):
        return LITE_STREAMS
    coarsest = max(strides.values())
    if coarsest % MAP_STRIDE and MAP_STRIDE % coarsest:
        raise BackboneError(f"feature maps of stride {coarsest} do not fit a map of stride {MAP_STRIDE}")
    found = []
    for tap, stride in strides.items():
        scored_stride = max(stride, MAP_STRIDE)
        finer = scored_stride < coarsest
        found.append(Stream(tap, scored_stride, min(channels[tap], FILE_DIMS[finer])))
    return tuple(found)


def _at_stride(weights: Tensor | None, stream: Stream) -> Tensor | None:
    """Weights of map cells for the locations of a stream: a coarse location counts if nothing in it looks defective."""
    if weights is None or stream.stride == MAP_STRIDE:
        return weights
    size = stream.stride // MAP_STRIDE
    return 1 - functional.max_pool2d(1 - weights.float().unsqueeze(1), kernel_size=size, stride=size)[:, 0]
