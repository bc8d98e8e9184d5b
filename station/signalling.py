"""The signalling stage: the one thread that owns ledger and handshake and tells the PLC.

Everything reaches it as a message in its inbox, in order; everything it decides goes out through `Ports`. `handle` and
`tick` run without the thread, so tests drive a whole station's logic step by step.

A part's result goes to the journal (a memory write), then to the PLC, then to the recorder's queue. Nothing here
touches disk, network or a log: a slow disk may delay a record, never a signal.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drivers.plc.protocol import LinkEvent, PlcOutputs
from station.acquisition import CameraChanged, CameraState, FrameArrived, FrameFailed, OutputFailed
from station.belt_position import EncoderBelt
from station.challenge_duty import ChallengeDuty
from station.challenge_messages import ChallengeConfigured, ResetChallenge, StartChallenge
from station.condition import CameraStatus, Condition
from station.handshake import (
    ClearErrorRequested,
    Command,
    CommandRefused,
    CommandRequested,
    GoOffline,
    GoOnline,
    Handshake,
    HandshakeRequest,
    PartIdLatched,
    PartResult,
    PlcHeartbeatLost,
    PlcHeartbeatRestored,
    ResetCounters,
    ResultAcknowledged,
    ResultsWithdrawn,
    SoftwareTriggerTest,
    StationStatus,
    TriggerMissed,
    TriggerRequested,
)
from station.inspection import Inspected, Inspector, InspectorChanged
from station.joining import (
    WORST,
    defect_area_mm2,
    failed_view,
    highest_scored,
    join,
    missing_views,
    score_of,
)
from station.ledger import Ledger, OpenPart
from station.messages import (
    Ask,
    Changing,
    ClearFault,
    Collect,
    CommandFinished,
    Identity,
    IdentityChanged,
    Message,
    PlcWrote,
    RaiseFault,
    RecentPart,
    SetOnline,
    Snapshot,
    Stop,
    Warn,
)
from station.reasons import ERRORS, WARNINGS, ErrorCode, OfflineReason, ReasonCode, WarningCode
from station.results import Decision, Frame, Inspection, InspectionRecord, Reason, Trigger, Verdict, error
from station.tracking_feed import TrackingFeed
from station.views import MissingView, Views

LONGEST_WAIT_S = 0.2
FOREVER_NS = 3_600_000_000_000
ACKNOWLEDGE_NS = 500_000_000
"""What a PLC gets at a stop to acknowledge the last results."""
RECENT_PARTS = 16


@dataclass(frozen=True, slots=True)
class Ports:
    """Where decisions go. None of these may block."""

    publish: Callable[[PlcOutputs], None]
    inspect: Callable[[Trigger, Frame], bool]
    trigger_camera: Callable[[str], None]
    """By its name."""
    record: Callable[[InspectionRecord], None]
    event: Callable[[str, str, str], None]
    """kind, level, detail."""
    command: Callable[[CommandRequested], None]
    """What the PLC wants and takes longer than a scan; answered by `CommandFinished`."""
    acknowledged: Callable[[int, float], None]
    """The PLC has read the result of this acquisition, so many ms after its trigger."""
    journal_opened: Callable[[Trigger], bool]
    """False: there is no room for it."""
    journal_decided: Callable[[int, Verdict, ReasonCode], None]
    tracking: TrackingFeed


class Signalling:
    """Ledger and handshake on one thread with an inbox."""

    def __init__(
        self,
        ledger: Ledger,
        views: Views,
        handshake: Handshake,
        ports: Ports,
        identity: Identity,
        *,
        challenge: ChallengeDuty,
        line_triggered: bool,
        tracks: bool = False,
        belt: EncoderBelt | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._ledger = ledger
        self._views = views
        self._belt = belt
        self._handshake = handshake
        self._ports = ports
        self._identity = identity
        self._challenge = challenge
        self._line_triggered = line_triggered
        self._clock = clock
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="signalling")
        self._stopped = threading.Event()
        self._last_turn_ns = clock()

        self._condition = Condition(
            tracks=tracks, line_triggered=line_triggered, cameras=dict.fromkeys(views.cameras, CameraStatus())
        )
        self._inspector: Inspector | None = None
        self._in_force_ns = 0
        """Since when: what was triggered before is not judged by it."""
        self._collect: Collect | None = None
        self._give_up_ns = 0
        self._published: PlcOutputs | None = None
        self._recent: list[RecentPart] = []
        self._refresh(clock())

    # ---- from other threads -------------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def idle_for_s(self) -> float:
        """Seconds since the loop last turned; the watchdog looks at it."""
        return (self._clock() - self._last_turn_ns) / 1e9

    def post(self, message: Message) -> None:
        """Hands over a message; never blocks."""
        self._inbox.put(message)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Takes no more parts; True when those in flight have their results and the thread has ended in time."""
        self.post(Stop())
        return self.wait_stopped(timeout_s)

    def wait_stopped(self, timeout_s: float) -> bool:
        """After `Stop`: True when all parts in flight have their results and the thread has ended."""
        self._stopped.wait(timeout_s)
        self._thread.join(timeout_s if self._stopped.is_set() else 0)
        return not self._thread.is_alive()

    def snapshot(self, timeout_s: float = 2.0) -> Snapshot:
        """The state now. Raises queue.Empty when the stage does not answer."""
        ask = Ask()
        self.post(ask)
        return ask.reply.get(timeout=timeout_s)

    # ---- the loop -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._may_end():
                try:
                    message = self._inbox.get(timeout=self._wait_s())
                except queue.Empty:
                    pass
                else:
                    self.handle(message)
                self.tick()
        finally:
            # whatever ended the loop: no part without a verdict, and the PLC reads Reject
            self._ledger.expire(self._clock() + FOREVER_NS)
            for part in self._ledger.open_parts:
                self._close(part.trigger, error(ReasonCode.STOPPED))
            self._condition.stopped = True
            self._refresh(self._clock())
            self._stopped.set()

    def _may_end(self) -> bool:
        """Told to stop, no part in flight, and the PLC has read the last results or had its time to."""
        if not (self._condition.stopping and self._ledger.is_empty):
            return False
        self._give_up_ns = self._give_up_ns or self._clock() + ACKNOWLEDGE_NS
        return not self._handshake.has_results or self._clock() >= self._give_up_ns

    def _wait_s(self) -> float:
        wakeups = [self._handshake.next_wakeup_ns()]
        for wakeup in (self._ledger.next_wakeup_ns(), self._views.next_wakeup_ns()):
            if wakeup is not None:
                wakeups.append(wakeup)
        return min(max((min(wakeups) - self._clock()) / 1e9, 0.0), LONGEST_WAIT_S)

    def tick(self) -> None:
        """What time alone brings: deadlines, heartbeats, command releases."""
        now = self._last_turn_ns = self._clock()
        self._challenge.tick()
        self._expire(now)
        missing, unmatched = self._views.expire(now)
        self._views_missing(missing)
        for message in unmatched:
            self._no_part_for(message, "unmatched")
        self._trigger_cameras(now)
        self._requests(self._handshake.tick(now), now)
        self._refresh(now)

    def _expire(self, now: int) -> None:
        """Parts whose deadline is over end as errors."""
        missed = self._ledger.counters.missed
        for expired in self._ledger.expire(now):
            self._opened(expired.part, placed=False)
            absent = self._views.absent(expired.part.trigger.acquisition_id)
            several = len(self._views.cameras) > 1
            self._close(expired.part.trigger, missing_views(absent) if absent and several else error(expired.code))
        for _ in range(self._ledger.counters.missed - missed):
            self._ports.event("missed", "error", "a part id was latched while not ready, and no frame came for it")

    def handle(self, message: Message) -> None:
        """One message from another stage."""
        now = self._clock()
        match message:
            case PlcWrote(inputs):
                if self._belt is not None:
                    self._belt.sample(inputs.encoder_now, now)
                self._challenge.mode(inputs.challenge_mode)
                self._requests(self._handshake.plc_wrote(inputs, now), now)
            case FrameArrived() | FrameFailed():
                self._frame(message, now)
            case Inspected(acquisition_id, inspection):
                self._inspected(acquisition_id, inspection)
            case CameraChanged():
                self._camera_changed(message)
            case OutputFailed():
                self._raise_fault(ErrorCode.EJECTOR_FAILED, f"{message.line} = {message.value}: {message.detail}")
            case InspectorChanged(inspector):
                self._inspector = inspector
                self._condition.changing, self._condition.has_engine = None, inspector is not None
                self._in_force_ns = now
            case LinkEvent(kind, peer, detail):
                self._ports.event("plc_" + kind, "warning" if kind == "refused" else "info", f"{peer} {detail}".strip())
                if kind == "refused":
                    self._warn(WarningCode.WRITER_REFUSED, True)
                elif kind == "failed":
                    self._raise_fault(ErrorCode.STAGE_FAILED, f"PLC link: {detail}")
            case SetOnline(online, reason):
                self._set_online(online, reason)
            case Changing(why):
                self._condition.changing = why
            case CommandFinished(serial, succeeded):
                self._handshake.command_finished(serial, succeeded, now)
            case IdentityChanged(identity):
                self._identity = identity
            case StartChallenge() | ResetChallenge() | ChallengeConfigured():
                self._challenge.handle(message, teaching=self._condition.collecting)
            case Warn(code, active):
                self._warn(code, active)
            case RaiseFault(code, detail):
                self._raise_fault(code, detail)
            case ClearFault():
                self._clear_fault()
            case Collect():
                self._collect, self._condition.collecting = message, True
            case Ask(reply):
                reply.put(self._snapshot())
            case Stop():
                self._condition.stopping = True
        self._refresh(now)

    # ---- parts --------------------------------------------------------------------------------------------------

    def _requests(self, requests: list[HandshakeRequest], now: int) -> None:
        for request in requests:
            match request:
                case TriggerRequested():
                    self._triggered("plc", now, request.part_id, request.encoder_count, request.deadline_ms)
                case SoftwareTriggerTest():
                    self._triggered("software", now)
                case TriggerMissed():
                    self._ledger.miss()
                    self._missed(1, "the PLC raised Trigger")
                    if not self._line_triggered:
                        self._ports.tracking.trigger_missed(request.part_id, now)
                case PartIdLatched():
                    if self._line_triggered:
                        self._latched(request, now)
                case GoOnline():
                    self._set_online(True, OfflineReason.BY_PLC)
                case GoOffline():
                    self._set_online(False, OfflineReason.BY_PLC)
                case ClearErrorRequested():
                    self._clear_fault()
                case ResetCounters():
                    self._ledger.reset_counters()
                    self._ports.tracking.counters_reset()
                case PlcHeartbeatLost():
                    self._warn(WarningCode.PLC_HEARTBEAT_FROZEN, True)
                case PlcHeartbeatRestored():
                    self._warn(WarningCode.PLC_HEARTBEAT_FROZEN, False)
                case CommandRequested(Command.START_CHALLENGE_TEST, _, serial):
                    refused = self._challenge.start("plc", teaching=self._condition.collecting)
                    self._handshake.command_finished(serial, not refused, now)
                case CommandRequested():
                    self._ports.command(request)
                case CommandRefused(command, why):
                    self._ports.event("command_refused", "warning", f"command {command}: {why}")
                case ResultsWithdrawn(acquisition_ids):
                    ids = ", ".join(str(acquisition_id) for acquisition_id in acquisition_ids)
                    self._ports.event("results_withdrawn", "warning", f"not acknowledged by the PLC, now Reject: {ids}")
                    self._ports.tracking.withdrawn(acquisition_ids, self._handshake.refusal(Verdict.PASS))
                case ResultAcknowledged(acquisition_id):
                    if (trigger := self._ledger.closed(acquisition_id)) is not None:
                        self._ports.acknowledged(acquisition_id, (now - trigger.time_ns) / 1e6)

    def _latched(self, request: PartIdLatched, now: int) -> None:
        dropped = self._ledger.latch(
            request.part_id,
            now,
            while_ready=self._handshake.ready,
            encoder_count=request.encoder_count,
            deadline_ms=request.deadline_ms,
        )
        self._missed(dropped, "part ids were latched without a trigger")

    def _triggered(self, source: str, now: int, part_id: int = 0, encoder_count: int = 0, deadline_ms: int = 0) -> None:
        part = self._ledger.trigger(source, now, part_id=part_id, encoder_count=encoder_count, deadline_ms=deadline_ms)
        self._opened(part)
        self._handshake.trigger_accepted(part.trigger.acquisition_id, now)
        self._refresh(now)  # TriggerAck before anything else
        self._begin_views(part.trigger, now)

    def _frame(self, message: FrameArrived | FrameFailed, now: int) -> None:
        """Finds the part that a frame belongs to; the first camera's frame may open it."""
        if message.camera != self._views.lead:
            self._follow(message, now)
            return
        trigger_time_ns = message.trigger_time_ns
        if self._ledger.awaits_frame or not self._line_triggered:
            match_ = self._ledger.frame_for_trigger(trigger_time_ns)
        else:
            ready = self._handshake.ready and trigger_time_ns >= self._in_force_ns
            match_ = self._ledger.frame(trigger_time_ns, lost_before=message.lost_before, ready=ready)
        self._without_frame(match_.without_frame)
        self._missed(match_.missed, "the camera was triggered")
        self._ports.tracking.frame_missed(match_, trigger_time_ns)
        if match_.part is None:
            self._no_part_for(message, match_.why_not)
            self._refresh(now)
            return
        trigger = match_.part.trigger
        if trigger.source != "line":
            self._views.lead_arrived(trigger.acquisition_id)
            self._take(trigger, message, now)
            return
        self._opened(match_.part)
        self._handshake.trigger_accepted(trigger.acquisition_id, now, holds_ready=False)
        self._begin_views(trigger, now, message)

    def _begin_views(self, trigger: Trigger, now: int, lead: FrameArrived | FrameFailed | None = None) -> None:
        """A part has begun; `lead`: with this frame."""
        opened = self._views.opened(trigger, self._position(trigger.time_ns))
        self._too_close(opened.too_close)
        if lead is not None and self._views.is_open(trigger.acquisition_id):
            self._views.lead_arrived(trigger.acquisition_id)
            self._take(trigger, lead, now)
        for message in opened.frames:
            self._take(trigger, message, now)
        self._trigger_cameras(now)

    def _follow(self, message: FrameArrived | FrameFailed, now: int) -> None:
        """A frame of a camera that does not lead."""
        match_ = self._views.frame(message, self._position(message.trigger_time_ns), now)
        self._views_missing(match_.missing)
        self._too_close(match_.ambiguous)
        if match_.trigger is not None:
            self._take(match_.trigger, message, now)
        elif match_.why_not:
            self._no_part_for(message, match_.why_not)
        self._refresh(now)

    def _take(self, trigger: Trigger, message: FrameArrived | FrameFailed, now: int) -> None:
        """The frame of a part, and what becomes of it."""
        if not self._views.is_open(trigger.acquisition_id):
            return
        if not self._views.exposing(trigger.acquisition_id):
            self._handshake.exposure_completed(trigger.acquisition_id, now)
        if isinstance(message, FrameFailed):
            self._close(trigger, self._of_view(message.camera, error(message.code, message.detail)))
            return
        teaching = self._take_for_teaching(message.frame)
        if self._inspector is not None and self._ports.inspect(trigger, message.frame):
            return
        if self._inspector is not None:
            decision = error(ReasonCode.OVERLOAD)
        elif teaching:
            decision = Decision(Verdict.REVIEW, (Reason(ReasonCode.TEACHING),))
        else:
            decision = error(ReasonCode.NO_ENGINE)
        self._judged(trigger, Inspection(message.frame, decision, decided_ns=now))

    def _judged(self, trigger: Trigger, view: Inspection) -> None:
        """One view has its verdict: the last one, or an error, decides the part."""
        views = self._views.judged(trigger.acquisition_id, view)
        if view.decision.verdict is Verdict.ERROR:
            self._close(trigger, self._of_view(view.camera, view.decision))
        elif views is not None:
            self._close(trigger, join(views, self._inspector.joining if self._inspector else WORST))

    def _of_view(self, camera: str, decision: Decision) -> Decision:
        return failed_view(camera, decision) if len(self._views.cameras) > 1 else decision

    def _too_close(self, acquisition_ids: Iterable[int]) -> None:
        for part in [part for part in self._ledger.open_parts if part.trigger.acquisition_id in acquisition_ids]:
            self._close(part.trigger, error(ReasonCode.VIEW_AMBIGUOUS))

    def _views_missing(self, missing: Iterable[MissingView]) -> None:
        for view in missing:
            if self._views.is_open(view.trigger.acquisition_id):
                self._close(view.trigger, missing_views([view.camera]))

    def _no_part_for(self, message: FrameArrived | FrameFailed, why: str) -> None:
        whose = f"camera {message.camera}: " if len(self._views.cameras) > 1 else ""
        found = f"{whose}camera frame triggered at {message.trigger_time_ns} ns"
        self._ports.event("frame_" + why, "warning", found)

    def _trigger_cameras(self, now: int) -> None:
        for camera in self._views.due(now):
            self._ports.trigger_camera(camera)

    def _position(self, time_ns: int) -> float | None:
        """Of the belt, where cameras are placed by it."""
        return self._belt.position(time_ns) if self._belt is not None else None

    def _take_for_teaching(self, frame: Frame) -> bool:
        if self._collect is None:
            return False
        if not self._collect.sink(frame):
            self._collect, self._condition.collecting = None, False
        return True

    def _inspected(self, acquisition_id: int, view: Inspection) -> None:
        self._expire(self._clock())  # this answer may have waited in the inbox until its part's deadline was over
        if self._views.is_open(acquisition_id):
            part = next(part for part in self._ledger.open_parts if part.trigger.acquisition_id == acquisition_id)
            self._judged(part.trigger, view)
            return
        trigger = self._views.cut_short(acquisition_id)
        if trigger is None:
            self._warn(WarningCode.LATE_RESULT, True)
            found = f"acquisition {acquisition_id} {view.decision.verdict.name} came after its part had a result"
            self._ports.event("late_result", "warning", f"{found}; not applied")
            trigger = self._ledger.late(acquisition_id)
        if trigger is not None:
            self._ports.record(self._record(trigger, view.decision, (view,), self._clock(), late=True))

    def _without_frame(self, parts: tuple[OpenPart, ...]) -> None:
        """Parts that the camera or the transport lost: each still gets a verdict."""
        for part in parts:
            self._opened(part, placed=False)
            self._close(part.trigger, error(ReasonCode.LOST_FRAME))

    def _missed(self, count: int, detail: str) -> None:
        """A trigger that came while the station was not ready: the part is Reject, and it is on record."""
        for _ in range(count):
            self._handshake.trigger_missed(self._clock())
            self._ports.event("missed", "error", detail)

    def _opened(self, part: OpenPart, *, placed: bool = True) -> None:
        self._ports.tracking.opened(part, placed=placed)
        if not self._ports.journal_opened(part.trigger):
            self._ports.event(
                "journal_full", "error", f"acquisition {part.trigger.acquisition_id} would not survive a kill"
            )

    def _close(self, trigger: Trigger, decision: Decision) -> None:
        """The one place where a part gets its result: ledger, journal, PLC, record, in this order."""
        views = self._views.close(trigger.acquisition_id, in_time=decision.code is not ReasonCode.DEADLINE)
        decision = self._challenge.closed(trigger.challenge, trigger.acquisition_id, decision)
        if refusal := self._handshake.refusal(decision.verdict, trigger.acquisition_id):
            # the PLC will not be told this verdict, so it must not stand in the books either
            decision = error(refusal, f"was {decision.verdict.name}")
        self._ledger.close(trigger.acquisition_id, decision)
        self._ports.tracking.closed(trigger.acquisition_id, decision)
        now = self._clock()
        result = PartResult(
            acquisition_id=trigger.acquisition_id,
            part_id=trigger.part_id,
            verdict=decision.verdict,
            reason=decision.code,
            score=score_of(views) or 0.0,
            threshold=self._reject_score(views),
            defect_area=round(defect_area_mm2(views) * 1000),
            latency_ms=(now - trigger.time_ns) / 1e6,
            encoder_count=trigger.encoder_count,
            challenge=bool(trigger.challenge),
        )
        self._ports.journal_decided(trigger.acquisition_id, decision.verdict, decision.code)
        self._handshake.result(result, now)
        if self._ledger.fault_due:
            self._raise_fault(ErrorCode.ERRORS_IN_A_ROW, str(decision.reasons[0]) if decision.reasons else "")
        self._refresh(now)
        signalled_ns = self._clock()
        record = self._record(trigger, decision, views, signalled_ns)
        self._ports.record(record)
        self._remember(record)

    def _record(
        self,
        trigger: Trigger,
        decision: Decision,
        views: tuple[Inspection, ...],
        signalled_ns: int,
        *,
        late: bool = False,
    ) -> InspectionRecord:
        return InspectionRecord(
            session=self._identity.session,
            trigger=trigger,
            decision=decision,
            views=views,
            signalled_ns=signalled_ns,
            engine_id=self._inspector.engine_id if self._inspector else "",
            recipe=self._identity.recipe,
            recipe_checksum=self._identity.recipe_checksum,
            config_checksum=self._identity.config_checksum,
            reject_score=self._reject_score(views),
            late=late,
        )

    def _reject_score(self, views: tuple[Inspection, ...] = ()) -> float:
        """The limit in force: that of the view whose score is shown, else the station's."""
        shown = highest_scored(views)
        if shown is not None and shown.reject_score is not None:
            return shown.reject_score
        return self._inspector.reject_score if self._inspector else 0.0

    def _remember(self, record: InspectionRecord) -> None:
        trigger, decision = record.trigger, record.decision
        score = score_of(record.views)
        reason = str(decision.reasons[0]) if decision.reasons else ""
        part = RecentPart(trigger.acquisition_id, trigger.part_id, decision.verdict, score, record.latency_ms, reason)
        self._recent = [*self._recent[-RECENT_PARTS + 1 :], part]

    # ---- state --------------------------------------------------------------------------------------------------

    def _camera_changed(self, message: CameraChanged) -> None:
        cameras = self._condition.cameras
        self._condition.camera_is(message.camera, CameraStatus(message.state, message.detail))
        down = message.state in (CameraState.DOWN, CameraState.FAILED)
        detail = f"{message.camera}: {message.detail}" if len(cameras) > 1 else message.detail
        self._ports.event("camera_" + message.state.name.lower(), "warning" if down else "info", detail)
        self._warn(
            WarningCode.CAMERA_DOWN,
            any(camera.state in (CameraState.DOWN, CameraState.FAILED) for camera in cameras.values()),
        )

    def _set_online(self, online: bool, by: OfflineReason) -> None:
        self._condition.set_online(online, by)
        self._ports.event("online" if online else "offline", "info", by.name.lower())

    def _warn(self, code: WarningCode, active: bool) -> None:
        if self._condition.warn(code, active):
            kind, level = ("warning", "warning") if active else ("warning_over", "info")
            self._ports.event(kind, level, f"{code.name}: {WARNINGS[code].text}")

    def _raise_fault(self, code: ErrorCode, detail: str) -> None:
        if self._condition.raise_fault(code, detail):
            self._ports.event("fault", "error", f"{ERRORS[code].text}: {detail}")

    def _clear_fault(self) -> None:
        self._ledger.clear_fault()
        self._ports.tracking.line_stop_cleared()
        self._warn(WarningCode.LATE_RESULT, False)
        self._warn(WarningCode.WRITER_REFUSED, False)
        if self._condition.clear_fault():
            self._ports.event("fault_cleared", "info", "")

    def _attend_challenge(self) -> None:
        """What the challenge test means for the parts to come, and its news."""
        challenge = self._challenge.machine
        if challenge.waits and self._ledger.is_drained:
            challenge.drained()
        self._ledger.challenge_run = challenge.takes_masters
        self._condition.challenge = challenge.why_off
        for code, active in challenge.warnings.items():
            self._warn(code, active)
        self._challenge.tell(
            recipe=self._identity.recipe,
            recipe_checksum=self._identity.recipe_checksum,
            engine_id=self._inspector.engine_id if self._inspector else "",
        )

    def _refresh(self, now: int) -> None:
        """Brings the handshake up to date and publishes the status block when it changed."""
        condition, inspector = self._condition, self._inspector
        self._attend_challenge()
        challenge = self._challenge.machine
        waiting = self._views.awaits_frame
        requests = self._handshake.station_changed(
            StationStatus(
                online=condition.online,
                can_take_part=condition.takes_parts
                and not (waiting or challenge.waits or self._ledger.is_full or self._ledger.has_challenge_part),
                software_trigger=not self._line_triggered,
                busy=bool(self._ledger.open_parts),
                state=condition.state(enabled=self._handshake.enabled),
                offline_reason=condition.why_offline,
                error_code=condition.fault,
                warning_code=next(iter(condition.warnings), WarningCode.NONE),
                recipe=self._identity.recipe_number,
                recipe_changing=condition.changing is OfflineReason.CHANGING_RECIPE,
                recipe_checksum=_first_32_bits(self._identity.recipe_checksum),
                engine_id=_first_32_bits(inspector.engine_id if inspector else ""),
                config_checksum=_first_32_bits(self._identity.config_checksum),
                threshold=self._reject_score(),
                challenge_due=challenge.due_since_s is not None,
                challenge_running=bool(challenge.takes_masters),
                challenge_state=challenge.state,
                challenge_step=challenge.step,
                line_stop=condition.line_stop,
            ),
            now,
        )
        self._requests(requests, now)
        self._handshake.counted(self._ledger.counters)
        outputs = self._handshake.outputs()
        if outputs != self._published:
            self._published = outputs
            self._ports.publish(outputs)

    def _snapshot(self) -> Snapshot:
        condition = self._condition
        return Snapshot(
            state=condition.state(enabled=self._handshake.enabled),
            online=condition.online,
            ready=self._handshake.ready,
            offline_reason=condition.why_offline,
            error_code=condition.fault,
            error_detail=condition.fault_detail,
            warnings=tuple(condition.warnings),
            cameras=dict(condition.cameras),
            engine_id=self._inspector.engine_id if self._inspector else "",
            recipe=self._identity.recipe,
            recipe_number=self._identity.recipe_number,
            recipe_checksum=self._identity.recipe_checksum,
            config_checksum=self._identity.config_checksum,
            counters=self._ledger.counters,
            in_flight=len(self._ledger.open_parts),
            drained=self._ledger.is_drained,
            challenge=self._challenge.status,
            recent=tuple(self._recent),
        )


def _first_32_bits(checksum: str) -> int:
    """Of a hexadecimal checksum; 0 when there is none."""
    return int(checksum[:8] or "0", 16)
