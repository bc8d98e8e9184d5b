"""Which detectors there are, by the name that configurations and dossiers use."""

from __future__ import annotations

from typing import Protocol

from engines.bundle.manifest import InputSpec
from engines.detectors.backbones.loading import DEFAULT_BACKBONE
from engines.detectors.base import Detector
from engines.detectors.differnet import DiffernetDetector
from engines.detectors.memory import MemoryDetector
from engines.detectors.papers.contrastive import ContrastiveDetector
from engines.detectors.papers.masked import MaskedDetector
from engines.detectors.papers.rotation import RotationDetector
from engines.detectors.spatial import SpatialDetector


class DetectorFactory(Protocol):
    """Makes an untrained detector for images of a size on a backbone, see `load_backbone`."""

    def __call__(self, spec: InputSpec, backbone: str = DEFAULT_BACKBONE) -> Detector: ...


DETECTORS: dict[str, DetectorFactory] = {
    "spatial": SpatialDetector,
    "differnet": DiffernetDetector,
    "memory": MemoryDetector,
}
"""Those that teaching offers. A new detector is one module and one entry."""

MEASURED: dict[str, DetectorFactory] = {
    **DETECTORS,
    "masked": MaskedDetector,
    "rotation": RotationDetector,
    "contrastive": ContrastiveDetector,
}
"""Those that `station evaluate` measures: with the rows of the papers that the default is held against."""
