"""Another engine, or other limits, between two parts: both are warm, and TriggerReady does not fall.

    loaded and warm beside the active one ─► installed: parts that have begun stay with the one before
    ─► all of those have their results ─► the one before is closed

What needs an empty line (camera features, the way to the ejectors, another recipe) waits for it, as does a computer
without the memory for two engines.
"""

from __future__ import annotations

import time

from station.codes import OfflineReason
from station.configuration.load import LoadedConfiguration
from station.daemon import assembly
from station.daemon.candidate.memory import too_little_memory
from station.daemon.candidate.warm import WarmEngines
from station.line.ejection.setup import tracking_settings
from station.line.inspection.inspector import Inspector
from station.line.inspection.stage import InspectionStage
from station.line.signalling.stage import Signalling
from station.results import Identity

LOOK_S = 0.005
LONGEST_S = 60.0
"""No part is open for as long: each has a deadline."""


def why_not_between_parts(
    old: LoadedConfiguration,
    new: LoadedConfiguration,
    why: OfflineReason,
    engine: str,
    warm: WarmEngines | None = None,
) -> str:
    """Why the line must be empty for this change; empty: it fits between two parts.

    `engine`: the active one. `warm`: engines that are loaded, of which one that is asked for needs no memory.
    """
    if not engine or new.engine_path is None:
        return "there is no engine to go on with meanwhile"
    if why is not OfflineReason.CHANGING_ENGINE or _recipe(old) != _recipe(new):
        return "the recipe is another one"
    names = old.settings.cameras
    if any(assembly.camera_settings(old, name) != assembly.camera_settings(new, name) for name in names):
        return "camera features change"
    if tracking_settings(old) != tracking_settings(new):
        return "the way to the ejectors changes"
    path = new.engine_path.resolve()
    return too_little_memory(path) if warm is None else warm.no_room_for(path, new.settings.engine)


def install_between_parts(
    inspection: InspectionStage, signalling: Signalling, inspector: Inspector, identity: Identity
) -> None:
    """Installs it, and closes the one before once its last part has a result. Raises queue.Full, queue.Empty."""
    last = inspection.install_between_parts(inspector, identity)
    end = time.monotonic() + LONGEST_S
    while 0 < signalling.snapshot().oldest_open <= last and time.monotonic() < end:
        time.sleep(LOOK_S)
    inspection.retire()


def _recipe(configuration: LoadedConfiguration) -> tuple[str, int]:
    recipe = configuration.settings.recipe
    return (recipe.name, recipe.number)
