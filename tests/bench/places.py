"""Where the repository lies, and where the image sets do."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATASETS = Path(os.environ.get("STATION_DATASETS", ROOT.parent / "shared" / "datasets"))


def missing_set(path: Path) -> str:
    """Reason for skipping a test whose image set is not on this machine."""
    return f"no image set {path}: set STATION_DATASETS"
