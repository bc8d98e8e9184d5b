"""`station run`: opens the records, builds the line, opens its doors, and hands all to the supervisor.

    records ──► line ──► doors (control socket, PLC, cameras) ──► engine ──► supervisor

Whatever has been opened is closed again when a step fails.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import cv2
import structlog

from drivers.camera.protocol import CameraError
from drivers.plc.protocol import PlcError, PlcLink
from engines.errors import EngineError
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.configuration.runtime_folder import is_in_memory, make_runtime_folder
from station.control import ControlError
from station.daemon import assembly
from station.daemon.candidate.gaps import Gaps
from station.daemon.candidate.probation import BY_STATION
from station.daemon.candidate.shadowing import Shadowing
from station.daemon.candidate.warm import WarmEngines
from station.daemon.change_record import WantedEngine, identity
from station.daemon.changeover import Changeover
from station.daemon.control_server import ControlServer
from station.daemon.late_cameras import LateCameras
from station.daemon.plc.batches import PlcBatches
from station.daemon.plc.requests import PlcRequests
from station.daemon.requests import Requests
from station.daemon.routing import Routing, in_order
from station.daemon.second_person.rule import Alone, rule_of
from station.daemon.set_up.points import Points
from station.daemon.set_up.trigger_trial import TriggerTests
from station.daemon.supervisor import Garbage, Stages, Supervisor, stop_on_signals
from station.daemon.systemd import Hangups, reload_on_hangup
from station.jobs.teaching_from_line import TeachingFromLine
from station.line.acquisition.cameras import CameraAbsent, Cameras
from station.line.challenge.duty import ChallengeDuty, ChallengePorts
from station.line.ejection.belt_memory import BeltMemory, BeltMemoryError
from station.line.ejection.setup import ejection_stage
from station.line.ejection.stage import EjectionStage
from station.line.handshake.machine import Handshake
from station.line.handshake.publisher import StatusPublisher
from station.line.inspection.frame_quality import frame_quality
from station.line.inspection.limits import LimitsError
from station.line.inspection.shadow import ShadowDoor
from station.line.inspection.stage import InspectionStage
from station.line.recording.journal import Journal, JournalError
from station.line.recording.stage import Recorder
from station.line.signalling.ledger import Ledger
from station.line.signalling.messages import RaiseFault
from station.line.signalling.ports import Ports, TrackingFeed
from station.line.signalling.snapshot import in_codes
from station.line.signalling.stage import Signalling
from station.line.signalling.view_matching import ViewMatching
from station.live.feed import LiveFeed
from station.live.stage import LiveStage
from station.monitoring.stage import Monitoring
from station.records.challenge_memory import read_memory
from station.records.schema import RecordingError

log = structlog.get_logger()

CAMERA_START_S = 20.0
"""Time limit for the first camera to stream."""
FURTHER_CAMERA_S = 10.0
"""More for each further camera: their processes start side by side, on a machine that may have few cores."""
GIL_SWITCH_S = 0.0001
"""Longest wait for the GIL; the default of 5 ms delayed results."""

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
"""What a person can fix: reported on standard error, exit code 2."""


@dataclass(frozen=True, slots=True)
class _Records:
    """What is opened first and closed last."""

    journal: Journal
    recorder: Recorder


@dataclass(frozen=True, slots=True)
class _Line:
    """The stages, built and not started."""

    link: PlcLink
    cameras: Cameras
    inspection: InspectionStage
    signalling: Signalling
    ejection: EjectionStage | None
    plc_requests: PlcRequests
    live: LiveStage
    monitoring: Monitoring | None
    points: Points
    shadowing: Shadowing
    warm: WarmEngines


def run(configuration: LoadedConfiguration) -> int:
    """Runs a station until SIGTERM or a failure ends it. Returns the exit code; raises what is listed in BAD_INPUT."""
    sys.setswitchinterval(GIL_SWITCH_S)
    cv2.setNumThreads(1)  # the engine leaves one core to the line: a second thread of OpenCV waits for it
    settings = configuration.settings
    stop, reload_asked = stop_on_signals(), reload_on_hangup()
    garbage = Garbage()
    with contextlib.ExitStack() as opened:
        stages = _start(configuration, opened, reload_asked)
        supervisor = Supervisor(
            stages,
            stop,
            garbage,
            engine_hang_s=settings.station.engine_hang_s,
            drain_timeout_s=(settings.station.deadline_ms + settings.lead_camera.no_frame_ms) / 1000 + 2.0,
            start_online=settings.station.start_online,
        )
        opened.pop_all()  # from here on the supervisor stops everything, in its order
    return supervisor.run()


def _start(configuration: LoadedConfiguration, opened: contextlib.ExitStack, reload_asked: threading.Event) -> Stages:
    """Brings the stages up in the order in which they need each other."""
    session = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    records = _open_records(configuration, session, opened)
    line = _build_line(configuration, session, records, opened)
    changeover = Changeover(
        configuration,
        session,
        signalling=line.signalling,
        inspection=line.inspection,
        cameras=line.cameras,
        recorder=records.recorder,
        ejection=line.ejection,
        monitoring=line.monitoring,
        shadowing=line.shadowing,
        warm=line.warm,
    )
    line.shadowing.probation.go_back = lambda why: changeover.activate_engine(WantedEngine(None, why), BY_STATION)
    rule = rule_of(changeover, records.recorder)
    teaching = TeachingFromLine(configuration.work_dir / "teaching", rule.alone.take_taught_engine)
    refreshing = assembly.refreshing(configuration, line.monitoring, records.recorder.event)
    requests = Requests(
        session,
        post=line.signalling.post,
        snapshot=line.signalling.snapshot,
        changeover=changeover,
        teaching=teaching,
        refreshing=refreshing,
        health=lambda: records.recorder.health,
        monitoring=line.monitoring,
        shadowing=line.shadowing,
        audit=records.recorder.audit,
        batches=records.recorder.batches,
    )
    trigger_tests = TriggerTests(
        line.signalling.post,
        lambda: changeover.configuration,
        configuration.runtime_dir,
        frame_quality,
        records.recorder.event,
    )
    control = ControlServer(
        configuration.control_socket,
        rule.guarded({**requests.handlers, "points": line.points.reply, "trigger": trigger_tests.reply}),
        assembly.role_groups(configuration),
        lambda detail: records.recorder.event("control_refused", "warning", detail),
    )
    opened.callback(control.close)
    batches = PlcBatches(records.recorder, lambda: changeover.configuration.settings.recipe.name)
    _start_line(line, rule.alone, batches, control, opened)
    names = list(configuration.settings.cameras)
    opened.callback(changeover.missing_plan.building.close)
    opened.callback(line.shadowing.stop, 2.0)
    late_cameras = _take_cameras(line, changeover, CAMERA_START_S + FURTHER_CAMERA_S * (len(names) - 1), opened)
    gpu_watch = assembly.gpu_watch(configuration, line.signalling.post)
    if gpu_watch is not None:
        gpu_watch.start()
    hangups = Hangups(reload_asked, rule.alone.reload)
    hangups.start()
    log.info(
        "station runs",
        session=session,
        engine=line.signalling.snapshot().engine_id[:12] or "none yet",
        recipe=configuration.settings.recipe.name,
        cameras=names,
        work_dir=str(configuration.work_dir),
        pid=os.getpid(),
    )
    return Stages(
        cameras=line.cameras,
        inspection=line.inspection,
        signalling=line.signalling,
        recorder=records.recorder,
        journal=records.journal,
        link=line.link,
        control=control,
        teaching=teaching,
        refreshing=refreshing,
        plc_requests=line.plc_requests,
        plans=changeover.missing_plan.building,
        changes=changeover.changes,
        gpu_watch=gpu_watch,
        ejection=line.ejection,
        late_cameras=late_cameras,
        live=line.live,
        monitoring=line.monitoring,
        shadowing=line.shadowing,
        hangups=hangups,
    )


def _take_cameras(
    line: _Line, changeover: Changeover, limit_s: float, opened: contextlib.ExitStack
) -> LateCameras | None:
    """Waits for the cameras and installs the engine; where one is not there, whoever does so later.

    Raises CameraError, EngineError, LimitsError: what is configured cannot be used.
    """
    try:
        changeover.started(line.cameras.wait_streaming(limit_s))
    except CameraAbsent as problem:
        log.warning("started without a camera: off line until it is there", problem=str(problem))
        late_cameras = LateCameras(line.cameras, changeover.started, line.signalling.post)
        late_cameras.start()
        opened.callback(late_cameras.stop)
        return late_cameras
    return None


def _open_records(configuration: LoadedConfiguration, session: str, opened: contextlib.ExitStack) -> _Records:
    """Journal and recorder, with the parts that an earlier process left entered."""
    _take_folders(configuration, opened)
    journal = opened.enter_context(Journal(configuration.journal_path, session))
    recorder = Recorder(assembly.recorder_settings(configuration), session, on_committed=journal.commit)
    recorder.start()
    opened.callback(recorder.stop, 5.0)
    if journal.is_new:
        recorder.journal_is_new()
    for part in journal.recover():
        recorder.record_recovered(part, recipe=configuration.settings.recipe.name)
    return _Records(journal, recorder)


def _take_folders(configuration: LoadedConfiguration, opened: contextlib.ExitStack) -> None:
    """Makes work and runtime folder, and keeps others out of the work folder until this process has ended.

    Raises JournalError.
    """
    work_dir, runtime_dir = configuration.work_dir, configuration.runtime_dir
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        make_runtime_folder(runtime_dir)
        for path in (configuration.journal_path, configuration.belt_path):
            _bring(work_dir / path.name, path)
    except BlockingIOError as problem:
        raise JournalError(f'"{work_dir}" is in use: another station runs in this work folder; stop it') from problem
    except OSError as problem:
        raise JournalError(
            f'folder "{problem.filename or work_dir}" cannot be used: {problem.strerror}; check [station] work_dir and '
            "runtime_dir"
        ) from problem
    if not is_in_memory(runtime_dir):
        log.warning("open parts lie on a disk: a disk that stands still holds up signals", runtime_dir=str(runtime_dir))


def _bring(earlier: Path, path: Path) -> None:
    """Moves a file that stations up to 0.2 kept in the work folder. Raises OSError; BlockingIOError while one runs."""
    if earlier == path or path.exists() or not earlier.is_file():
        return
    with earlier.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(file.read())
        temporary.replace(path)
        earlier.unlink()


def _build_line(
    configuration: LoadedConfiguration, session: str, records: _Records, opened: contextlib.ExitStack
) -> _Line:
    """All stages between trigger and records, wired to each other; none of them runs yet."""
    journal, recorder = records.journal, records.recorder
    routing = Routing()
    views = ViewMatching(assembly.view_settings(configuration))
    parts_in_flight = configuration.settings.station.max_parts_in_flight
    inspection = InspectionStage(routing.post, queue_size=parts_in_flight * len(views.cameras))
    points = Points()
    link = assembly.plc_link(configuration, points.wrote(routing.plc_wrote), routing.post)
    publish = points.shown(link.publish)
    cameras = Cameras(assembly.cameras(configuration), routing.from_camera)
    publisher = StatusPublisher(publish)
    ejection = None
    if configuration.settings.reject.by == "station":
        ejection = ejection_stage(
            configuration,
            opened.enter_context(BeltMemory(configuration.belt_path)),
            show=publisher.show_ejectors,
            set_output=cameras.set_output,
            record=recorder.ejection,
            event=recorder.event,
            fault=lambda code, detail: routing.post(RaiseFault(code, detail)),
        )
    plc_requests = PlcRequests(routing.post)
    monitoring = assembly.monitoring(configuration, routing.post, recorder.event)
    door, gap = ShadowDoor(), Gaps()
    warm = opened.enter_context(WarmEngines(gap.wait))
    shadowing = Shadowing(configuration, door, recorder, routing.post, warm)
    watched, tested = (None, None) if monitoring is None else (monitoring.record, monitoring.challenge)
    feed = LiveFeed(in_order(recorder.record, watched, door.record, gap.record, shadowing.probation.record))
    now = time.monotonic_ns()
    signalling = Signalling(
        Ledger(assembly.ledger_settings(configuration), wall_offset_ns=time.time_ns() - now),
        views,
        Handshake(assembly.handshake_settings(configuration), now),
        Ports(
            publish=publish if ejection is None else publisher.publish,
            inspect=inspection.submit,
            fire_camera=cameras.fire,
            record=feed.record,
            event=recorder.event,
            command=plc_requests.submit,
            acknowledged=recorder.acknowledged,
            journal_opened=journal.open_part,
            journal_decided=journal.decide_part,
            tracking=TrackingFeed() if ejection is None else TrackingFeed(ejection.post),
            batch=lambda: recorder.batches.number,
        ),
        identity(session, configuration),
        challenge=ChallengeDuty(
            ChallengePorts(in_order(recorder.challenge, tested, shadowing.probation.challenge), recorder.event),
            assembly.challenge_settings(configuration),
            read_memory(configuration.records_dir, configuration.settings.recipe.name, time.time()),
        ),
        belt=assembly.belt_of_views(configuration),
        tracks=ejection is not None,
    )
    routing.connect(signalling.post, None if ejection is None else ejection.post, inspection.begin)
    live = LiveStage(
        configuration.runtime_dir,
        session,
        feed,
        cameras=len(views.cameras),
        turned_ns=lambda: signalling.last_turn_ns,
        state=lambda: {**in_codes(signalling.snapshot()), "simulated": configuration.is_simulated},
        quality_of=frame_quality,
    )
    return _Line(
        link, cameras, inspection, signalling, ejection, plc_requests, live, monitoring, points, shadowing, warm
    )


def _start_line(
    line: _Line, alone: Alone, batches: PlcBatches, control: ControlServer, opened: contextlib.ExitStack
) -> None:
    """Starts the stages before what feeds them, the doors last."""
    line.inspection.start()
    opened.callback(line.inspection.stop, 2.0)
    line.plc_requests.start(alone, batches)
    opened.callback(line.plc_requests.stop, 2.0)
    line.signalling.start()
    opened.callback(line.signalling.stop, 2.0)
    line.live.start()
    opened.callback(line.live.stop, 2.0)
    if line.monitoring is not None:
        line.monitoring.start()
        opened.callback(line.monitoring.stop, 2.0)
    if line.ejection is not None:
        line.ejection.start()
        opened.callback(line.ejection.stop, 0.0)
    opened.enter_context(line.link)
    line.cameras.start()
    opened.callback(line.cameras.stop, 3.0)
    control.start()
