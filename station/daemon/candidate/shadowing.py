"""Which engine is in the shadow: begins and ends it, keeps it over restarts, and has what it says recorded.

    wanted ─► the active engine is another one, memory suffices ─► run ─┬─► switched off by a person
                                                                       ├─► another engine, recipe or limits: another run
                                                                       └─► fails or hangs: off, with a warning

Nothing here decides about a part. What a shadow says is a row; a part that one engine passes and the other does not
keeps its pictures, since only those are labelled.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from engines.bundle.reading import read_manifest
from engines.errors import EngineError, StoreError
from engines.store.versions import Version, active_version, find_version
from station.codes import WarningCode
from station.configuration.load import LoadedConfiguration
from station.daemon.candidate import shadow_memory
from station.daemon.candidate.memory import too_little_memory
from station.daemon.candidate.probation import INTERRUPTED, Probation, due
from station.daemon.candidate.shadow_memory import Shadowed
from station.daemon.candidate.warm import WarmEngines
from station.line.inspection.shadow import ShadowDoor, ShadowStage
from station.line.inspection.shadow_handle import ShadowOrder, ShadowSaid
from station.line.recording.stage import Recorder
from station.line.signalling.messages import Warn
from station.records.audit import AuditEntry
from station.records.engines.shadows import Purpose, ShadowRow, ShadowRun
from station.records.schema import RecordingError
from station.results import InspectionRecord, Verdict, score_of

log = structlog.get_logger()

KEEP_EVERY_S = 2.0
"""Between two updates of the row of a run."""
PICTURES_EVERY_S = 0.5
"""Between two pictures that are stored for a person: a candidate that rejects everything must not fill the disk."""


class ShadowRefused(Exception):
    """It is not put into the shadow; the message says why and what to do."""


@dataclass(slots=True)
class _Run:
    """The run of now. Written by the thread of its stage alone."""

    row: ShadowRun
    stage: ShadowStage
    path: Path
    seen: int = 0
    differ: int = 0
    kept_at: float = 0.0
    picture_at: float = 0.0


class Shadowing:
    """Owns what is wanted in the shadow and the run of now. Any thread asks; one change at a time."""

    def __init__(
        self,
        configuration: LoadedConfiguration,
        door: ShadowDoor,
        recorder: Recorder,
        post: Callable[[Warn], None],
        warm: WarmEngines,
    ) -> None:
        """`warm`: keeps what may be active next loaded in this process, too."""
        self._warm = warm
        self._file = configuration.work_dir / shadow_memory.FILE
        self._records = configuration.records_dir
        self._door = door
        self._recorder = recorder
        self._post = post
        self.probation = Probation(recorder, post)
        self.probation.ended = self._probation_ended
        self._lock = threading.RLock()
        self._wanted = shadow_memory.read(self._file)
        self._run: _Run | None = None
        self._beside: tuple[LoadedConfiguration, Mapping[str, tuple[int, ...]], str] | None = None
        self._problem = ""

    # ---- asked by people ----------------------------------------------------------------------------------------

    def begin(self, selector: str, who: str, purpose: Purpose = "shadow") -> str:
        """Puts a version into the shadow of the active engine; returns its name. Raises ShadowRefused."""
        with self._lock:
            if self._beside is None:
                raise ShadowRefused("no engine is active yet: a shadow needs one to be compared with")
            configuration = self._beside[0]
            store = configuration.engine_store
            if store is None:
                raise ShadowRefused("the engine is a plain folder; a shadow needs [engine] store")
            try:
                version = find_version(store, selector)
                if version == active_version(store):
                    raise ShadowRefused(f"{version.name} is the active engine; put another version into the shadow")
            except StoreError as problem:
                raise ShadowRefused(str(problem)) from problem
            wanted = Shadowed(str(store), version.name, purpose, who)
            run = self._new_run(wanted, version)
            self._want(wanted)
            self._end_run("another engine was put into the shadow")
            self._post(Warn(WarningCode.SHADOW_OFF, False))
            self._start(run, version)
            self._recorder.audit(AuditEntry(who, "shadow", "", version.name, "done", purpose))
            return version.name

    def end(self, who: str, why: str = "") -> None:
        """Nothing is wanted in the shadow any more. Raises ShadowRefused."""
        with self._lock:
            before = "" if self._wanted is None else self._wanted.version
            self._want(None)
            self._problem = ""
            self._end_run(why or f"switched off by {who}")
            self._post(Warn(WarningCode.SHADOW_OFF, False))
            if before:
                self._recorder.audit(AuditEntry(who, "shadow", before, "", "done", why))

    def stop(self, timeout_s: float) -> bool:
        """The station stops: the run goes on at the next start."""
        with self._lock:
            run, self._run, self._door.stage = self._run, None, None
        if run is None:
            return True
        ended = run.stage.stop(timeout_s)
        self._keep(run)
        return ended

    # ---- follows the line ---------------------------------------------------------------------------------------

    def engine_is(
        self, configuration: LoadedConfiguration, frame_shapes: Mapping[str, tuple[int, ...]], engine_id: str
    ) -> None:
        """Another engine, recipe or limits are active; empty: no engine. The shadow judges beside these from now on."""
        with self._lock:
            self._beside = (configuration, dict(frame_shapes), engine_id) if engine_id else None
            self._end_run(INTERRUPTED, unless=self._key())
            wanted = self._follow_activation(configuration, engine_id)
            if wanted is None or self._run is not None or self._beside is None:
                return
            store = configuration.engine_store
            if store is None or str(store) != wanted.store:
                return  # a recipe of another product: it waits
            try:
                version = find_version(store, wanted.version)
                run = self._new_run(wanted, version)
                if run.engine_id == engine_id:  # it was activated: it needs no shadow of itself
                    self._want(None)
                    return
            except (StoreError, ShadowRefused) as problem:
                self._failed_to_start(str(problem))
                return
            self._start(shadow_memory.run_to_go_on(self._records, run) or run, version)

    def _follow_activation(self, configuration: LoadedConfiguration, engine_id: str) -> Shadowed | None:
        """What is wanted now: the engine before, while the active one is on probation; with the lock held."""
        found = due(configuration, engine_id, self._records) if engine_id else None
        was = self._wanted
        if found is None or found.has_failed:
            self.probation.forget(has_failed=found is not None)
            if was is None or was.purpose != "probation":
                return was
            self._forget()
            return None
        try:
            self.probation.begin(found, configuration, engine_id, self._records)
            wanted = Shadowed(str(configuration.engine_store), found.before.name, "probation", "station")
            if was != wanted:
                self._end_run(f"{found.before.name} is in the shadow of {engine_id[:12]} on probation")
                self._want(wanted)
        except (EngineError, RecordingError, ShadowRefused, sqlite3.Error) as problem:
            self._recorder.event("no_probation", "warning", str(problem)[:1000])
            return was
        return wanted

    def _forget(self) -> None:
        try:
            self._want(None)
        except ShadowRefused as problem:
            log.error("the next start tries this shadow again", problem=str(problem))

    def _probation_ended(self, why: str) -> None:
        with self._lock:
            if self._run is not None and self._run.row.purpose == "probation":
                self._end_run(why)
                self._forget()

    def _key(self) -> tuple[str, str, str]:
        """What a run is beside: it ends when this changes."""
        if self._beside is None:
            return ("", "", "")
        configuration, _, engine_id = self._beside
        checksums = f"{configuration.checksum} {configuration.recipe_checksum}".strip()
        return (engine_id, configuration.settings.recipe.name, checksums)

    def _new_run(self, wanted: Shadowed, version: Version) -> ShadowRun:
        try:
            engine_id = read_manifest(version.path).engine_id
        except EngineError as problem:
            raise ShadowRefused(str(problem)) from problem
        if problem_of_memory := too_little_memory(version.path):
            raise ShadowRefused(problem_of_memory)
        active, recipe, checksums = self._key()
        now_ms = time.time_ns() // 1_000_000
        return ShadowRun(now_ms, wanted.purpose, version.name, engine_id, active, recipe, checksums, wanted.by)

    def _start(self, row: ShadowRun, version: Version) -> None:
        assert self._beside is not None
        configuration, shapes, _ = self._beside
        order = ShadowOrder(version.path, configuration.settings, shapes, configuration.trust)
        stage = ShadowStage(order, judged=self._judged, failed=self._failed)
        self._run = _Run(row, stage, version.path)
        self._problem = ""
        self._recorder.shadow(row)
        stage.start()
        self._door.stage = stage

    def _end_run(self, why: str, unless: tuple[str, str, str] | None = None) -> None:
        """With the lock held."""
        run = self._run
        if run is None:
            return
        if unless is not None and (run.row.active_engine_id, run.row.recipe, run.row.configuration) == unless:
            return
        self._run = self._door.stage = None
        self._expect(None)
        run.stage.stop()
        run.row = replace(self._counted(run), end_wall_time=time.time(), ended_why=why)
        self._recorder.shadow(run.row)

    def _want(self, wanted: Shadowed | None) -> None:
        """Raises ShadowRefused: what a restart reads cannot be written."""
        try:
            shadow_memory.write(self._file, wanted)
        except OSError as problem:
            raise ShadowRefused(f'"{self._file}" cannot be written: {problem.strerror}') from problem
        self._wanted = wanted

    # ---- on the thread of the shadow ----------------------------------------------------------------------------

    def _judged(self, record: InspectionRecord, said: ShadowSaid) -> None:
        run = self._run
        if run is None or record.engine_id != run.row.active_engine_id:
            return  # of before the change that ends this run
        part, verdict = record.part, record.decision.verdict
        differs = (said.verdict is Verdict.PASS) != (verdict is Verdict.PASS) and not part.challenge
        run.seen += 1
        if run.seen == 1:  # its own process has what memory it needs by now
            self._expect(run.path)
        run.differ += differs
        now = time.monotonic()
        if differs and verdict is Verdict.PASS and now >= run.picture_at:
            run.picture_at = now + PICTURES_EVERY_S
            self._recorder.picture(record)
        self._recorder.shadow(
            ShadowRow(
                run.row.run,
                record.session,
                part.acquisition_id,
                part.part_id,
                part.wall_time,
                part.challenge,
                verdict.name,
                score_of(record.views),
                said.verdict.name,
                said.score,
                said.reasons,
                said.took_ms,
            )
        )
        if run.row.purpose == "probation":
            self.probation.add(record, said)
        if now >= run.kept_at:
            run.kept_at = now + KEEP_EVERY_S
            self._keep(run)

    def _expect(self, path: Path | None) -> None:
        """The engine in the shadow may be the next active one, or, on probation, the one to go back to."""
        if self._beside is not None:
            self._warm.expect(path, self._beside[0].settings.engine)

    def _failed(self, stage: ShadowStage, why: str) -> None:
        threading.Thread(target=self._switch_off, args=(stage, why), name="shadow-off", daemon=True).start()

    def _switch_off(self, stage: ShadowStage, why: str) -> None:
        with self._lock:
            if self._run is None or self._run.stage is not stage:
                return
            self._end_run(f"failed: {why}")
            self._failed_to_start(why)

    def _failed_to_start(self, why: str) -> None:
        """It is off, also after a restart, until a person puts it there again."""
        version = "" if self._wanted is None else self._wanted.version
        self._problem = f"{version}: {why}"
        self._forget()
        self._post(Warn(WarningCode.SHADOW_OFF, True))
        self._recorder.event("shadow_off", "warning", self._problem[:1000])
        self._recorder.audit(AuditEntry("station", "shadow", version, "", "refused", why[:500]))

    def _counted(self, run: _Run) -> ShadowRun:
        counts = run.stage.counts
        return replace(run.row, offered=run.row.offered + counts.offered, dropped=run.row.dropped + counts.dropped)

    def _keep(self, run: _Run) -> None:
        self._recorder.shadow(self._counted(run))

    # ---- for people ---------------------------------------------------------------------------------------------

    @property
    def status(self) -> dict[str, Any]:
        """The shadow of now, for `station status` and pages."""
        return {**self._state, "probation": self.probation.status}

    @property
    def _state(self) -> dict[str, Any]:
        run, wanted = self._run, self._wanted
        if run is None:
            state = "failed" if self._problem else "off" if wanted is None else "waits"
            return {"state": state, "version": "" if wanted is None else wanted.version, "problem": self._problem}
        row = self._counted(run)
        return {
            "state": "runs" if run.stage.is_ready else "loads",
            "version": row.version,
            "purpose": row.purpose,
            "run": row.run,
            "offered": row.offered,
            "dropped": row.dropped,
            "seen_share": (row.offered - row.dropped) / row.offered if row.offered else None,
            "differ": run.differ,
            "problem": "",
        }
