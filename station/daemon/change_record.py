"""What a change leaves on record: every value that is different, the engine with its reason, and the files.

What is said of a change that is not made, and which version of the store is wanted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from engines.bundle.manifest import VariantsAnswer
from engines.errors import StoreError
from engines.store.gate import Said
from engines.store.history import CHANGES
from engines.store.store import Change, EngineStore
from engines.text_file import text_of
from station.configuration.cameras import CameraFeatures
from station.configuration.load import LoadedConfiguration, changed_values
from station.line.recording.stage import Recorder
from station.records.configurations import KeptFile

MOST_CHANGES = 20
"""In one entry of the audit log."""


class ChangeRefused(Exception):
    """The change was not made; everything is as it was."""


@dataclass(frozen=True, slots=True)
class Made:
    """A change that was made, for the audit log."""

    after: str
    """What is active now."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WantedEngine:
    """A version of the engine store that is to be active, and what the person who wants it says to its questions."""

    version: str | None
    """Number, name, start of the id; None: back to the one that was active before."""
    why: str = ""
    variants: VariantsAnswer | None = None

    def __str__(self) -> str:
        return "the one before" if self.version is None else self.version


def switched(store: EngineStore, wanted: WantedEngine, who: str) -> Change:
    """Makes the wanted version the active one of the store, verified. Raises EngineError; nothing has changed then."""
    why = wanted.why or f"asked by {who}"
    if wanted.version is None:
        return store.rollback(why=why)
    return store.activate(store.find(wanted.version), why=why, said=Said(wanted.variants, wanted.why))


def differences(old: LoadedConfiguration, new: LoadedConfiguration, engines: tuple[str, str]) -> str:
    """Every value that has changed, and the engine with the reason that its store has for it.

    `engines`: ids before and after; empty: none.
    """
    changes = changed_values(old.settings, new.settings)
    if engines[0] != engines[1]:
        changes.append(f"engine {engines[0] or 'none'} -> {engines[1] or 'none'}{_why_of_store(new)}")
    shown = changes[:MOST_CHANGES]
    if len(changes) > len(shown):
        compare = f"station config diff {old.checksum[:8]} {new.checksum[:8]}"
        shown.append(f"and {len(changes) - len(shown)} more: {compare}")
    return "; ".join(shown)


def keep_files(recorder: Recorder, configuration: LoadedConfiguration) -> None:
    """Has what the checksums in the rows of parts stand for kept on record."""
    now = time.time()
    station = configuration.settings.station.name
    recorder.keep(KeptFile(configuration.checksum, "configuration", station, now, text_of(configuration.raw)))
    if (recipe := configuration.recipe) is not None:
        recorder.keep(KeptFile(recipe.checksum, "recipe", recipe.name, now, text_of(recipe.raw)))


def _why_of_store(configuration: LoadedConfiguration) -> str:
    folder = configuration.engine_store
    if folder is None or configuration.settings.engine.version is not None:
        return ""
    try:
        last = [event for event in EngineStore(folder).events() if event.action in CHANGES][-1:]
    except StoreError:
        return ""  # the engine is active; only the reason for it cannot be read
    return "".join(
        f" ({event.action.value} by {event.who}: {event.why or 'no reason given'}"
        + (f"; signed by key {event.signed_by})" if event.signed_by else ")")
        for event in last
    )


def check_features(before: LoadedConfiguration, after: LoadedConfiguration) -> None:
    """Refuses recipes that do not name the same camera features: what one sets would stay with the other."""
    for name, camera in before.settings.cameras.items():
        odd = _named_features(camera) ^ _named_features(after.settings.cameras[name])
        if odd:
            raise ChangeRefused(
                f"camera features {', '.join(sorted(odd))} of {name}: set by one of the two recipes only, so it would "
                "stay as it is; set it in both, or in station.toml"
            )


def _named_features(settings: CameraFeatures) -> set[str]:
    named = set(settings.features)
    if settings.exposure_time_us is not None:
        named.add("ExposureTime")
    if settings.gain_db is not None:
        named.add("Gain")
    return named
