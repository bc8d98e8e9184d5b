"""The versions of the product's engine store, as pages show them. The folders are read anew each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.bundle.kinds import kinds_in_words
from engines.bundle.known_defects import said_of, suspects_in_words
from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_manifest
from engines.bundle.reviews import counted
from engines.errors import EngineError, StoreError
from engines.store import history
from engines.store.gate import ARE_DEFECTS, FINDS_LITTLE, question
from engines.store.history import Action, Event
from engines.store.versions import ID_DIGITS, Version, active_version, all_versions

HISTORY_FILE = "history.jsonl"


@dataclass(frozen=True, slots=True)
class Row:
    """A version; without a manifest it cannot be used, and `problem` says why."""

    version: Version
    manifest: Manifest | None
    problem: str
    is_active: bool

    @property
    def name(self) -> str:
        return self.version.name


@dataclass(frozen=True, slots=True)
class Store:
    """What is in the store now."""

    path: Path
    rows: Sequence[Row]
    """Newest first."""
    events: Sequence[Event]
    """Newest first."""
    problem: str
    """What is wrong with the link to the active one; empty: nothing."""

    @property
    def active(self) -> Row | None:
        """The active version; None: there is none."""
        return next((row for row in self.rows if row.is_active), None)

    @property
    def before(self) -> Row | None:
        """The version that a roll back leads to; None: there is none."""
        active = self.active
        known = {row.name: row for row in self.rows}
        for name in reversed(history.activations(list(reversed(self.events)))):
            if (active is None or name != active.name) and name in known:
                return known[name]
        return None

    def find(self, name: str) -> Row | None:
        """The version of this name; None: it is not in the store."""
        return next((row for row in self.rows if row.name == name), None)

    def of(self, version: Row) -> Sequence[Event]:
        """What was done with a version, newest first."""
        return [event for event in self.events if version.name in (event.before, event.after)]

    def added(self, version: Row) -> str:
        """Why it came into the store."""
        return next((e.why for e in reversed(self.events) if e.action is Action.ADD and e.after == version.name), "")

    def activated(self, version: Row) -> Event | None:
        """When it became the active one the last time."""
        return next((e for e in self.events if e.action in history.CHANGES and e.after == version.name), None)


def store_at(path: Path) -> Store:
    """Raises StoreError: the folder cannot be read."""
    problem, active = "", None
    try:
        active = active_version(path)
    except StoreError as found:
        problem = str(found)
    try:
        events = history.read(path / HISTORY_FILE)
    except OSError as found:
        raise StoreError(f'"{path / HISTORY_FILE}" cannot be read: {found.strerror}') from found
    rows = [_row(version, active) for version in reversed(all_versions(path))]
    return Store(path, rows, tuple(reversed(events)), problem)


def _row(version: Version, active: Version | None) -> Row:
    try:
        manifest = read_manifest(version.path)
    except EngineError as problem:
        return Row(version, None, str(problem), version == active)
    if version.id_start != manifest.engine_id[:ID_DIGITS]:
        return Row(version, None, "its files are those of another engine: restore it", version == active)
    return Row(version, manifest, "", version == active)


def open_question(row: Row, events: Sequence[Event]) -> str:
    """What a person has to be asked before this version is activated, and was not answered before; empty: nothing."""
    manifest = row.manifest
    if manifest is None:
        return ""
    said = " ".join(event.why for event in events if event.after == row.name)
    sees = manifest.detection is not None and manifest.detection.finds_next_to_nothing and FINDS_LITTLE not in said
    asks = manifest.possible_variants is not None and manifest.possible_variants.answer is None
    asks = asks and ARE_DEFECTS not in said
    return question(manifest, row.version.path) if sees or asks else ""


def asks_for_variants(row: Row) -> bool:
    """Whether images that look alike and were not learned have to be decided about."""
    found = row.manifest.possible_variants if row.manifest is not None else None
    return found is not None and found.answer is None


def needs_reason(row: Row) -> bool:
    """Whether this engine finds next to nothing, so that it needs a written reason."""
    found = row.manifest.detection if row.manifest is not None else None
    return found is not None and found.finds_next_to_nothing


def facts_of(manifest: Manifest) -> list[tuple[str, str]]:
    """What the manifest says beside promise and detection: (English name, value)."""
    taught, limits = manifest.training, manifest.calibration
    facts = [
        ("Id", manifest.engine_id),
        ("Made", manifest.created),
        ("Detector", f"{manifest.detector}, {manifest.input.width} x {manifest.input.height} px"),
        ("Taught from", f"{taught.image_count} ({taught.removed_count})"),
        ("Limits", f"{limits.review_score:.4g} / {limits.reject_score:.4g}"),
    ]
    if manifest.suspects is not None:
        facts.append(("Suspects", suspects_in_words(manifest.suspects)))
    if manifest.known_defects is not None:
        facts.append(("Known defects", said_of(manifest.known_defects)))
    if manifest.kinds is not None:
        facts.append(("Kinds of defect", kinds_in_words(manifest.kinds)))
    if manifest.reviews is not None:
        facts.append(("Counted", counted(manifest.reviews)))
    facts += [(f"Graph {name}", entry.parity.summary()) for name, entry in manifest.variants.items()]
    return facts
