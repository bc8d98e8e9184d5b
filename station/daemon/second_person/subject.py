"""What a request is about, if it needs two people: in words, frozen to what it meant, and what it is based on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from engines.bundle.reading import read_manifest
from engines.errors import EngineError, StoreError
from engines.store.gate import Said, answered
from engines.store.store import EngineStore, manifest_of
from station.configuration import load as config
from station.configuration.load import (
    NOT_THERE,
    ConfigurationError,
    LoadedConfiguration,
    changed_for_restart,
    values_changed,
)
from station.control import ControlError
from station.daemon.set_up.settings_file import SettingsFile
from station.reports.candidate.gate import gate, with_override

ENGINE, LIMITS, QUARANTINE = "engine", "limits", "quarantine"
MOST_LETTERS = 20_000
"""Of `what`; a change with more values is made in several steps, each of which somebody can read."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Of one request."""

    rule: str
    what: str
    why: str
    message: Mapping[str, Any]
    """The request with what it meant: `latest` is a version by now."""
    base: Mapping[str, str]
    also: tuple[str, ...] = ()
    """Other rules that it falls under."""

    def needs(self, rules: Collection[str]) -> bool:
        """Whether one of these rules holds for it."""
        return not {self.rule, *self.also}.isdisjoint(rules)


def subject_of(request: Mapping[str, Any], active: LoadedConfiguration, engine_id: str) -> Subject | None:
    """What it is about; None: it needs nobody else, or changes nothing. `engine_id`: first digits of the one in use.

    Raises ControlError: it would be refused anyway. Nothing is asked of a second person that cannot be done.
    """
    try:
        match request.get("command"), request.get("action"):
            case "engine", ("activate" | "rollback") as action:
                return _engine(request, action, active, engine_id)
            case "settings", _:
                return _settings(request, active)
            case "reload", _:
                return _reload(request, active, engine_id)
            case "quarantine", "release":
                return _release(request)
    except (ConfigurationError, EngineError) as problem:
        raise ControlError(f"refused, everything stays as it was: {problem}") from problem
    return None


def _engine(request: Mapping[str, Any], action: str, active: LoadedConfiguration, engine_id: str) -> Subject | None:
    folder = active.engine_store
    if folder is None or active.settings.engine.version is not None:
        return None  # refused by the handler, which says why
    store = EngineStore(folder, trust=active.trust)
    why, variants = str(request.get("why") or "").strip(), request.get("variants")
    before = store.active()
    if action == "activate":
        version = store.find(str(request.get("version")))
        manifest = manifest_of(version)
        answered(manifest, store.events(), version, Said(variants, why))
        if version != before:
            with_override(gate(active.records_dir, None if before is None else before.path, version.path), why)
        message = {**request, "version": version.name}
        what = f"activate engine {version.name}"
    else:
        earlier = store.earlier()
        if earlier is None:
            raise StoreError(f'store "{folder}": no version was active before this one; see: station engine list')
        version, manifest, message = earlier, manifest_of(earlier), dict(request)
        what = f"go back to engine {version.name}"
    what += f" of product {folder.name}; active now: {'none' if before is None else before.name}"
    if variants:
        what += f"; images that look alike: {variants}"
    base = {
        "product": str(folder),
        "active version": "none" if before is None else before.name,
        "engine in use": engine_id,
        "version": f"{version.name} {manifest.engine_id}",
        **_files(active),
    }
    return Subject(ENGINE, what, why, message, base)


def _settings(request: Mapping[str, Any], active: LoadedConfiguration) -> Subject:
    file = SettingsFile.of(request)
    new = file.checked(active)
    what = f"save {file.kind}: {_in_words(active, new) or 'only the text of the file'}"
    also = () if new.engine_path == active.engine_path else (ENGINE,)
    return Subject(LIMITS, _short_enough(what), file.why, request, _files(active), also)


def _reload(request: Mapping[str, Any], active: LoadedConfiguration, engine_id: str) -> Subject | None:
    new = config.load(active.path, active.recipe.name if active.recipe else None)
    if needs_restart := changed_for_restart(active.settings, new.settings):
        raise ControlError(
            "refused, everything stays as it was: these changes need a restart: " + ", ".join(needs_restart)
        )
    differs = (new.checksum, new.recipe_checksum) != (active.checksum, active.recipe_checksum)
    taken = "" if new.engine_path is None else read_manifest(new.engine_path).engine_id
    other_engine = (bool(taken) and taken[: len(engine_id)] != engine_id) or bool(taken) != bool(engine_id)
    if not differs and not other_engine:
        return None
    said = [_in_words(active, new) or "only the text of the file"] if differs else []
    if other_engine:
        said.append(f"engine {engine_id or 'none'} -> {taken[:12] or 'none'}")
    base = {**_files(active), "engine in use": engine_id, "engine": taken, "new": new.checksum + new.recipe_checksum}
    rules = ([LIMITS] if differs else []) + ([ENGINE] if other_engine else [])
    what = _short_enough(f"take up the files as they are: {'; '.join(said)}")
    return Subject(rules[0], what, "", request, base, tuple(rules[1:]))


def _release(request: Mapping[str, Any]) -> Subject:
    part, why = request.get("part_id"), str(request.get("why") or "").strip()
    return Subject(QUARANTINE, f"let part {part} out of the quarantine", why, request, {})


def _files(active: LoadedConfiguration) -> dict[str, str]:
    return {"configuration": active.checksum, "recipe": active.recipe_checksum}


def _in_words(old: LoadedConfiguration, new: LoadedConfiguration) -> str:
    """Every value whole: what is cut short nobody has confirmed."""
    return "; ".join(
        f"[{'.'.join(one.path[:-1])}] {one.path[-1]}: {_value(one.old)} -> {_value(one.new)}"
        for one in values_changed(old.settings, new.settings)
    )


def _value(value: object) -> str:
    return "not there" if value is NOT_THERE else json.dumps(value)


def _short_enough(what: str) -> str:
    if len(what) > MOST_LETTERS:
        raise ControlError(f"more changes than a second person can read ({len(what)} letters): make them in steps")
    return what
