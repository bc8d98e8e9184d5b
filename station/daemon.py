"""`station run`: builds the stages, wires them together, and answers the control socket."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import structlog

from drivers.camera.protocol import CameraError, CameraInfo
from drivers.plc.protocol import PlcError, PlcInputs
from engines.errors import EngineError
from station import assembly, config
from station.acquisition import Acquisition, AcquisitionMessage, CameraChanged, CameraState
from station.belt_memory import BeltMemory
from station.config import ConfigurationError, LoadedConfiguration
from station.control import ControlError, ControlServer
from station.database import RecordingError
from station.ejection import EjectionStage, OutputsReset
from station.ejection_records import INSERT as INSERT_EJECTION
from station.ejection_setup import ejection_stage
from station.handshake import Handshake
from station.inspection import InspectionStage
from station.journal import Journal, JournalError
from station.ledger import Ledger
from station.messages import (
    ClearFault,
    Collect,
    EngineChanging,
    Identity,
    IdentityChanged,
    Message,
    PlcWrote,
    RaiseFault,
    SetOnline,
    Snapshot,
)
from station.reasons import ERRORS, OFFLINE_REASONS, WARNINGS, OfflineReason
from station.recording import Recorder
from station.rules import RulesError
from station.signalling import Ports, Signalling
from station.status_publisher import StatusPublisher
from station.supervisor import Stages, Supervisor, stop_on_signals
from station.teach import TeachError
from station.teaching import Teaching
from station.tracking_feed import TrackingFeed

log = structlog.get_logger()

CAMERA_START_S = 20.0
GIL_SWITCH_S = 0.0005
"""A thread that wants to run waits at most so long for one that computes in Python; 5 ms is Python's default."""

BAD_INPUT = (
    CameraError,
    ConfigurationError,
    ControlError,
    EngineError,
    JournalError,
    PlcError,
    RecordingError,
    RulesError,
)
"""What a person can mend: told on standard error, exit code 2."""


class Daemon:
    """One running station."""

    def __init__(self, configuration: LoadedConfiguration) -> None:
        self._configuration = configuration
        self._frame_shape: tuple[int, ...] | None = None
        self._camera_settled: queue.SimpleQueue[CameraChanged] = queue.SimpleQueue()
        self._changing = threading.Lock()
        self._session = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
        self._closing = contextlib.ExitStack()
        self._ejection: EjectionStage | None = None

    def run(self) -> int:
        """Starts everything, watches it, stops it; returns the exit code. Raises what is listed in BAD_INPUT."""
        sys.setswitchinterval(GIL_SWITCH_S)
        settings = self._configuration.settings
        stop = stop_on_signals()
        with self._closing:
            stages = self._start()
            supervisor = Supervisor(
                stages,
                stop,
                engine_hang_s=settings.station.engine_hang_s,
                drain_timeout_s=(settings.station.deadline_ms + self._configuration.camera[1].no_frame_ms) / 1000 + 2.0,
                start_online=settings.station.start_online,
            )
            self._closing.pop_all()  # from here on the supervisor stops everything, in its order
        return supervisor.run()

    def _start(self) -> Stages:
        """Brings the stages up in the order in which they need each other. A failure closes what was opened."""
        configuration, closing = self._configuration, self._closing
        configuration.work_dir.mkdir(parents=True, exist_ok=True)
        journal = closing.enter_context(Journal(configuration.journal_path, self._session))
        recorder = Recorder(assembly.recorder_settings(configuration), self._session, on_committed=journal.commit)
        recorder.start()
        closing.callback(recorder.stop, 5.0)
        for part in journal.recover():
            recorder.record_recovered(part, recipe=configuration.settings.recipe.name)

        name, camera = configuration.camera
        teaching = Teaching(configuration.work_dir / "teaching", self._use_taught_engine)
        self._teaching = teaching
        post = self._post
        inspection = InspectionStage(post, queue_size=configuration.settings.station.max_parts_in_flight)
        link = assembly.plc_link(configuration, self._plc_wrote, post)
        acquisition = Acquisition(
            name,
            assembly.camera_settings(configuration),
            self._from_camera,
            ring_slots=camera.ring_slots,
            reconnect_min_s=camera.reconnect_min_s,
            reconnect_max_s=camera.reconnect_max_s,
        )
        publisher = StatusPublisher(link.publish)
        if configuration.settings.reject.by == "station":
            self._ejection = ejection_stage(
                configuration,
                closing.enter_context(BeltMemory(configuration.belt_path)),
                show=publisher.show_ejectors,
                set_output=lambda _camera, line, level: acquisition.set_output(line, level),
                record=lambda ejection: recorder.write(INSERT_EJECTION, ejection.values(self._session)),
                event=recorder.event,
                fault=lambda code, detail: post(RaiseFault(code, detail)),
            )
        now = time.monotonic_ns()
        self._signalling = signalling = Signalling(
            Ledger(assembly.ledger_settings(configuration), wall_offset_ns=time.time_ns() - now),
            Handshake(assembly.handshake_settings(configuration), now),
            Ports(
                publish=link.publish if self._ejection is None else publisher.publish,
                inspect=inspection.submit,
                trigger_camera=acquisition.trigger,
                record=recorder.record,
                event=recorder.event,
                acknowledged=recorder.acknowledged,
                journal_opened=journal.open_part,
                journal_decided=journal.decide_part,
                tracking=TrackingFeed() if self._ejection is None else TrackingFeed(self._ejection.post),
            ),
            self._identity(configuration),
            line_triggered=camera.trigger == "line",
            tracks=self._ejection is not None,
        )
        self._inspection = inspection
        control = ControlServer(configuration.control_socket, self._handlers())
        closing.callback(control.close)
        inspection.start()
        closing.callback(inspection.stop, 2.0)
        signalling.start()
        closing.callback(signalling.stop, 2.0)
        if self._ejection is not None:
            self._ejection.start()
            closing.callback(self._ejection.stop, 0.0)
        closing.enter_context(link)
        acquisition.start()
        closing.callback(acquisition.stop, 3.0)
        control.start()
        self._frame_shape = self._wait_for_camera().shape
        inspector = assembly.load_inspector(configuration, self._frame_shape)
        if inspector is not None:
            inspection.install(inspector)
        log.info(
            "station runs",
            session=self._session,
            engine=inspector.engine_id[:12] if inspector else "none: waits for teaching",
            camera=name,
            work_dir=str(configuration.work_dir),
            pid=os.getpid(),
        )
        return Stages(acquisition, inspection, signalling, recorder, journal, link, control, teaching, self._ejection)

    def _post(self, message: Message) -> None:
        self._signalling.post(message)

    def _plc_wrote(self, inputs: PlcInputs) -> None:
        if self._ejection is not None:
            self._ejection.control_written(inputs)
        self._signalling.post(PlcWrote(inputs))

    def _from_camera(self, message: AcquisitionMessage) -> None:
        self._signalling.post(message)
        if not isinstance(message, CameraChanged):
            return
        if message.state in (CameraState.STREAMING, CameraState.FAILED):
            self._camera_settled.put(message)
        if message.state is CameraState.STREAMING and self._ejection is not None:
            self._ejection.post(OutputsReset())

    def _wait_for_camera(self) -> CameraInfo:
        try:
            message = self._camera_settled.get(timeout=CAMERA_START_S)
        except queue.Empty:
            raise CameraError(
                f'the camera did not start within {CAMERA_START_S:g} s; see "station camera list"'
            ) from None
        if message.info is None:
            raise CameraError(message.detail)
        return message.info

    def _identity(self, configuration: LoadedConfiguration) -> Identity:
        recipe = configuration.settings.recipe
        return Identity(self._session, recipe.name, recipe.number, configuration.checksum)

    # ---- the control socket -------------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Any]:
        return {
            "status": self._status,
            "online": lambda _: self._tell(SetOnline(True)),
            "offline": lambda _: self._tell(SetOnline(False, OfflineReason.BY_OPERATOR)),
            "clear": lambda _: self._tell(ClearFault()),
            "reload": self._reload,
            "teach": self._teach,
        }

    def _tell(self, message: SetOnline | ClearFault) -> dict[str, Any]:
        self._post(message)
        return {}

    def _status(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        snapshot = self._signalling.snapshot()
        return {
            "status": {**_readable(snapshot), "session": self._session, "teaching": self._teaching.status.as_dict()}
        }

    def _reload(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """Takes up a changed configuration without a restart; refuses what needs one. The old one stays on error."""
        with self._changing:
            try:
                new = config.load(self._configuration.path)
                needs_restart = config.changed_for_restart(self._configuration.settings, new.settings)
                if needs_restart:
                    raise ControlError(f"these changes need a restart: {', '.join(needs_restart)}")
                self._exchange_engine(new)
            except BAD_INPUT as problem:
                raise ControlError(f"refused, the old configuration stays in force: {problem}") from problem
            self._configuration = new
        return {"checksum": new.checksum}

    def _exchange_engine(self, configuration: LoadedConfiguration) -> None:
        """Ready falls, parts in flight finish under the old engine, the new one is warm before Ready returns."""
        self._signalling.post(EngineChanging(True))
        try:
            inspector = assembly.load_inspector(configuration, self._frame_shape)
            self._wait_until_empty(configuration.settings.station.deadline_ms / 1000 + 1.0)
            self._signalling.post(IdentityChanged(self._identity(configuration)))
            self._inspection.install(inspector)  # ends EngineChanging
        except BaseException:
            self._signalling.post(EngineChanging(False))
            raise

    def _wait_until_empty(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while self._signalling.snapshot().in_flight:
            if time.monotonic() > end:
                raise ControlError("parts in flight did not finish in time; nothing was changed")
            time.sleep(0.01)

    def _teach(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "teach", "parts": 60, "output": "engine"}`: the next parts of the line teach an engine."""
        parts, output = request.get("parts"), request.get("output")
        budget, seed = request.get("false_reject_budget", 0.01), request.get("seed", 0)
        if not (isinstance(parts, int) and 20 <= parts <= 100_000):
            raise ControlError(f"parts = {parts!r}: a whole number from 20 to 100000")
        if not (isinstance(output, str) and output):
            raise ControlError(f"output = {output!r}: the folder of the new engine")
        if not (isinstance(budget, float) and 0 < budget < 1 and isinstance(seed, int)):
            raise ControlError("false_reject_budget: a number between 0 and 1; seed: a whole number")
        try:
            self._teaching.start(
                parts, self._configuration.resolve(Path(output)), false_reject_budget=budget, seed=seed
            )
        except TeachError as problem:
            raise ControlError(str(problem)) from problem
        self._signalling.post(Collect(self._teaching.sink))
        return {}

    def _use_taught_engine(self, engine: Path) -> None:
        """A station that waits for its first engine takes it at once; one that has an engine keeps it."""
        with self._changing:
            if self._configuration.engine_path == engine and not self._signalling.snapshot().engine_id:
                self._exchange_engine(self._configuration)


def _readable(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as JSON for people and scripts: names instead of numbers, and texts that say what to do."""
    why = OFFLINE_REASONS[snapshot.offline_reason]
    fault = ERRORS[snapshot.error_code]
    return {
        "state": snapshot.state.name.lower(),
        "online": snapshot.online,
        "ready": snapshot.ready,
        "offline_reason": why.text,
        "offline_action": why.action,
        "error": f"{fault.text}: {snapshot.error_detail}" if snapshot.error_code else "",
        "error_action": fault.action,
        "warnings": [WARNINGS[code].text for code in snapshot.warnings],
        "camera": snapshot.camera.name.lower(),
        "camera_detail": snapshot.camera_detail,
        "engine_id": snapshot.engine_id,
        "recipe": snapshot.recipe,
        "counters": asdict(snapshot.counters),
        "in_flight": snapshot.in_flight,
        "recent": [{**asdict(part), "verdict": part.verdict.name} for part in snapshot.recent],
    }


def run(configuration_path: Path) -> int:
    """Runs a station until it is told to stop. Returns the exit code; raises what is listed in BAD_INPUT."""
    return Daemon(config.load(configuration_path)).run()
