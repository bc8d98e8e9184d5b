"""The models, each readable next to its paper."""

from __future__ import annotations

from collections.abc import Callable

from engines.detectors.base import Detector
from engines.detectors.spatial import SpatialDetector
from engines.manifest import InputSpec

DETECTORS: dict[str, Callable[[InputSpec], Detector]] = {"spatial": SpatialDetector}
"""A new detector is one module and one entry."""
