"""The signalling stage: the one thread that owns ledger, handshake and condition, and tells the PLC.

Everything reaches it as a message in its inbox, in order; everything it decides goes out through `Ports`. `handle` and
`tick` run without the thread, so tests drive a whole station's logic step by step.

This module is the loop: it passes each message to the piece whose business it is. A part's way through the pieces:

    Opening ─► Judging ─► Closing        what the PLC and people read of it all: StatusBlock
     trigger        frames to     ledger, journal,  faults and warnings: Annunciator
     or frame       the engine,   PLC, record       engine and recipe in force: InForce
                    verdicts back

Nothing here touches disk, network or a log.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable

from drivers.plc.protocol import LinkEvent
from station.codes import ErrorCode, OfflineReason, ReasonCode, WarningCode
from station.line.acquisition.stage import CameraChanged, FrameArrived, FrameFailed, OutputFailed
from station.line.challenge.duty import ChallengeDuty
from station.line.challenge.messages import ChallengeConfigured, ResetChallenge, StartChallenge
from station.line.ejection.belt import EncoderBelt
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import (
    ClearErrorRequested,
    Command,
    CommandRefused,
    CommandRequested,
    GoOffline,
    GoOnline,
    HandshakeRequest,
    PartIdLatched,
    PlcHeartbeatLost,
    PlcHeartbeatRestored,
    ResetCounters,
    ResultAcknowledged,
    ResultsWithdrawn,
    SoftwareTriggerTest,
    TriggerMissed,
    TriggerRequested,
)
from station.line.inspection.stage import Inspected, InspectorChanged
from station.line.signalling.annunciator import Annunciator
from station.line.signalling.closing import Closing
from station.line.signalling.condition import CameraStatus, Condition
from station.line.signalling.in_force import InForce
from station.line.signalling.judging import Judging
from station.line.signalling.ledger import Ledger
from station.line.signalling.messages import (
    Ask,
    Changing,
    ClearFault,
    Collect,
    CommandFinished,
    IdentityChanged,
    Message,
    PlcWrote,
    RaiseFault,
    SetOnline,
    Stop,
    Warn,
)
from station.line.signalling.opening import Opening
from station.line.signalling.ports import Ports
from station.line.signalling.snapshot import Snapshot
from station.line.signalling.status import StatusBlock
from station.line.signalling.view_matching import ViewMatching
from station.results import Decision, Identity

LONGEST_WAIT_S = 0.2
FOREVER_NS = 3_600_000_000_000
ACKNOWLEDGE_NS = 500_000_000
"""What a PLC gets at a stop to acknowledge the last results."""


class Signalling:
    """A thread with an inbox."""

    def __init__(
        self,
        ledger: Ledger,
        views: ViewMatching,
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
        self._challenge = challenge
        self._clock = clock
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="signalling")
        self._stopped = threading.Event()
        self._last_turn_ns = clock()
        self._give_up_ns = 0

        self._in_force = InForce(identity)
        self._condition = Condition(
            tracks=tracks, line_triggered=line_triggered, cameras=dict.fromkeys(views.cameras, CameraStatus())
        )
        self._annunciator = Annunciator(self._condition, ports.event)
        self._status = StatusBlock(
            ports,
            ledger=ledger,
            views=views,
            handshake=handshake,
            challenge=challenge,
            annunciator=self._annunciator,
            in_force=self._in_force,
            software_trigger=not line_triggered,
        )
        self._closing = Closing(
            ports,
            ledger=ledger,
            views=views,
            handshake=handshake,
            challenge=challenge,
            annunciator=self._annunciator,
            in_force=self._in_force,
            status=self._status,
            clock=clock,
        )
        self._judging = Judging(
            ports,
            ledger=ledger,
            views=views,
            handshake=handshake,
            condition=self._condition,
            in_force=self._in_force,
            closing=self._closing,
            belt=belt,
        )
        self._opening = Opening(
            ports,
            ledger=ledger,
            handshake=handshake,
            in_force=self._in_force,
            status=self._status,
            judging=self._judging,
            closing=self._closing,
            line_triggered=line_triggered,
        )
        self._status.refresh(clock())

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
                self._closing.close(part, Decision.error(ReasonCode.STOPPED))
            self._condition.stopped = True
            self._status.refresh(self._clock())
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
        self._opening.expire(now)
        self._judging.tick(now)
        self._requests(self._handshake.tick(now), now)
        self._status.refresh(now)

    def handle(self, message: Message) -> None:
        """One message from another stage."""
        now = self._clock()
        match message:
            case PlcWrote(inputs):
                if self._belt is not None:
                    self._belt.sample(inputs.encoder_now, now)
                self._challenge.mode(inputs.challenge_mode)
                self._requests(self._handshake.plc_wrote(inputs, now), now)
            case FrameArrived() | FrameFailed() if message.camera == self._views.lead:
                self._opening.frame(message, now)
            case FrameArrived() | FrameFailed():
                self._judging.frame(message, now)
            case Inspected(acquisition_id, inspection):
                self._opening.expire(now)  # the answer may have waited in the inbox until its part's deadline was over
                self._judging.inspected(acquisition_id, inspection)
            case CameraChanged():
                self._annunciator.camera_changed(message)
            case OutputFailed():
                detail = f"{message.line} = {message.value}: {message.detail}"
                self._annunciator.raise_fault(ErrorCode.EJECTOR_FAILED, detail)
            case InspectorChanged(inspector):
                self._in_force.inspector, self._in_force.since_ns = inspector, now
                self._condition.changing, self._condition.has_engine = None, inspector is not None
            case LinkEvent():
                self._annunciator.link_changed(message)
            case SetOnline(online, reason):
                self._annunciator.set_online(online, reason)
            case Changing(why):
                self._condition.changing = why
            case CommandFinished(serial, succeeded):
                self._handshake.command_finished(serial, succeeded, now)
            case IdentityChanged(identity):
                self._in_force.identity = identity
            case StartChallenge() | ResetChallenge() | ChallengeConfigured():
                self._challenge.handle(message, teaching=self._condition.collecting)
            case Warn(code, active):
                self._annunciator.warn(code, active)
            case RaiseFault(code, detail):
                self._annunciator.raise_fault(code, detail)
            case ClearFault():
                self._clear_fault()
            case Collect(sink):
                self._judging.teach(sink)
            case Ask(reply):
                reply.put(self._status.snapshot(self._closing.recent))
            case Stop():
                self._condition.stopping = True
        self._status.refresh(now)

    # ---- what the PLC wants -------------------------------------------------------------------------------------

    def _requests(self, requests: Iterable[HandshakeRequest], now: int) -> None:
        for request in requests:
            match request:
                case TriggerRequested():
                    self._opening.triggered("plc", now, request.part_id, request.encoder_count, request.deadline_ms)
                case SoftwareTriggerTest():
                    self._opening.triggered("software", now)
                case TriggerMissed():
                    self._opening.trigger_missed(request, now)
                case PartIdLatched():
                    self._opening.latched(request, now)
                case GoOnline():
                    self._annunciator.set_online(True, OfflineReason.BY_PLC)
                case GoOffline():
                    self._annunciator.set_online(False, OfflineReason.BY_PLC)
                case ClearErrorRequested():
                    self._clear_fault()
                case ResetCounters():
                    self._ledger.reset_counters()
                    self._ports.tracking.counters_reset()
                case PlcHeartbeatLost():
                    self._annunciator.warn(WarningCode.PLC_HEARTBEAT_FROZEN, True)
                case PlcHeartbeatRestored():
                    self._annunciator.warn(WarningCode.PLC_HEARTBEAT_FROZEN, False)
                case CommandRequested(Command.START_CHALLENGE_TEST, _, serial):
                    refused = self._challenge.start("plc", teaching=self._condition.collecting)
                    self._handshake.command_finished(serial, not refused, now)
                case CommandRequested():
                    self._ports.command(request)
                case CommandRefused(command, why):
                    self._ports.event("command_refused", "warning", f"command {command}: {why}")
                case ResultsWithdrawn():
                    self._status.withdrawn(request)
                case ResultAcknowledged(acquisition_id):
                    if (part := self._ledger.closed(acquisition_id)) is not None:
                        self._ports.acknowledged(acquisition_id, (now - part.time_ns) / 1e6)

    def _clear_fault(self) -> None:
        self._ledger.clear_fault()
        self._ports.tracking.line_stop_cleared()
        self._annunciator.clear_fault()
