"""From a data set to features of all its images: computed once per detector, used by every run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engines.detectors import DETECTORS
from engines.detectors.base import Detector
from engines.detectors.features import weights_sha256
from engines.manifest import InputSpec
from engines.preprocess import Placement, place
from engines.training.cache import CachedFeatures, cached_features
from engines.training.dataset import Dataset, ImageFile, choose_input
from engines.training.dataset import _inspect as inspect_image
from engines.training.evaluation.layouts import LabelledSet


@dataclass(frozen=True)
class InspectedSet:
    """A data set all of whose images can be read."""

    labels: LabelledSet
    files: tuple[ImageFile, ...]
    """In the order of `labels.samples`."""

    @cached_property
    def sha256(self) -> str:
        """Hash over all images, masks and what they are said to be."""
        digest = hashlib.sha256(self.labels.name.encode())
        for sample, file in zip(self.labels.samples, self.files, strict=True):
            digest.update(f"{file.path.name} {file.sha256} {sample.defect}\n".encode())
            if sample.mask is not None:
                digest.update(sample.mask.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Prepared:
    """What every run on a data set with a detector needs."""

    detector: Detector
    features: CachedFeatures
    spec: InputSpec
    placements: tuple[Placement, ...]
    features_s: float


def inspect_set(labels: LabelledSet, on_image: Callable[[], None]) -> InspectedSet:
    """Read every image once. Raises DatasetError when one cannot be read."""
    files = []
    for sample in labels.samples:
        files.append(inspect_image(sample.path))
        on_image()
    return InspectedSet(labels, tuple(files))


def prepare(
    data: InspectedSet, detector_name: str, backbone: str, cache: Path, on_progress: Callable[[int, int], None]
) -> Prepared:
    """Choose the input from the good training images, as teaching does, and compute or find the features of all."""
    started = time.monotonic()
    good = data.files[: len(data.labels.train_good)]
    spec = choose_input([(file.width, file.height) for file in good])
    detector = DETECTORS[detector_name](spec)
    detector.eval()
    features = cached_features(
        detector,
        Dataset(data.labels.folder, data.files),
        spec,
        detector_key=f"{detector_name} {backbone} {weights_sha256()}",
        folder=cache,
        on_progress=on_progress,
    )
    placements = tuple(place(file.width, file.height, spec) for file in data.files)
    return Prepared(detector, features, spec, placements, time.monotonic() - started)
