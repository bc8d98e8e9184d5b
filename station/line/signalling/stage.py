"""The signalling stage: the one thread that owns ledger, handshake and condition, and decides what the PLC reads.

Everything reaches it as a message in its inbox, in order; everything it decides goes out through `Ports`. `handle` and
`tick` run without the thread, so tests drive a whole station's logic step by step.

This module is the loop: it passes each message to the piece whose business it is. A part's way through the pieces, all
of which share one `Desk`:

    Opening ─────► Judging ─────► Closing          what the PLC and people read of it all: StatusBlock
     trigger        frames to      ledger, journal,  faults, warnings, on or off line: Condition
     or frame       the engine,    PLC, record       engine and recipe in use: InForce
                    verdicts back

Nothing here touches disk, network or a log.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable

from drivers.plc.protocol import LinkEvent
from station import noted
from station.codes import ErrorCode, OfflineReason, ReasonCode, WarningCode
from station.line.acquisition.messages import CameraChanged, CameraSaid, FrameArrived, FrameFailed, OutputFailed
from station.line.challenge.duty import ChallengeDuty
from station.line.challenge.messages import (
    ChallengeConfigured,
    ConfirmPart,
    ResetChallenge,
    StartChallenge,
    StartStudy,
)
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
from station.line.signalling.closing import Closing
from station.line.signalling.condition import Condition
from station.line.signalling.desk import Desk
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
    TriggerTest,
    Warn,
)
from station.line.signalling.opening import Opening
from station.line.signalling.ports import Ports
from station.line.signalling.snapshot import Snapshot
from station.line.signalling.status import StatusBlock
from station.line.signalling.view_matching import ViewMatching
from station.results import Decision, Identity

LONGEST_WAIT_S = 0.2
CLOCK_STEP_S = 1.0
"""A clock that moves by more than this between two turns was set."""
FOREVER_NS = 3_600_000_000_000
ACKNOWLEDGE_NS = 500_000_000
"""What a PLC gets at a stop to acknowledge the last results."""


class Signalling:
    """Owns the thread, its inbox and its desk. Any thread may `post`, start, stop and ask; one handles and ticks."""

    def __init__(
        self,
        ledger: Ledger,
        views: ViewMatching,
        handshake: Handshake,
        ports: Ports,
        identity: Identity,
        *,
        challenge: ChallengeDuty,
        tracks: bool = False,
        belt: EncoderBelt | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`clock` decides; `wall_clock`, in ns since the epoch, is for people and may be set at any time."""
        condition = Condition(views.cameras, ports.event, line_triggered=views.line_triggered, tracks=tracks)
        self._desk = desk = Desk(ledger, views, handshake, challenge, condition, InForce(identity), ports, clock, belt)
        self._status = StatusBlock(desk)
        self._closing = Closing(desk, self._status)
        self._opening = Opening(desk, self._status, self._closing)
        self._judging = Judging(desk, self._opening, self._closing)

        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="signalling")
        self._stopped = threading.Event()
        self._wall_clock = wall_clock
        self._wall_offset_ns = wall_clock() - clock()
        self._last_turn_ns = clock()
        self.turns = 0
        """How often the loop has turned; the supervisor looks at it."""
        self._give_up_ns = 0
        self._turned(clock())

    # ---- from other threads -------------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def idle_for_s(self) -> float:
        """Seconds since the loop last turned; the watchdog looks at it."""
        return (self._desk.clock() - self._last_turn_ns) / 1e9

    @property
    def last_turn_ns(self) -> int:
        """When the loop last turned."""
        return self._last_turn_ns

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
        """The state now. Raises queue.Empty when the stage does not put it there in time."""
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
                    self._take(message)
                self.tick()  # and the end of the message's turn: what the PLC reads is gathered once for both
        finally:
            # whatever ended the loop: no part without a verdict, and the PLC reads Reject
            desk = self._desk
            self._opening.expire(desk.clock() + FOREVER_NS)
            for part in desk.ledger.open_parts:
                self._closing.close(part, Decision.error(ReasonCode.STOPPED))
            desk.condition.stopped()
            self._turned(desk.clock())
            self._stopped.set()

    def _may_end(self) -> bool:
        """A stop was asked for, no part is in flight, and the PLC has read the last results or had its time to."""
        desk = self._desk
        if not (desk.condition.is_stopping and desk.ledger.is_empty):
            return False
        self._give_up_ns = self._give_up_ns or desk.clock() + ACKNOWLEDGE_NS
        return not desk.handshake.has_results or desk.clock() >= self._give_up_ns

    def _wait_s(self) -> float:
        desk = self._desk
        wakeups = [desk.handshake.next_wakeup_ns()]
        for wakeup in (desk.ledger.next_wakeup_ns(), desk.views.next_wakeup_ns()):
            if wakeup is not None:
                wakeups.append(wakeup)
        return min(max((min(wakeups) - desk.clock()) / 1e9, 0.0), LONGEST_WAIT_S)

    def _read_wall_clock(self) -> None:
        """Parts are dated by the clock as it is now. That it was set is an event; that it drifts is none."""
        offset_ns = self._wall_clock() - self._desk.clock()
        step_s = (offset_ns - self._wall_offset_ns) / 1e9
        self._wall_offset_ns = offset_ns
        self._desk.ledger.wall_clock_is(offset_ns)
        if abs(step_s) >= CLOCK_STEP_S:
            self._desk.ports.event("clock_set", "warning", noted.CLOCK_SET(step=f"{step_s:+.1f}"))

    def tick(self) -> None:
        """What time alone brings: deadlines, heartbeats, command releases."""
        self._read_wall_clock()
        now = self._last_turn_ns = self._desk.clock()
        self.turns += 1
        self._desk.challenge.tick()
        self._judging.tick(now)
        self._requests(self._desk.handshake.tick(now), now)
        self._turned(now)

    def handle(self, message: Message) -> None:
        """One message from another stage, as a turn of its own."""
        self._take(message)
        self._turned(self._desk.clock())

    def _take(self, message: Message) -> None:  # noqa: PLR0912, PLR0915  one case a message
        desk = self._desk
        condition = desk.condition
        self._read_wall_clock()
        now = desk.clock()
        match message:
            case PlcWrote(inputs, time_ns):
                if desk.belt is not None:
                    desk.belt.sample(inputs.encoder_now, time_ns)
                desk.challenge.mode(inputs.challenge_mode)
                self._requests(desk.handshake.plc_wrote(inputs, time_ns), now)
            case FrameArrived() | FrameFailed():
                self._judging.frame(message, now)
            case Inspected(acquisition_id, inspection):
                self._judging.inspected(acquisition_id, inspection, now)
            case CameraChanged():
                condition.camera_changed(message)
            case CameraSaid(camera, line):
                desk.ports.event("camera_library", "info", f'camera "{camera}": {line}')
            case OutputFailed(_, line, value, detail):
                condition.raise_fault(ErrorCode.EJECTOR_FAILED, f"{line} = {value}: {detail}")
            case InspectorChanged(inspector, after, identity):
                desk.in_force.install(inspector, now, after=after, identity=identity)
                condition.engine_is(inspector is not None)
                condition.end_change()
            case LinkEvent():
                condition.link_changed(message)
            case SetOnline(online, reason):
                condition.set_online(online, reason)
            case Changing(why) if why is not None:
                condition.begin_change(why)
            case Changing():
                condition.end_change()
            case CommandFinished(serial, succeeded, why):
                desk.handshake.command_finished(serial, succeeded, now, why)
            case IdentityChanged(identity):
                desk.in_force.identify(identity)
            case StartChallenge() | StartStudy() | ConfirmPart() | ResetChallenge() | ChallengeConfigured():
                desk.challenge.handle(message, teaching=condition.is_collecting)
            case Warn(code, active):
                condition.warn(code, active)
            case RaiseFault(code, detail):
                condition.raise_fault(code, detail)
            case ClearFault():
                self._clear_fault()
            case Collect(sink):
                self._judging.teach(sink)
            case TriggerTest():
                self._judging.try_trigger(message)
            case Ask(reply):
                reply.put(self._status.snapshot(self._closing.recent))
            case Stop():
                condition.stop()

    def _turned(self, now: int) -> None:
        """The end of a turn, of a message or a tick: what the challenge test makes of it, and what the PLC reads."""
        desk = self._desk
        challenge = desk.challenge
        challenge.attend(
            drained=desk.ledger.is_drained,
            has_master=desk.ledger.has_challenge_part,
            identity=desk.in_force.identity,
            engine_id=desk.in_force.engine_id,
        )
        desk.ledger.assign_to_challenge(challenge.machine.takes_masters, challenge.machine.part_ids)
        desk.condition.challenge_keeps_off(challenge.keeps_off)
        for code, active in challenge.machine.warnings.items():
            desk.condition.warn(code, active)
        self._status.refresh(now)

    # ---- what the PLC wants -------------------------------------------------------------------------------------

    def _requests(self, requests: Iterable[HandshakeRequest], now: int) -> None:  # noqa: PLR0912  one case a request
        desk = self._desk
        condition = desk.condition
        for request in requests:
            match request:
                case TriggerRequested(part_id, encoder_count, deadline_ms):
                    self._judging.begin(self._opening.triggered("plc", now, part_id, encoder_count, deadline_ms), now)
                case SoftwareTriggerTest():
                    self._judging.begin(self._opening.triggered("software", now), now)
                case TriggerMissed():
                    self._opening.trigger_missed(request, now)
                case PartIdLatched():
                    self._opening.latched(request)
                case GoOnline():
                    condition.set_online(True, OfflineReason.BY_PLC)
                case GoOffline():
                    condition.set_online(False, OfflineReason.BY_PLC)
                case ClearErrorRequested():
                    self._clear_fault()
                case ResetCounters():
                    desk.ledger.reset_counters()
                    desk.ports.tracking.counters_reset()
                case PlcHeartbeatLost():
                    condition.log_warning(WarningCode.PLC_HEARTBEAT_FROZEN, True)
                case PlcHeartbeatRestored():
                    condition.log_warning(WarningCode.PLC_HEARTBEAT_FROZEN, False)
                case CommandRequested(Command.START_CHALLENGE_TEST, _, serial):
                    refused = desk.challenge.start_or_confirm("plc", teaching=condition.is_collecting)
                    desk.handshake.command_finished(serial, not refused, now)
                case CommandRequested():
                    desk.ports.command(request)
                case CommandRefused(command, why):
                    desk.ports.event("command_refused", "warning", noted.COMMAND(command=command, why=why))
                case ResultsWithdrawn():
                    self._status.withdrawn(request)
                case ResultAcknowledged(acquisition_id):
                    if (part := desk.ledger.closed(acquisition_id)) is not None:
                        desk.ports.acknowledged(acquisition_id, (now - part.time_ns) / 1e6)

    def _clear_fault(self) -> None:
        self._desk.ledger.clear_fault()
        self._desk.ports.tracking.line_stop_cleared()
        self._desk.condition.clear_fault()
