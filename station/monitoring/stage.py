"""The monitoring thread: takes the numbers of each part after its verdict, and says what has changed.

Nothing waits for it. Where it falls behind, parts are left out and counted; where it fails, the log says so, a warning
stands and the line goes on: watching never decides about a part.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import structlog

from station.codes import DRIFT_WARNINGS, WarningCode
from station.line.signalling.messages import Warn
from station.monitoring import memory
from station.monitoring.diagnosis import Finding, in_words
from station.monitoring.labelled import UNREADABLE, newest_id, read_labelled
from station.monitoring.masters import Masters
from station.monitoring.seen import SeenMaster, SeenPart, master_of, seen_of
from station.monitoring.simple_alarms import SimpleAlarms
from station.monitoring.watch import Promise, Watch, WatchSettings, promise_of
from station.records.challenges import ChallengeRow
from station.records.events import RecordEvent
from station.results import InspectionRecord

log = structlog.get_logger()

MAX_WAITING = 4096
KEEP_S = 30.0
"""Between two writes of what is kept."""
MAX_WATCHES = 32
"""Recipes with their engines; the one that was not seen for longest goes."""
_WAIT_S = 0.5
_STATUS_S = 0.5
"""Between two statuses: nobody reads them faster, and each takes a fifth of a millisecond."""
_NOTHING_YET: dict[str, Any] = {
    "state": "learning", "learned": 0.0, "drift": False, "standing": [], "left_out": 0, "streams": [],
}  # fmt: skip
_UNKNOWN_PROMISE = Promise(0.01, 0.1)


@dataclass(frozen=True, slots=True)
class MonitoringSettings:
    """Where the memory lies, and what is normal."""

    file: Path
    watch: WatchSettings
    rejects_in_a_row: int
    records: Path | None = None
    """With labels beside it; None: nobody labels."""


@dataclass(frozen=True, slots=True)
class _LearnAgain:
    done: threading.Event


@dataclass(frozen=True, slots=True)
class _EngineIs:
    engine_id: str
    promise: Promise


@dataclass(frozen=True, slots=True)
class _Virtual:
    recipe: str
    engine_id: str
    found: tuple[bool, ...]


_Message: TypeAlias = _Virtual | SeenPart | SeenMaster | ChallengeRow | _LearnAgain | _EngineIs


class Companion(Protocol):
    """Looks at the station beside the line every now and then."""

    @property
    def status(self) -> dict[str, Any]: ...
    def start(self) -> None: ...
    def stop(self, timeout_s: float) -> bool: ...


class Monitoring:
    """Owns the watches and the simple alarms, on its thread, and the companions that it starts and stops."""

    def __init__(self, settings: MonitoringSettings, post: Callable[[Warn], None], event: RecordEvent) -> None:
        self._settings = settings
        self._post = post
        self._event = event
        self._inbox: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._promises: dict[str, Promise] = {}
        self._watches: OrderedDict[str, Watch] = OrderedDict()
        self._alarms = SimpleAlarms(settings.rejects_in_a_row)
        self._masters = Masters()
        self._label_id: int | None = None
        """The newest label that was looked at; None: those made before are not looked at."""
        self._shown: dict[WarningCode, str] = {}
        self._left_out = 0
        self._current = ""
        self._status: dict[str, Any] = dict(_NOTHING_YET)
        self._status_at = 0.0
        self.companions: dict[str, Companion] = {}
        """By the name of their status; given before the start."""
        self._thread = threading.Thread(target=self._run, name="monitoring")

    def start(self) -> None:
        """Takes up what was kept, and starts the thread."""
        self._thread.start()
        for companion in self.companions.values():
            companion.start()

    def engine_is(self, engine_id: str, rejected: float, doubted: float, held_out: tuple[float, ...] = ()) -> None:
        """What this engine promised of good parts, see `Promise`."""
        self._inbox.put(_EngineIs(engine_id, Promise(rejected, doubted, held_out)))

    def challenge(self, row: ChallengeRow) -> None:
        """A challenge test has gone on: says which part a master part was."""
        self._inbox.put(row)

    def virtual(self, recipe: str, engine_id: str, found: Sequence[bool]) -> None:
        """A virtual challenge was made with this engine: whether each defect was found. Any thread may call it."""
        self._inbox.put(_Virtual(recipe, engine_id, tuple(found)))

    def record(self, record: InspectionRecord) -> None:
        """A part has its result. Called on the signalling thread: takes numbers out of it and returns."""
        if self._inbox.qsize() >= MAX_WAITING:
            self._left_out += 1
            return
        part = master_of(record) if record.part.challenge else seen_of(record)
        if part is not None:
            self._inbox.put(part)

    def learn_again(self, timeout_s: float) -> bool:
        """What comes now is normal for the engine and recipe that run; False: the thread did not take it in time."""
        message = _LearnAgain(threading.Event())
        self._inbox.put(message)
        return message.done.wait(timeout_s)

    @property
    def status(self) -> dict[str, Any]:
        """For people and scripts."""
        return self._status

    def status_beside(self, name: str) -> dict[str, Any]:
        """Of a companion, by its name; state off: there is none."""
        return self.companions[name].status if name in self.companions else {"state": "off"}

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, timeout_s: float) -> bool:
        """Writes what is kept and ends the thread; False when that took too long."""
        until = time.monotonic() + timeout_s
        ended = [each.stop(max(0.1, until - time.monotonic())) for each in self.companions.values()]
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return all(ended) and not self._thread.is_alive()

    # ---- on the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._take_up()
            self._turn()
        except Exception as problem:
            self._post(Warn(WarningCode.NOT_WATCHED, True))
            self._event("monitoring_failed", "error", f"nothing watches for drift: {type(problem).__name__}: {problem}")
            log.exception("monitoring failed: nothing watches for drift until a restart")

    def _turn(self) -> None:
        keep_at = time.monotonic() + KEEP_S
        while True:
            with contextlib.suppress(queue.Empty):
                if not self._take(self._inbox.get(timeout=_WAIT_S)):
                    self._look_at_labels()
                    self._keep()
                    return
            if time.monotonic() >= keep_at:
                self._look_at_labels()
                self._keep()
                keep_at = time.monotonic() + KEEP_S

    def _take(self, message: _Message | None) -> bool:
        """False: it is the end."""
        match message:
            case None:
                return False
            case SeenPart():
                self._add(message)
            case SeenMaster() | ChallengeRow():
                self._add_masters(message)
            case _Virtual():
                watch = self._watch(f"{message.recipe}\n{message.engine_id}", message.engine_id)
                watch.add_virtual(message.found)
            case _EngineIs():
                self._promises[message.engine_id] = message.promise
            case _LearnAgain():
                self._learn_again()
                message.done.set()
        return True

    def _add(self, part: SeenPart) -> None:
        self._current = f"{part.recipe}\n{part.engine_id}"
        watch = self._watch(self._current, part.engine_id)
        watch.add(part)
        self._alarms.add(part)
        self._show(watch)

    def _add_masters(self, message: SeenMaster | ChallengeRow) -> None:
        """Joins scores with the names of the master parts; the run may come before its scores."""
        for test, name, score in self._masters.joined(message):
            self._current = f"{test.recipe}\n{test.engine_id}"
            watch = self._watch(self._current, test.engine_id)
            watch.add_master(name, score)
            self._show(watch)

    def _look_at_labels(self) -> None:
        """What people have said since the last look."""
        if self._settings.records is None:
            return
        try:
            if self._label_id is None:
                self._label_id = newest_id(self._settings.records)
            found, self._label_id = read_labelled(self._settings.records, self._label_id)
        except UNREADABLE as problem:
            log.warning("labels cannot be read by monitoring", problem=str(problem))
            return
        for labelled in found:
            key = f"{labelled.recipe}\n{labelled.engine_id}"
            if (watch := self._watches.get(key)) is not None:
                watch.add_labelled(labelled)
                if key == self._current:
                    self._show(watch)

    def _watch(self, key: str, engine_id: str) -> Watch:
        if key in self._watches:
            self._watches.move_to_end(key)
        else:
            self._watches[key] = Watch(self._settings.watch, self._promises.get(engine_id, _UNKNOWN_PROMISE))
            if len(self._watches) > MAX_WATCHES:
                self._watches.popitem(last=False)
        return self._watches[key]

    def _learn_again(self) -> None:
        self._alarms.reset()
        if (watch := self._watches.get(self._current)) is not None:
            watch.learn_again()
            self._show(watch)

    def _show(self, watch: Watch) -> None:
        """Posts what has come and gone, and keeps the status for whoever asks."""
        standing = {code: in_words(code, detail) for code, detail in self._alarms.standing.items()}
        finding: Finding | None = watch.finding
        if finding is not None:
            standing[finding.cause.value] = str(finding)
        for code in self._shown.keys() - standing.keys():
            self._post(Warn(code, False))
            self._event("monitoring_normal", "info", f"over: {self._shown[code]}"[:1000])
        for code in standing.keys() - self._shown.keys():
            self._post(Warn(code, True))
            self._event("monitoring_change", "warning", standing[code][:1000])
            log.warning("what the station sees has changed", what=standing[code])
        changed = standing.keys() != self._shown.keys()
        self._shown = standing
        now = time.monotonic()
        if changed or now >= self._status_at:
            self._status_at = now + _STATUS_S
            self._status = self._status_of(watch, finding)

    def _status_of(self, watch: Watch, finding: Finding | None) -> dict[str, Any]:
        learned = watch.learned
        state = "changed" if finding is not None else "watching" if learned >= 1 else "learning"
        return {
            "state": state,
            "learned": learned,
            "drift": finding is not None and finding.cause.value in DRIFT_WARNINGS,
            "standing": list(self._shown.values()),
            "left_out": self._left_out,
            "streams": [asdict(status) for status in watch.statuses],
        }

    # ---- over restarts ------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        try:
            kept = memory.read(self._settings.file)
            watches: OrderedDict[str, Watch] = OrderedDict()
            for key, of_watch in kept.get("watches", {}).items():
                watches[key] = Watch(self._settings.watch, promise_of(of_watch))
                watches[key].restore(of_watch)
            if "alarms" in kept:
                self._alarms.restore(kept["alarms"])
            self._watches = watches
            label_id = kept.get("label_id")
            self._label_id = None if label_id is None else int(label_id)
        except (OSError, ValueError, KeyError, TypeError) as problem:
            what = f'"{self._settings.file}" cannot be used, learning begins anew: {problem}'
            self._event("monitoring_begins_anew", "warning", what)
            log.warning("monitoring begins anew", problem=what)

    def _keep(self) -> None:
        watches = {key: {**watch.memory, **asdict(watch.promise)} for key, watch in self._watches.items()}
        try:
            memory.write(self._settings.file, watches, self._alarms.memory, self._label_id)
        except OSError as problem:
            log.warning("what monitoring has learned is not kept for a restart", problem=str(problem))
