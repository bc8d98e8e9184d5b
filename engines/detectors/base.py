"""What every detector is to training, calibration and export."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from engines.bundle.manifest import MapScore
from engines.detectors.backbones.base import Backbone
from engines.detectors.kinds import Kinds
from engines.detectors.known_defects import KnownDefects
from engines.detectors.prior import Prior
from engines.detectors.sums import Sums

Features = Mapping[str, Tensor]
"""Name -> what the frozen part of a detector computes of n images. Images are the first axis; the others are the
detector's own, (n, rows, columns, dim) for maps unless its `features` says otherwise."""


@dataclass(frozen=True)
class TrainDefaults:
    """How long and how fast a kind of detector learns well, when nothing else is said."""

    steps: int = 100
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    images_per_step: int | None = None
    """None: as many as give a fixed number of map cells."""


class Detector(nn.Module, ABC):
    """A frozen feature extractor and a small learned head.

    Training calls `features` once per image and keeps the result, then, for each set of images it tries:
    `initialise` (everything in closed form), Adam steps on `loss` (nothing, if no parameter wants a gradient), `score`.
    The exported graph is `forward`.

    Attributes:
        backbone: the frozen part; its `key` belongs to the key of cached features and to the record of a training.
        known_defects: what labelled images added to the map; None: nothing.
        suspects: what images that refinement left out add to that, within a bound; None: nothing.
        kinds: distinguishes kinds of labelled defects; None: no kinds were named.
    """

    default_training: ClassVar[TrainDefaults] = TrainDefaults()
    has_closed_form: ClassVar[bool] = True
    """`initialise` alone gives a detector that is worth something."""
    features_version: ClassVar[int] = 1
    """Raised when `features` computes other numbers: those that an earlier version kept in a cache are made anew."""
    map_score: ClassVar[MapScore | None] = None
    """How the image score follows from the map; None: it does not, and zones of a frame cannot be ignored."""
    has_sums: ClassVar[bool] = False
    """What it learns in closed form follows from sums over the images alone, see `engines.detectors.sums`."""
    backbone: Backbone

    def __init__(self) -> None:
        super().__init__()
        self.in_sums = True
        """Where `has_sums`: `initialise` goes through them, so that blocks may be joined and taken away. Refinement
        compares images with each other, many times, and does without.
        """
        self.earlier: Sums | None = None
        """Of images that are learned whatever `initialise` is given beside them."""
        self.prior: Prior | None = None
        """What other sites know, joined to what `initialise` learns; where `has_sums`. Refinement does without."""
        self.suspects: KnownDefects | None = None
        self.known_defects: KnownDefects | None = None
        self.kinds: Kinds | None = None

    @property
    @abstractmethod
    def map_size(self) -> tuple[int, int]:
        """(height, width) of the anomaly map, in cells."""

    @abstractmethod
    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Frozen features of (n, height, width, 3) uint8 RGB images. Depends on nothing that is learned."""

    @abstractmethod
    def initialise(self, features: Features, weights: Tensor | None = None) -> None:
        """Forget what was learned and set everything that has a closed form from these images, but for the shown map.

        Args:
            features: of the images to learn from.
            weights: (n, map_height, map_width), 0 for a cell that looks defective and must not be learned, else 1;
                None: all are good. A detector without locations uses the mean of each image.
        """

    def sums(self, features: Features, weights: Tensor | None = None) -> Sums:
        """What `initialise` takes of these images; where `has_sums`."""
        raise NotImplementedError

    def initialise_from(self, sums: Sums) -> None:
        """`initialise` from the sums of images; where `has_sums`."""
        raise NotImplementedError

    def deviances(self, sums: Sums, features: Features, weights: Tensor | None = None) -> dict[str, float]:
        """By stream, what `engines.detectors.prior.deviance` says of unseen images; where `has_sums`."""
        raise NotImplementedError

    @abstractmethod
    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood per dimension of the cells with weight, up to a constant; a scalar."""

    @abstractmethod
    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        """`image_score` (n,) and `anomaly_map` (n, map_height, map_width), higher is more anomalous."""

    def hottest(self, anomaly_map: Tensor) -> Tensor:
        """The image scores (n,) that follow from maps (n, map_height, map_width) as `map_score` says."""
        assert self.map_score is not None, "its score does not follow from its map"
        height, width = self.map_size
        count = math.ceil(height * width * self.map_score.hottest_share)
        values = anomaly_map.flatten(1).topk(count, dim=1).values
        return values.exp().mean(dim=1).log() if self.map_score.log else values.mean(dim=1)

    def cells(self, features: Features) -> Tensor | None:  # noqa: ARG002
        """Whitened features of every cell of the map, (n, map_height, map_width, dim), for a head for known defects.

        None: the detector has none, and labelled defects change nothing.
        """
        return None

    @property
    def map_detail(self) -> Literal[1, 2]:
        """See `MapSpec.detail`."""
        return 1

    def fit_detail(self, features: Features, weights: Tensor | None = None) -> None:
        """Learn what only the shown map needs, once, from images and weights as for `initialise`."""

    def layers(self, anomaly_map: Tensor, features: Features) -> Tensor:  # noqa: ARG002
        """What the graph gives for maps (n, map_height, map_width) of these features: (n, *MapSpec.shape)."""
        return anomaly_map

    def score_with_cells(self, features: Features) -> tuple[Tensor, Tensor, Tensor | None]:
        """`score` and `cells`; a detector that computes one on the way to the other does so once."""
        return (*self.score(features), self.cells(features))

    @abstractmethod
    def positive(self, image_score: Tensor) -> Tensor:
        """The image scores on a positive scale with a meaningful zero, as "lambda times the median" needs."""

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(n, height, width, 3) uint8 RGB -> `image_score`, `anomaly_map` with its layers, and `kinds` (n, kinds) where
        there are some."""
        features = self.features(image)
        if self.kinds is None:
            image_score, anomaly_map = self.score(features)
            return image_score, self.layers(anomaly_map, features)
        image_score, anomaly_map, cells = self.score_with_cells(features)
        return image_score, self.layers(anomaly_map, features), self.kinds(anomaly_map, cells)
