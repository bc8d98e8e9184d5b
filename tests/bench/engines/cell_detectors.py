"""Small detectors for tests of training: features are maps of a few numbers, and nothing is frozen or loaded."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.bundle.manifest import MapScore
from engines.detectors.backbones.base import Backbone
from engines.detectors.base import Detector, Features, TrainDefaults
from engines.detectors.prior import deviance
from engines.detectors.sums import LocationSums, Sums, added
from engines.detectors.whitening import LocationWhitening
from engines.training.images.features import CachedFeatures
from engines.training.refinement.records import Indices

ROWS, COLUMNS, DIM = 4, 6, 3
CELL_PX = (64, 42)
"""(height, width) of a cell of an input of 256 x 256 px."""


class NoBackbone(Backbone):
    """Passes the image on."""

    def __init__(self) -> None:
        super().__init__(key="none", channels={"image": DIM}, strides={"image": 1}, input_multiple=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"image": image}


class CellDetector(Detector):
    """A Gaussian at every cell, then a shift that training learns; the score is that of the worst cell."""

    has_sums: ClassVar[bool] = True
    default_training = TrainDefaults(steps=30, learning_rate=0.1, weight_decay=0.0, images_per_step=20)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = NoBackbone()
        self.whitening = LocationWhitening(ROWS, COLUMNS, DIM)
        self.shift = nn.Parameter(torch.zeros(DIM))
        self.learned_counts: list[int] = []
        """Images of each closed form."""

    @property
    def map_size(self) -> tuple[int, int]:
        return ROWS, COLUMNS

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Mean colours."""
        image = self.backbone(images.permute(0, 3, 1, 2).float())["image"]
        means = nn.functional.avg_pool2d(image, kernel_size=CELL_PX)[:, :, :ROWS, :COLUMNS]
        return {"cells": means.permute(0, 2, 3, 1)}

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        self.learned_counts.append(len(features["cells"]))
        sums = self.sums(features, weights)
        sums = sums if self.earlier is None else added(self.earlier, sums)
        self.initialise_from(sums if self.prior is None else self.prior.joined(sums))

    def sums(self, features: Features, weights: Tensor | None = None) -> Sums:
        return {"cells": LocationSums.of(features["cells"], weights)}

    def deviances(self, sums: Sums, features: Features, weights: Tensor | None = None) -> dict[str, float]:
        return {"cells": deviance(sums["cells"], features["cells"], weights)}

    def initialise_from(self, sums: Sums) -> None:
        self.whitening.fit_sums(sums["cells"])
        with torch.no_grad():
            self.shift.zero_()

    def _deviance(self, features: Features) -> Tensor:
        z, _ = self.whitening(features["cells"])
        deviance: Tensor = (z - self.shift).square().mean(dim=-1)
        return deviance

    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        share = torch.ones(len(features["cells"]), ROWS, COLUMNS) if weights is None else weights.float()
        return (self._deviance(features) * share).sum() / share.sum().clamp_min(1.0) / 2

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        anomaly_map = self._deviance(features).clamp_min(1e-6).log().reshape(-1, ROWS, COLUMNS)
        return anomaly_map.flatten(1).amax(dim=1), anomaly_map

    def positive(self, image_score: Tensor) -> Tensor:
        return image_score.exp()


class ShiftDetector(CellDetector):
    """Without a closed form: the shift is all there is to learn."""

    has_closed_form: ClassVar[bool] = False
    has_sums: ClassVar[bool] = False

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        self.learned_counts.append(len(features["cells"]))
        with torch.no_grad():
            self.shift.zero_()


class OffCentreDetector(CellDetector):
    """Whose closed form is off, so that training earns its place."""

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        super().initialise(features, weights)
        self.whitening.mean = self.whitening.mean - 3.0


class NearestDetector(CellDetector):
    """Remembers every image: one that it has seen scores 0, any other does not."""

    has_sums: ClassVar[bool] = False
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.shift.requires_grad = False

    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        self.seen = features["cells"]

    def _deviance(self, features: Features) -> Tensor:
        difference = features["cells"].unsqueeze(1) - self.seen.unsqueeze(0)
        return (
            difference.square().sum(dim=-1).flatten(2).sum(dim=-1).amin(dim=1)[:, None, None].expand(-1, ROWS, COLUMNS)
        )

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        anomaly_map = self._deviance(features)
        return anomaly_map[:, 0, 0], anomaly_map


def cells(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Features of `count` good parts, (count, ROWS, COLUMNS, DIM)."""
    rng = np.random.default_rng(seed)
    return (10 * rng.normal(size=(ROWS, COLUMNS, DIM)) + rng.normal(size=(count, ROWS, COLUMNS, DIM))).astype(
        np.float32
    )


def dirty_cells(count: int, dirty: Indices, seed: int = 0) -> CachedFeatures:
    """As cached: good parts, and at `dirty` parts with a large defect in one cell."""
    values = cells(count, seed)
    rows, columns = np.random.default_rng(seed + 1).integers(0, (ROWS, COLUMNS), (len(dirty), 2)).T
    values[dirty, rows, columns] += 30
    return cached(values)


def cached(values: NDArray[np.float32]) -> CachedFeatures:
    """As the feature cache gives them."""
    return {"cells": values.astype(np.float16)}


class WhitenedCellDetector(CellDetector):
    """Takes a head for known defects; the score is that of the worst cell of the map."""

    map_score: ClassVar[MapScore | None] = MapScore(hottest_share=1 / (ROWS * COLUMNS))

    def cells(self, features: Features) -> Tensor:
        z: Tensor = self.whitening(features["cells"])[0]
        return z

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        _, anomaly_map = super().score(features)
        for head in (self.known_defects, self.suspects):
            if head is not None:
                anomaly_map = head(anomaly_map, self.cells(features))
        return anomaly_map.flatten(1).amax(dim=1), anomaly_map


def weakly_defective_cells(good: int, defective: int, further: int, *, strength: float = 4.0) -> NDArray[np.float32]:
    """Features of good parts, of parts with a cell that is off, all in one direction, and of good ones again."""
    values = cells(good + defective + further)
    rows, columns = np.random.default_rng(1).integers(0, (ROWS, COLUMNS), (defective, 2)).T
    values[np.arange(good, good + defective), rows, columns, 0] += strength
    return values
