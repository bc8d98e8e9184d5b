"""One change of recipe, engine or configuration at a time, and what each leaves on record, whatever becomes of it.

asked ─► another one is under way: refused, no entry
  └────► under way ─► made: "done", with every value that is different, the engine with its reason, and the files
            │   └───► refused, or it failed: "refused" with the reason
            └───────► the station stops: it is called off; one that does not end in time is entered all the same
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from engines.bundle.manifest import VariantsAnswer
from engines.errors import StoreError
from engines.store.gate import Said
from engines.store.history import CHANGES
from engines.store.store import Change, EngineStore
from engines.text_file import text_of
from station.configuration.cameras import CameraFeatures
from station.configuration.load import LoadedConfiguration, changed_values
from station.configuration.selection import SelectedRecipe, SelectionError, read_selection, restore_selection
from station.jobs.ended import Ended
from station.line.recording.stage import Recorder
from station.records.audit import AuditEntry, Result
from station.records.configurations import KeptFile
from station.reports.candidate.gate import gate, with_override
from station.results import Identity

log = structlog.get_logger()

MOST_CHANGES = 20
"""In one entry of the audit log."""
STARTING_S = 20.0
"""Longest wait for the cameras of a station that is still starting."""
NO_REPLY = "a stage of the station gave no reply in time: it is stopping, or stands still; see: station status"
STOPPING = "the station is stopping; ask again when it runs"
NOT_ENDED = "it was not over when the station stopped; the next start has what is on disk: see station status then"


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


def switched(store: EngineStore, wanted: WantedEngine, who: str, records: Path) -> Change:
    """Makes the wanted version the active one of the store, verified. Raises EngineError; nothing has changed then.

    What the gate has against it needs a reason, which is entered as an override. `records`: the folder.
    """
    why = wanted.why or f"asked by {who}"
    if wanted.version is None:
        return store.rollback(why=why)
    version, active = store.find(wanted.version), _active_or_none(store)
    if version.path != active:
        given = with_override(gate(records, active, version.path), wanted.why)
        why = given if wanted.why else f"{why}; {given}" if given else why
    return store.activate(version, why=why, said=Said(wanted.variants, wanted.why))


def _active_or_none(store: EngineStore) -> Path | None:
    """The folder of the active version; None: there is none that can be used."""
    try:
        active = store.active()
    except StoreError:
        return None
    return None if active is None else active.path


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


def selected(work_dir: Path) -> SelectedRecipe | None:
    """What a restart takes; a file that is damaged is replaced, so it is as good as none."""
    try:
        return read_selection(work_dir)
    except SelectionError:
        return None


def recipe_of(configuration: LoadedConfiguration) -> str:
    """The active recipe, for the audit log."""
    recipe = configuration.settings.recipe
    return f"{recipe.name} ({recipe.number}) {configuration.recipe_checksum[:8]}".rstrip()


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


def identity(session: str, configuration: LoadedConfiguration) -> Identity:
    """What the register map and the records show of a station with this configuration."""
    recipe = configuration.settings.recipe
    return Identity(session, recipe.name, recipe.number, configuration.checksum, configuration.recipe_checksum)


def select_as_before(work_dir: Path, before: SelectedRecipe | None) -> None:
    """A restart takes the recipe that was selected before, as the change was refused."""
    try:
        restore_selection(work_dir, before)
    except SelectionError as problem:
        log.error("a restart takes the recipe that was refused: select this one anew", problem=str(problem))


@dataclass(slots=True)
class _UnderWay:
    """The change in hand, and whether its entry has been made."""

    who: str
    action: str
    before: str
    asked: str
    is_entered: bool = False


class OneChange:
    """Owns the turn, the last refusal, and the entries of the audit log. Any thread asks; the supervisor stops."""

    def __init__(
        self,
        recorder: Recorder,
        refused: Sequence[type[Exception]],
        is_building: Callable[[], bool],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refused`: what a person can set right. `is_building`: the plan of the engine is being built."""
        self._recorder = recorder
        self._refused: tuple[type[Exception], ...] = (ChangeRefused, *refused)
        self._is_building = is_building
        self._turn = threading.Lock()
        self._entering = threading.Lock()
        self._started = threading.Event()
        self._stopping = threading.Event()
        self._under_way: _UnderWay | None = None
        self._refusal = ""
        self._refused_at = Ended(clock_s)

    @property
    def refusal(self) -> str:
        """The last change that was refused, and why; empty after the next one that was made, and after an hour."""
        return "" if self._refused_at.is_old else self._refusal

    @property
    def refused_ago_s(self) -> float | None:
        """How long ago that was; None: there is none to show."""
        return self._refused_at.ago_s if self.refusal else None

    def started(self) -> None:
        """The cameras stream: changes may be made."""
        self._started.set()

    def check(self) -> None:
        """Called by a change before each of its steps. Raises ChangeRefused when the station stops."""
        if self._stopping.is_set():
            raise ChangeRefused(STOPPING)

    def make(
        self, change: Callable[[], Made], who: str, action: str, asked: str, *, before: str, wait_s: float = 0.0
    ) -> None:
        """Makes a change and enters it. `wait_s`: for another one that is under way. Raises ChangeRefused."""
        if not self._turn.acquire(timeout=wait_s):
            raise ChangeRefused("another change is under way; try again")
        try:
            self._under_way = under_way = _UnderWay(who, action, before, asked)
            try:
                self._may_begin()
                made = change()
            except self._refused as problem:
                self._refuse(under_way, str(problem) or NO_REPLY)
                raise ChangeRefused(str(problem) or NO_REPLY) from problem
            except BaseException as problem:  # a fault of the program: the entry is made, and it goes its way
                self._refuse(under_way, f"{type(problem).__name__}: {problem}; see the log")
                raise
            self._refusal = ""
            self._refused_at.forget()
            self._enter(under_way, made.after, "done", made.detail)
        finally:
            self._under_way = None
            self._turn.release()

    def refuse(self, who: str, action: str, asked: str, why: str) -> None:
        """Enters what was refused without a change: at the start nobody asks for one."""
        self._refuse(_UnderWay(who, action, "", asked), why)

    def stop(self) -> None:
        """Calls off what is under way; whoever asks from now on is refused. Never blocks."""
        self._stopping.set()
        self._started.set()  # who waits for the cameras waits no longer

    def close(self, limit_s: float) -> bool:
        """Waits until nothing is under way any more. False: a change did not end in time; its entry says so, and what
        becomes of it is not entered any more.
        """
        self.stop()
        if self._turn.acquire(timeout=limit_s):
            self._turn.release()
            return True
        if (under_way := self._under_way) is not None:
            self._enter(under_way, under_way.asked, "refused", NOT_ENDED)
        return False

    def _may_begin(self) -> None:
        if not self._started.wait(STARTING_S):
            raise ChangeRefused("the station is still starting: its cameras do not stream yet; try again")
        self.check()
        if self._is_building():
            raise ChangeRefused("the plan of the engine is being built; wait until it is done: station status")

    def _refuse(self, under_way: _UnderWay, why: str) -> None:
        self._refusal = f"{under_way.action} {under_way.asked}, asked by {under_way.who}: {why}"
        self._refused_at.mark()
        if self._enter(under_way, under_way.asked, "refused", why):
            self._recorder.event("change_refused", "warning", self._refusal)

    def _enter(self, under_way: _UnderWay, after: str, result: Result, detail: str) -> bool:
        """Makes the entry, once. Returns whether it was made now."""
        with self._entering:
            if under_way.is_entered:
                return False
            under_way.is_entered = True
        self._recorder.audit(AuditEntry(under_way.who, under_way.action, under_way.before, after, result, detail))
        return True
