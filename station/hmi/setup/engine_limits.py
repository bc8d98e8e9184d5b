"""The limits that an engine was calibrated to: they hold where the configuration sets none."""

from __future__ import annotations

from engines.bundle.reading import read_manifest
from engines.errors import EngineError
from engines.scale import LIMIT
from station.configuration.load import LoadedConfiguration


def review_limit(active: LoadedConfiguration, reject: float = LIMIT) -> float | None:
    """Where REVIEW begins, on the scale of people, at this reject limit; None: the engine cannot be read."""
    try:
        folder = active.engine_path
        if folder is None:
            return None
        calibration = read_manifest(folder).calibration
    except EngineError:
        return None
    return min(calibration.scale.shown(calibration.review_score), reject)
