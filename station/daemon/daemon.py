"""`station run`: builds the stages, wires them together, and answers the control socket."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import structlog

from drivers.camera.protocol import CameraError
from drivers.plc.protocol import PlcError, PlcInputs
from engines.errors import EngineError
from station.codes import OfflineReason
from station.configuration import load as config
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.control import ControlError
from station.daemon import assembly
from station.daemon.changeover import Changeover, ChangeRefused, identity
from station.daemon.control_server import ControlServer
from station.daemon.plc_requests import PlcRequests
from station.daemon.supervisor import Stages, Supervisor, stop_on_signals
from station.jobs.process import JobError
from station.jobs.teaching_from_line import Teaching
from station.line.acquisition.cameras import Cameras
from station.line.acquisition.messages import AcquisitionMessage, CameraChanged, CameraState, EncoderMoved
from station.line.challenge.duty import ChallengeDuty, ChallengePorts
from station.line.challenge.messages import ResetChallenge, StartChallenge
from station.line.ejection.belt_memory import BeltMemory, BeltMemoryError
from station.line.ejection.setup import ejection_stage
from station.line.ejection.stage import EjectionStage, EncoderRead, OutputsReset
from station.line.handshake.machine import Handshake
from station.line.handshake.publisher import StatusPublisher
from station.line.inspection.loading import LimitsError
from station.line.inspection.stage import InspectionStage
from station.line.recording.journal import Journal, JournalError
from station.line.recording.stage import Recorder
from station.line.signalling.ledger import Ledger
from station.line.signalling.messages import (
    ClearFault,
    Collect,
    Message,
    PlcWrote,
    RaiseFault,
    SetOnline,
)
from station.line.signalling.ports import Ports, TrackingFeed
from station.line.signalling.snapshot import readable
from station.line.signalling.stage import Signalling
from station.line.signalling.view_matching import ViewMatching
from station.records.challenge_memory import read_memory
from station.records.schema import RecordingError

log = structlog.get_logger()

CAMERA_START_S, FURTHER_CAMERA_S = 20.0, 10.0
"""Their processes start side by side, on a machine that may have few cores."""
REPLY_S = 5.0
GIL_SWITCH_S = 0.0001
"""A thread that wants to run waits at most so long for one that computes in Python; 5 ms is the default."""

BAD_INPUT = (
    BeltMemoryError,
    CameraError,
    ConfigurationError,
    ControlError,
    EngineError,
    JournalError,
    PlcError,
    RecordingError,
    LimitsError,
)
"""What a person can mend: told on standard error, exit code 2."""


class Daemon:
    """One running station."""

    def __init__(self, configuration: LoadedConfiguration) -> None:
        self._configuration = configuration
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
            longest_way_ms = settings.station.deadline_ms + settings.lead_camera.no_frame_ms
            supervisor = Supervisor(
                stages,
                stop,
                engine_hang_s=settings.station.engine_hang_s,
                drain_timeout_s=longest_way_ms / 1000 + 2.0,
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

        post = self._post
        views = ViewMatching(assembly.view_settings(configuration))
        parts_in_flight = configuration.settings.station.max_parts_in_flight
        inspection = InspectionStage(post, queue_size=parts_in_flight * len(views.cameras))
        link = assembly.plc_link(configuration, self._plc_wrote, post)
        cameras = Cameras(assembly.cameras(configuration), self._from_camera)
        publisher = StatusPublisher(link.publish)
        if configuration.settings.reject.by == "station":
            self._ejection = ejection_stage(
                configuration,
                closing.enter_context(BeltMemory(configuration.belt_path)),
                show=publisher.show_ejectors,
                set_output=cameras.set_output,
                record=recorder.ejection,
                event=recorder.event,
                fault=lambda code, detail: post(RaiseFault(code, detail)),
            )
        plc_requests = PlcRequests(post)
        now = time.monotonic_ns()
        self._signalling = signalling = Signalling(
            Ledger(assembly.ledger_settings(configuration), wall_offset_ns=time.time_ns() - now),
            views,
            Handshake(assembly.handshake_settings(configuration), now),
            Ports(
                publish=link.publish if self._ejection is None else publisher.publish,
                inspect=inspection.submit,
                fire_camera=cameras.fire,
                record=recorder.record,
                event=recorder.event,
                command=plc_requests.submit,
                acknowledged=recorder.acknowledged,
                journal_opened=journal.open_part,
                journal_decided=journal.decide_part,
                tracking=TrackingFeed() if self._ejection is None else TrackingFeed(self._ejection.post),
            ),
            identity(self._session, configuration),
            challenge=ChallengeDuty(
                ChallengePorts(record=recorder.challenge, event=recorder.event),
                assembly.challenge_settings(configuration),
                read_memory(configuration.records_dir, configuration.settings.recipe.name, time.time()),
            ),
            belt=assembly.belt_of_views(configuration),
            tracks=self._ejection is not None,
        )
        self._changeover = Changeover(
            configuration,
            self._session,
            signalling=signalling,
            inspection=inspection,
            cameras=cameras,
            recorder=recorder,
            ejection=self._ejection,
        )
        self._teaching = Teaching(configuration.work_dir / "teaching", self._changeover.take_taught_engine)
        control = ControlServer(configuration.control_socket, self._handlers())
        closing.callback(control.close)
        inspection.start()
        closing.callback(inspection.stop, 2.0)
        plc_requests.start(self._changeover)
        closing.callback(plc_requests.stop, 2.0)
        signalling.start()
        closing.callback(signalling.stop, 2.0)
        if self._ejection is not None:
            self._ejection.start()
            closing.callback(self._ejection.stop, 0.0)
        closing.enter_context(link)
        cameras.start()
        closing.callback(cameras.stop, 3.0)
        control.start()
        start_s = CAMERA_START_S + FURTHER_CAMERA_S * (len(views.cameras) - 1)
        closing.callback(self._changeover.plans.close)
        self._changeover.started(cameras.wait_streaming(start_s))
        gpu_watch = assembly.gpu_watch(configuration, self._post)
        if gpu_watch is not None:
            gpu_watch.start()
        log.info(
            "station runs",
            session=self._session,
            engine=signalling.snapshot().engine_id[:12] or "none yet",
            recipe=configuration.settings.recipe.name,
            cameras=list(views.cameras),
            work_dir=str(configuration.work_dir),
            pid=os.getpid(),
        )
        return Stages(
            cameras=cameras,
            inspection=inspection,
            signalling=signalling,
            recorder=recorder,
            journal=journal,
            link=link,
            control=control,
            teaching=self._teaching,
            plc_requests=plc_requests,
            plans=self._changeover.plans,
            gpu_watch=gpu_watch,
            ejection=self._ejection,
        )

    def _post(self, message: Message) -> None:
        self._signalling.post(message)

    def _plc_wrote(self, inputs: PlcInputs) -> None:
        if self._ejection is not None:
            self._ejection.control_written(inputs)
        self._signalling.post(PlcWrote(inputs))

    def _from_camera(self, message: AcquisitionMessage) -> None:
        if isinstance(message, EncoderMoved):
            if self._ejection is not None:
                self._ejection.post(EncoderRead(message.count, message.time_ns))
            return
        self._signalling.post(message)
        streams = isinstance(message, CameraChanged) and message.state is CameraState.STREAMING
        if streams and self._ejection is not None:
            self._ejection.post(OutputsReset())

    # ---- the control socket -------------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Any]:
        return {
            "status": self._status,
            "online": lambda _: self._tell(SetOnline(True)),
            "offline": lambda _: self._tell(SetOnline(False, OfflineReason.BY_OPERATOR)),
            "clear": lambda _: self._tell(ClearFault()),
            "reload": self._reload,
            "recipe": self._select_recipe,
            "teach": self._teach,
            "challenge": self._challenge,
        }

    def _tell(self, message: SetOnline | ClearFault) -> dict[str, Any]:
        self._post(message)
        return {}

    def _status(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        snapshot = self._signalling.snapshot()
        return {
            "status": {
                **readable(snapshot),
                "session": self._session,
                "teaching": self._teaching.status.as_dict(),
                "refused": self._changeover.refusal,
                "runtime": self._changeover.runtime,
                "plan": self._changeover.plans.status.as_dict(),
            }
        }

    def _reload(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Takes up a changed configuration without a restart; refuses what needs one. The old one stays on error."""
        return self._changed(self._changeover.reload, request)

    def _select_recipe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "recipe", "recipe": "flange", "without_engine": false}`, or its number."""
        recipe = request.get("recipe")
        if not isinstance(recipe, str | int) or isinstance(recipe, bool):
            raise ControlError(f"recipe = {recipe!r}: the name or the number of a recipe")
        without_engine = request.get("without_engine") is True
        return self._changed(
            lambda who: self._changeover.select_recipe(recipe, who, without_engine=without_engine), request
        )

    def _challenge(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "challenge", "action": "start"}`, or "reset" with `who` and `why`."""
        who = str(request.get("who", "")).strip()
        match request.get("action"):
            case "start":
                message: StartChallenge | ResetChallenge = StartChallenge(f"operator {request['user']}")
            case "reset" if who:
                message = ResetChallenge(f"{who} ({request['user']})", str(request.get("why", "")))
            case "reset":
                raise ControlError("who: the name of the person who has seen to it")
            case other:
                raise ControlError(f"action = {other!r}: start or reset")
        self._post(message)
        if refused := message.reply.get(timeout=REPLY_S):
            raise ControlError(refused)
        return {}

    def _changed(self, change: Callable[[str], None], request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            change(f"operator {request['user']}")
        except ChangeRefused as problem:
            raise ControlError(f"refused, everything stays as it was: {problem}") from problem
        configuration = self._changeover.configuration
        return {"checksum": configuration.checksum, "recipe": configuration.settings.recipe.name}

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
        configuration = self._changeover.configuration
        try:
            self._teaching.start(
                parts,
                configuration.resolve(Path(output)),
                cameras=len(configuration.settings.cameras),
                false_reject_budget=budget,
                seed=seed,
            )
        except JobError as problem:
            raise ControlError(str(problem)) from problem
        self._signalling.post(Collect(self._teaching.sink))
        return {}


def run(configuration_path: Path) -> int:
    """Runs a station until it is told to stop. Returns the exit code; raises what is listed in BAD_INPUT."""
    return Daemon(config.load(configuration_path)).run()
