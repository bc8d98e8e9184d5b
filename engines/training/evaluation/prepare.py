"""From a data set to features of all its images: computed once per detector, used by every run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec
from engines.detectors.base import Detector
from engines.detectors.catalogue import MEASURED
from engines.errors import PartNotLocated
from engines.location.location import Location
from engines.location.pose import TurnedPlacement, turned_placement
from engines.preprocess import Placement, place
from engines.training.evaluation.layouts import LabelledSet
from engines.training.evaluation.source import files_sha256
from engines.training.images.dataset import Dataset, ImageFile, inspect_image, read_image
from engines.training.images.features import CachedFeatures, cached_features
from engines.training.location.locate import locate


@dataclass(frozen=True)
class LocatedSet:
    """A data set all of whose images can be read, and how a model sees them."""

    labels: LabelledSet
    files: tuple[ImageFile, ...]
    """In the order of `labels.samples`."""
    location: Location
    spec: InputSpec
    placements: tuple[Placement | TurnedPlacement | None, ...]
    """Of every image; None: the part was not found, on the line that is a case for review."""
    description: str
    """How the part is found, in words."""

    @cached_property
    def sha256(self) -> str:
        """Hash over all images, masks and what they are said to be."""
        digest = hashlib.sha256(self.labels.name.encode())
        for sample, file in zip(self.labels.samples, self.files, strict=True):
            digest.update(f"{file.path.name} {file.sha256} {sample.defect}\n".encode())
            if sample.mask is not None:
                digest.update(sample.mask.read_bytes())
        return digest.hexdigest()

    @property
    def is_located(self) -> NDArray[np.bool_]:
        """For every image."""
        return np.array([placement is not None for placement in self.placements])


@dataclass(frozen=True)
class Prepared:
    """What every run on a data set with a detector needs."""

    detector: Detector
    features: CachedFeatures
    """Of the images in which the part was found, in their order."""
    features_s: float


def open_images(labels: LabelledSet, on_image: Callable[[], None]) -> LocatedSet:
    """Read every image, choose from the good training images how the part is found and what the model sees, as teaching
    does, and find the part in all images.

    Raises:
        TrainingError: an image cannot be read, or the part is found in too few of them.
    """
    files = []
    for sample in labels.samples:
        files.append(inspect_image(sample.path))
        on_image()
    located = locate(Dataset(labels.folder, tuple(files[: len(labels.train_good)])))
    placements = tuple(_placement(file, located.location, located.input) for file in files)
    return LocatedSet(labels, tuple(files), located.location, located.input, placements, located.description)


def prepare(
    data: LocatedSet, detector_name: str, backbone: str, cache: Path, on_progress: Callable[[int, int], None]
) -> Prepared:
    """Compute or find the features of all images. Raises TrainingError when that is not possible."""
    started = time.monotonic()
    detector = MEASURED[detector_name](data.spec, backbone)
    detector.eval()
    found = tuple(file for file, there in zip(data.files, data.is_located, strict=True) if there)
    # Features of another version of the source must not be taken for those of this one.
    source = files_sha256("detectors/**/*.py", "location/*.py", "preprocess.py")
    features = cached_features(
        detector,
        Dataset(data.labels.folder, found),
        data.spec,
        detector_key=f"{detector_name} {detector.backbone.key} {source}",
        folder=cache,
        on_progress=on_progress,
        location=data.location,
    )
    return Prepared(detector, features, time.monotonic() - started)


def _placement(file: ImageFile, location: Location, spec: InputSpec) -> Placement | TurnedPlacement | None:
    if location.spec.method == "none":
        return place(file.width, file.height, spec)
    image = read_image(file.path)
    try:
        pose = location.locate(image)
    except PartNotLocated:
        return None
    return place(file.width, file.height, spec) if pose is None else turned_placement(image, pose, spec)
