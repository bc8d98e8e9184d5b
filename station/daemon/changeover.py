"""Changeover: another recipe, engine or configuration while the station runs.

    another recipe, camera features, no memory for two engines:
    TriggerReady falls ─► the new engine is loaded, checked and warm ─► parts in flight have their results
    ─► no part before an ejector, which gets its settings ─► camera features ─► kept for a restart
    ─► active, TriggerReady

    else, another engine or other limits:
    the new engine is loaded, checked and warm ─► installed between two parts, TriggerReady stands (`between_parts`)

Whatever fails is undone in reverse, the old recipe stays active; log, audit log and `station status` show the refusal.
After a kill at any moment the next start has either the old recipe or the new one.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from drivers.camera.protocol import CameraError
from drivers.camera.settings import CameraSettings
from engines.errors import EngineError, PlanUnusable, StoreError
from engines.store.gate import OpenQuestion
from engines.store.store import EngineStore
from engines.store.versions import is_there
from station import noted
from station.codes import OfflineReason, WarningCode
from station.configuration import load as config
from station.configuration.load import ConfigurationError, LoadedConfiguration, changed_for_restart
from station.configuration.selection import (
    SelectedRecipe,
    SelectionError,
    write_selection,
)
from station.daemon import assembly
from station.daemon.candidate.between_parts import install_between_parts, why_not_between_parts
from station.daemon.candidate.shadowing import Shadowing
from station.daemon.candidate.warm import WarmEngines
from station.daemon.change_record import (
    ChangeRefused,
    Made,
    OneChange,
    WantedEngine,
    check_features,
    differences,
    identity,
    keep_files,
    recipe_of,
    select_as_before,
    selected,
    switched,
)
from station.daemon.missing_plan import MissingPlan
from station.daemon.set_up.settings_file import SettingsFile
from station.jobs.engine_check import check_engine
from station.jobs.engine_questions import check_answered
from station.line.acquisition.cameras import Cameras
from station.line.challenge.messages import ChallengeConfigured
from station.line.ejection.change import BeltNotEmpty, change_tracking, change_tracking_back
from station.line.ejection.setup import tracking_settings
from station.line.ejection.stage import EjectionStage
from station.line.inspection.inspector import Inspector
from station.line.inspection.limits import LimitsError
from station.line.inspection.loading import load_inspector, open_scorer
from station.line.inspection.stage import InspectionStage
from station.line.recording.stage import Recorder
from station.line.signalling.messages import Changing, IdentityChanged, Warn
from station.line.signalling.stage import Signalling
from station.monitoring.stage import Monitoring
from station.records.audit import AuditEntry

log = structlog.get_logger()
LIMIT_S = 60.0
"""Time limit of a change; callers time out shortly after."""
CAMERA_TIMEOUT_S = 30.0
RECORDS_TIMEOUT_S = 5.0

_REFUSALS = (
    BeltNotEmpty,
    CameraError,
    ConfigurationError,
    EngineError,
    LimitsError,
    SelectionError,
    queue.Empty,
    queue.Full,
)


class Changeover:
    """Owns the active configuration and makes one change at a time, on the thread of whoever asks for it: one of the
    control socket, that of the PLC's commands, or that of a job which has made an engine.
    """

    def __init__(
        self,
        configuration: LoadedConfiguration,
        session: str,
        *,
        signalling: Signalling,
        inspection: InspectionStage,
        cameras: Cameras,
        recorder: Recorder,
        ejection: EjectionStage | None = None,
        monitoring: Monitoring | None = None,
        shadowing: Shadowing | None = None,
        warm: WarmEngines | None = None,
    ) -> None:
        """`ejection`: where the station pushes parts off itself. `monitoring`: learns what each engine promised.

        `shadowing`: follows what is active. `warm`: keeps engines loaded; None: each change loads its own.
        """
        self.configuration = configuration
        """The active one; nobody else keeps it."""
        self.runtime = ""
        """What runs the engine, and why; empty: there is none."""
        self.missing_plan = MissingPlan(signalling.post, self._take_built_engine)
        self.changes = OneChange(recorder, _REFUSALS, lambda: self.missing_plan.building.is_under_way)
        self._session = session
        self._signalling = signalling
        self._inspection = inspection
        self._cameras = cameras
        self._recorder = recorder
        self._ejection = ejection
        self._monitoring = monitoring
        self._shadowing = shadowing
        self.warm = warm
        self._pace: Callable[[], None] = (lambda: None) if warm is None else warm.pace
        self._frame_shapes: dict[str, tuple[int, ...]] = {}

    def started(self, frame_shapes: dict[str, tuple[int, ...]]) -> None:
        """All cameras stream, in these shapes; the engine may be installed. Raises EngineError, LimitsError."""
        missing: PlanUnusable | None = None
        self._frame_shapes = frame_shapes
        try:
            inspector = self._load(self.configuration, frame_shapes)
            if inspector is not None:
                self._install(inspector)
                self._shadow_beside(inspector)
        except PlanUnusable as problem:
            missing = problem
        except OpenQuestion as problem:  # off line, no engine: the reply comes by a reload
            self.changes.refuse("station", "engine", str(self.configuration.engine_path), str(problem))
        finally:
            self.changes.started()  # also with an engine that is refused: `station reload` tries another one
        if missing is not None:
            self._without_plan(missing)
        keep_files(self._recorder, self.configuration)
        entry = AuditEntry("station", "start", "", recipe_of(self.configuration), "done", self.configuration.warning)
        self._recorder.audit(entry)
        if self.configuration.warning:
            self._recorder.event("recipe_not_known", "warning", self.configuration.warning)
            self._signalling.post(Warn(WarningCode.RECIPE_NOT_KNOWN, True))

    def select_recipe(self, recipe: str | int, who: str, *, without_engine: bool = False) -> None:
        """Another recipe, by name or number; `without_engine`: one that is still to be taught, too.

        Raises ChangeRefused.
        """

        def change() -> Made:
            old = self.configuration
            new = config.with_recipe(old, recipe)
            if not without_engine and (new.engine_path is None or not is_there(new.engine_path)):
                raise ChangeRefused(f"engine {new.engine_path} is not there; to teach it: select --without-engine")
            engines = self._exchange(new, OfflineReason.CHANGING_RECIPE, who)
            return Made(recipe_of(new), differences(old, new, engines))

        self.changes.make(change, who, "recipe", str(recipe), before=recipe_of(self.configuration))

    def reload(self, who: str) -> None:
        """station.toml and the file of the recipe, as they are now. Raises ChangeRefused."""

        def change() -> Made:
            old = self.configuration
            self._pace()
            new = config.load(old.path, old.recipe.name if old.recipe else None)
            if needs_restart := changed_for_restart(old.settings, new.settings):
                raise ChangeRefused(f"these changes need a restart: {', '.join(needs_restart)}")
            if self.engine_id and (new.engine_path is None or not is_there(new.engine_path)):
                raise ChangeRefused(
                    f"engine {new.engine_path} is not there; a reload takes no engine away: station engine list"
                )
            engines = self._exchange(new, OfflineReason.CHANGING_ENGINE, who)
            return Made(new.checksum[:8], differences(old, new, engines))

        self.changes.make(change, who, "configuration", "reload", before=self.configuration.checksum[:8])

    def save_settings(self, file: SettingsFile, who: str) -> None:
        """Another content of station.toml or of the recipe: taken up, then written. Raises ChangeRefused."""

        def change() -> Made:
            old = self.configuration
            new = file.checked(old)
            engines = self._exchange(new, OfflineReason.CHANGING_ENGINE, who, keep=lambda: file.write(old))
            return Made(file.checksum[:8], f"{file.why}: {differences(old, new, engines)}")

        self.changes.make(change, who, "settings", file.kind, before=file.based_on(self.configuration)[:8])

    def activate_engine(self, wanted: WantedEngine, who: str) -> None:
        """Another version of the engine store, which remembers it. Raises ChangeRefused."""

        def change() -> Made:
            configuration = self.configuration
            folder = configuration.engine_store
            pinned = configuration.settings.engine.version
            if folder is None:
                raise ChangeRefused("the engine is a plain folder; slots need [engine] store")
            if pinned is not None:
                raise ChangeRefused(f"the recipe says [engine] version = {pinned}")
            store = EngineStore(folder, check=check_engine, trust=configuration.trust, who=who)
            activated = switched(store, wanted, who, configuration.records_dir)
            try:
                engines = self._exchange(configuration, OfflineReason.CHANGING_ENGINE, who)
            except BaseException as problem:
                with contextlib.suppress(StoreError):
                    store.refuse(activated, why=f"the station refused: {problem}")
                raise
            signed = f", signed by key {activated.signed_by}" if activated.signed_by else ""
            why = f": {wanted.why}" if wanted.why else ""
            return Made(engines[1], f"version {activated.before or 'none'} -> {activated.after}{signed}{why}")

        self.changes.make(change, who, "engine", str(wanted), before=self.engine_id)

    def take_taught_engine(self, engine: Path) -> None:
        """Takes up the first engine of a station that waits for one; a station with an engine keeps it."""

        def change() -> Made:
            return Made(self._exchange(self.configuration, OfflineReason.CHANGING_ENGINE, "station")[1])

        if self.configuration.engine_path != engine or self.engine_id:
            return
        try:
            self.changes.make(change, "station", "engine", str(engine), before="")
        except ChangeRefused as refused:
            if not isinstance(refused.__cause__, PlanUnusable):
                raise
            self._without_plan(refused.__cause__)

    def _take_built_engine(self, engine: Path, problem: str) -> str:
        """On the building thread: takes up the engine with its plan, or, with `auto`, on the processor because of
        `problem`. Returns why it cannot; empty also when the station has another engine by now.
        """

        def change() -> Made:
            if self.configuration.engine_path != engine:
                raise ChangeRefused("the station has another engine by now")
            instead = problem if self.configuration.settings.engine.runtime == "auto" else ""
            if problem and not instead:
                raise ChangeRefused(problem)
            return Made(self._exchange(self.configuration, OfflineReason.BUILDING_PLAN, "station", instead)[1])

        try:
            self.changes.make(change, "station", "plan", str(engine), before="", wait_s=2 * LIMIT_S)
        except ChangeRefused as refused:
            return str(refused) if self.configuration.engine_path == engine else ""
        return ""

    def _without_plan(self, problem: PlanUnusable) -> None:
        self.missing_plan.begin(problem, self.configuration.engine_path, self.configuration.settings.engine)

    # ---- one change ---------------------------------------------------------------------------------------------

    def _exchange(
        self,
        new: LoadedConfiguration,
        why: OfflineReason,
        who: str,
        instead: str = "",
        keep: Callable[[], Callable[[], None]] | None = None,
    ) -> tuple[str, str]:
        """The change itself; raises with everything undone. Returns the ids of the engines before and after.

        `instead`: see `load_inspector`. `keep`: writes what a restart reads, and returns what puts the old back.
        """
        old = self.configuration
        engine_before = self.engine_id
        give_up_s = time.monotonic() + LIMIT_S
        empties = why_not_between_parts(old, new, why, engine_before, self.warm)
        check_features(old, new)
        with contextlib.ExitStack() as undo:
            if empties:
                undo.callback(self._signalling.post, Changing(None))
                self._signalling.post(Changing(why))
            inspector = self._load(new, self._frame_shapes, instead)
            if inspector is not None:
                undo.callback(inspector.scorer.close)
            if empties:
                self._empty_line(old, new, undo, give_up_s)
            if time.monotonic() > give_up_s:
                raise ChangeRefused(f"not ready after {LIMIT_S:g} s; see: station check")
            self.changes.check()  # from here on it is written down: a stop does not call it off any more
            if keep is not None:
                undo.callback(keep())
            elif new.recipe != old.recipe:
                undo.callback(select_as_before, new.work_dir, selected(new.work_dir))
                self._keep_for_restart(new, who)
                self._signalling.post(Warn(WarningCode.RECIPE_NOT_KNOWN, False))
            if inspector is not None and not empties:
                self._learn_promise(inspector)
                self._pace()
                install_between_parts(self._inspection, self._signalling, inspector, identity(self._session, new))
                self._installed(inspector)
            else:
                undo.callback(self._signalling.post, IdentityChanged(identity(self._session, old)))
                self._signalling.post(IdentityChanged(identity(self._session, new)))
                self._install(inspector)  # ends `Changing`
            undo.pop_all()
        how = noted.TRIGGER_READY_FELL(why=empties) if empties else noted.BETWEEN_PARTS()
        self._recorder.event("exchanged", "info", how)
        self.configuration = new
        self._pace()
        recipe_changed = new.recipe != old.recipe and why is OfflineReason.CHANGING_RECIPE
        self._signalling.post(ChallengeConfigured(assembly.challenge_settings(new), recipe_changed))
        keep_files(self._recorder, new)
        self._shadow_beside(inspector)
        return engine_before, "" if inspector is None else inspector.engine_id[:12]

    def _empty_line(
        self, old: LoadedConfiguration, new: LoadedConfiguration, undo: contextlib.ExitStack, give_up_s: float
    ) -> None:
        """No part is on its way; ejectors and cameras are set as `new` says, or back by `undo`."""
        names = list(old.settings.cameras)
        before = {name: assembly.camera_settings(old, name) for name in names}
        after = {name: assembly.camera_settings(new, name) for name in names}
        self._wait_until_drained()
        if self._ejection is not None:
            undo.callback(change_tracking_back, self._ejection, tracking_settings(old))
            change_tracking(self._ejection, tracking_settings(new), give_up_s, self.changes.check)
        for name in [name for name in names if before[name] != after[name]]:
            undo.callback(self._set_camera_back, name, before[name])
            self._set_camera(name, after[name])

    def _load(
        self, configuration: LoadedConfiguration, shapes: dict[str, tuple[int, ...]], instead: str = ""
    ) -> Inspector | None:
        self._pace()
        check_answered(configuration)
        path, settings = configuration.engine_path, configuration.settings
        opens = open_scorer if self.warm is None else self.warm.scorer
        found = load_inspector(path, settings, shapes, trust=configuration.trust, instead=instead, opens=opens)
        return assembly.with_class_numbers(found, configuration)

    def _install(self, inspector: Inspector | None) -> None:
        if inspector is not None:
            self._learn_promise(inspector)
        self._inspection.install(inspector)
        self._installed(inspector)

    def _learn_promise(self, inspector: Inspector) -> None:
        if self._monitoring is not None:
            self._monitoring.engine_is(inspector.engine_id, *inspector.promised)

    def _installed(self, inspector: Inspector | None) -> None:
        self.runtime = "" if inspector is None else inspector.runtime
        log.info("engine active", engine=inspector.engine_id[:12] if inspector else "none", runtime=self.runtime)

    def _shadow_beside(self, inspector: Inspector | None) -> None:
        if self._shadowing is not None:
            engine_id = "" if inspector is None else inspector.engine_id
            self._shadowing.engine_is(self.configuration, self._frame_shapes, engine_id)

    def _set_camera(self, name: str, settings: CameraSettings) -> None:
        shape = self._cameras[name].configure(settings, CAMERA_TIMEOUT_S).shape
        if shape != self._frame_shapes[name]:
            raise ChangeRefused(
                f'camera "{name}" would deliver frames of {shape}, the station runs with {self._frame_shapes[name]}: '
                "a recipe cannot change their size"
            )

    def _wait_until_drained(self) -> None:
        settings = self.configuration.settings
        end = time.monotonic() + max(settings.station.deadline_ms, settings.lead_camera.no_frame_ms) / 1000 + 1.0
        while not self._signalling.snapshot().drained:
            self.changes.check()
            if time.monotonic() > end:
                raise ChangeRefused("parts in flight did not finish in time; try again, see: station status")
            time.sleep(0.005)

    def _set_camera_back(self, name: str, settings: CameraSettings) -> None:
        try:
            self._cameras[name].configure(settings, CAMERA_TIMEOUT_S)
        except CameraError as problem:  # down or failed then, which the station shows
            log.error("the camera could not be set back", problem=str(problem))

    def _keep_for_restart(self, new: LoadedConfiguration, who: str) -> None:
        self._recorder.flush(RECORDS_TIMEOUT_S)  # what its journal holds is of a recipe that a restart could not know
        if new.recipe is not None:
            write_selection(new.work_dir, SelectedRecipe(recipe=new.recipe.name, who=who, wall_time=time.time()))

    @property
    def engine_id(self) -> str:
        """The first digits of the engine in use; empty: none."""
        return self._signalling.snapshot().engine_id[:12]
