"""The old way to the backbone, for callers that have not moved to `engines.detectors.backbones`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from engines.detectors.backbones import load_backbone, package_file
from engines.detectors.backbones.base import Backbone
from engines.detectors.backbones.lite import INPUT_MULTIPLE

__all__ = ["INPUT_MULTIPLE", "load_lite0", "weights_file", "weights_sha256"]


def load_lite0(taps: Sequence[str]) -> Backbone:
    """The extractor with the ImageNet weights of the installed package."""
    return load_backbone("lite0", taps)


def weights_file() -> Path:
    """The file of the installed weights package."""
    return package_file("lite0")


def weights_sha256() -> str:
    """Hash of the weights, part of the key of cached features."""
    return hashlib.sha256(weights_file().read_bytes()).hexdigest()
