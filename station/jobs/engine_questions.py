"""What a person has to be asked before the configured engine is used: also of one that no store has asked about.

A store asks when a version is activated. An engine that the configuration names, by `path` or by `version`, is never
activated; so whoever loads it asks here, and the configuration holds the reply: [engine] variants, why.
"""

from __future__ import annotations

from engines.bundle.reading import read_manifest
from engines.errors import StoreError
from engines.store import history
from engines.store.gate import OpenQuestion, Said, answered, question
from engines.store.store import HISTORY_FILE
from engines.store.versions import find_version, is_there
from station.configuration.load import LoadedConfiguration

HOW = (
    "; or answer for it where it is named, in [engine] of the configuration or the recipe: "
    'variants = "remove", why = "the reason"'
)


def open_question(configuration: LoadedConfiguration) -> str:
    """What is still to be answered of the engine that would be loaded; empty: nothing, or there is no engine yet.

    Raises EngineError: the engine cannot be read.
    """
    engine, store = configuration.settings.engine, configuration.engine_store
    said = Said(engine.variants, engine.why)
    if store is not None and engine.version is None:
        return ""  # the store has asked
    path = configuration.engine_path
    if path is None or not is_there(path):
        return ""
    manifest = read_manifest(path)
    if store is None or engine.version is None:
        asked = question(manifest, path, said)
        return asked + HOW if asked else ""
    version = find_version(store, str(engine.version))
    try:
        events = history.read(store / HISTORY_FILE)
    except OSError as problem:
        raise StoreError(f'"{store / HISTORY_FILE}" cannot be read: {problem.strerror}') from problem
    try:
        answered(manifest, events, version, said)
    except OpenQuestion as asked_for:
        return f"{asked_for}{HOW}"
    return ""


def check_answered(configuration: LoadedConfiguration) -> None:
    """Raises OpenQuestion: a person has to answer first. Raises EngineError: the engine cannot be read."""
    if asked := open_question(configuration):
        raise OpenQuestion(asked)
