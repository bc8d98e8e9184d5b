"""The limits that an engine was calibrated to, and what it learned of pictures: they hold where nothing else is set."""

from __future__ import annotations

from engines.bundle.picture_bands import PictureBand
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


def taught_pictures(active: LoadedConfiguration, camera: str) -> PictureBand | None:
    """What good pictures of a camera look like; None: the engine does not know, or it is not to be checked."""
    if not active.settings.quality_on(camera).as_taught:
        return None
    try:
        folder = active.engine_path
        bands = None if folder is None else read_manifest(folder).picture_bands
    except EngineError:
        return None
    return None if bands is None else bands.of(camera)
