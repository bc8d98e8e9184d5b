"""The handshake with the PLC: what each bit and register of the map means, and when it changes.

Pure and clock-injected: no threads, no sockets, no clock. One thread (signalling) owns the one instance. The PLC's
writes go in through `plc_wrote`, time through `tick`, what happens to parts through `trigger_accepted`,
`exposure_completed`, `result`; what the PLC asks for comes out as requests, what the PLC reads as `outputs()`.

    trigger   Trigger rises, TriggerReady was 1 ─► TriggerRequested ─► trigger_accepted: TriggerAck, Busy
              ─► exposure_completed: ExposureComplete ─► result: Busy falls
    result    waits in the queue ─► ResultsAck is 0: registers, bits, InspectionCompleted toggles, ResultsValid
              ─► ResultsAck is 1: everything of the result falls ─► ResultsAck is 0: the next one
    reset     TriggerEnable falls: every bit of the two above falls, results not acknowledged are given up

Fail-safe rules held here:

* Reject is 1 unless ResultsValid and Pass are. Pass needs: online, no fault, the PLC's heartbeat alive.
* When one of those ends, every PASS that the PLC has not acknowledged is withdrawn for good; it does not come back
  with the heartbeat. A PASS that arrives then is signalled as an error with the reason.
* A result is shown for a part that was announced (`trigger_accepted`) and has had none. Anything else that is no PASS
  is shown too (a part may fail before its trigger was seen); anything else that is a PASS is not.
* The content under one InspectionId never changes. After ResultsAck, Result is 0 and Reject 1.
* The PLC's heartbeat is supervised while TriggerEnable is 1, whether it ever moved or not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import fields, replace

from drivers.plc.protocol import PlcInputs, PlcOutputs
from drivers.plc.signal_map import MAP_VERSION, VERSION_WITHOUT_BATCHES
from station.codes import ReasonCode, WarningCode
from station.command_results import CommandResult
from station.line.handshake.commands import Commands, CommandState
from station.line.handshake.heartbeats import Heartbeats
from station.line.handshake.messages import (
    ClearErrorRequested,
    GoOffline,
    GoOnline,
    HandshakeRequest,
    HandshakeSettings,
    PartIdLatched,
    PartResult,
    PlcHeartbeatLost,
    PlcHeartbeatRestored,
    ResultAcknowledged,
    ResultOutcome,
    ResultsWithdrawn,
    StationStatus,
    TriggerMissed,
    TriggerRequested,
)
from station.results import PartCounts, Verdict

NS_PER_S = 1_000_000_000
U32 = 0xFFFF_FFFF


class Handshake:
    """Owns every bit and register that the PLC reads. Called by the signalling thread; never reads a clock."""

    def __init__(self, settings: HandshakeSettings, now_ns: int) -> None:
        self._settings = settings
        self._inputs = PlcInputs()
        self._status = StationStatus()
        self._counts = PartCounts()
        self._heartbeats = Heartbeats(_ns(settings.heartbeat_period_s), _ns(settings.plc_heartbeat_timeout_s), now_ns)
        self._acquisition_id = 0
        self._trigger_pending = False
        self._trigger_ack = False
        self._exposure_complete = False
        self._missed_trigger = False
        self._latched: PartIdLatched | None = None
        self._part_id_ack = False
        self._exposing: dict[int, bool] = {}
        """Parts whose pictures are not all taken, and whether TriggerReady waits for them."""
        self._open: set[int] = set()
        self._given_up: set[int] = set()
        """Triggered before or in a reset: their results are not shown."""
        self._queue: deque[PartResult] = deque()
        self._standing = False
        """The first of the queue is shown, and not acknowledged."""
        self._toggle = False
        self._overrun = False
        self._commands = Commands(
            _ns(settings.command_timeout_s),
            _ns(settings.command_release_s),
            _ns(settings.load_timeout_s),
            batches=settings.batches,
        )

    def __repr__(self) -> str:
        """In one line, for debugging: the bits that the PLC reads as 1."""
        bits = self.outputs()
        up = (field.name for field in fields(bits) if getattr(bits, field.name) is True)
        return f"<Handshake up: {', '.join(up) or 'none'}; results: {len(self._queue)}>"

    @property
    def inputs(self) -> PlcInputs:
        """What the PLC wrote last."""
        return self._inputs

    @property
    def enabled(self) -> bool:
        """TriggerEnable."""
        return self._inputs.trigger_enable

    @property
    def ready(self) -> bool:
        """TriggerReady: a trigger is taken now."""
        return (
            self._inputs.trigger_enable
            and self._status.online
            and self._status.can_take_part
            and not self._status.fault
            and self._heartbeats.plc_alive
            and not self._trigger_pending
            and not any(self._exposing.values())
            and not (self._inputs.buffer_enable and self._free_slots == 0)
        )

    @property
    def plc_alive(self) -> bool:
        """PlcHeartbeat moves, or is not supervised. False is the warning PLC_HEARTBEAT_FROZEN, for PLC and people."""
        return self._heartbeats.plc_alive

    @property
    def has_results(self) -> bool:
        """Results wait to be acknowledged."""
        return bool(self._queue)

    @property
    def in_flight(self) -> frozenset[int]:
        """Parts announced by `trigger_accepted` that have no result yet, also those of before a reset."""
        return frozenset(self._open | self._given_up)

    @property
    def has_slot(self) -> bool:
        """One more result can be signalled."""
        return not self._inputs.buffer_enable or len(self._queue) < self._settings.result_slots

    def refusal(self, verdict: Verdict, acquisition_id: int = 0) -> ReasonCode:
        """Reason why this verdict of this part cannot be signalled now, or NONE.

        Asked before `result`, so that the books never say PASS of a part for which the PLC reads something else.
        """
        if not self.has_slot:
            return ReasonCode.RESULT_OVERRUN
        if verdict is not Verdict.PASS:
            return ReasonCode.NONE
        if not self.enabled or acquisition_id in self._given_up:
            return ReasonCode.HANDSHAKE_RESET
        if not self._status.online or self._status.fault:
            return ReasonCode.OFFLINE
        return ReasonCode.NONE if self._heartbeats.plc_alive else ReasonCode.PLC_LOST

    def next_wakeup_ns(self) -> int:
        """When `tick` has work next."""
        heartbeat_ns = self._heartbeats.next_wakeup_ns(supervised=self.enabled)
        command_ns = self._commands.next_wakeup_ns
        return heartbeat_ns if command_ns is None else min(heartbeat_ns, command_ns)

    def outputs(self) -> PlcOutputs:
        """The status block as it is now."""
        result = self._queue[0] if self._standing else None
        status, counts, command, batches = self._status, self._counts, self._commands.state, self._settings.batches
        passed = result is not None and result.verdict is Verdict.PASS
        warning = status.warning_code if self._heartbeats.plc_alive else WarningCode.PLC_HEARTBEAT_FROZEN
        return PlcOutputs(
            online=status.online,
            trigger_ready=self.ready,
            trigger_ack=self._trigger_ack,
            busy=status.busy or bool(self._open or self._given_up),
            exposure_complete=self._exposure_complete,
            inspection_completed=self._toggle,
            results_valid=result is not None,
            pass_=passed,
            reject=not passed,
            review=result is not None and result.verdict is Verdict.REVIEW,
            overrun=self._overrun,
            missed_trigger=self._missed_trigger,
            executing=command is CommandState.EXECUTING,
            command_completed=command is CommandState.COMPLETED,
            command_failed=command is CommandState.FAILED,
            fault=status.fault,
            warning=warning is not WarningCode.NONE,
            drift=status.drift,
            challenge_due=status.challenge_due,
            challenge_running=result.challenge if result else status.challenge_running,
            challenge_state=status.challenge_state,
            challenge_step=status.challenge_step,
            part_id_ack=self._part_id_ack,
            line_stop=status.line_stop,
            heartbeat=self._heartbeats.count,
            state=status.state,
            offline_reason=status.offline_reason,
            error_code=status.error_code,
            warning_code=warning,
            free_result_slots=self._free_slots,
            acquisition_id=self._acquisition_id & U32,
            inspection_id=result.acquisition_id & U32 if result else 0,
            part_id_echo=result.part_id & U32 if result else 0,
            result=result.verdict if result else 0,
            reason_code=result.reason if result else 0,
            score=result.score if result else 0.0,
            threshold=result.threshold if result else status.threshold,
            defect_area=result.defect_area if result else 0,
            latency=round(result.latency_ms * 10) if result else 0,
            defect_class=result.defect_class if result else 0,
            encoder_count_echo=result.encoder_count & U32 if result else 0,
            recipe=status.recipe,
            engine_id=status.engine_id,
            config_checksum=status.config_checksum,
            recipe_changing=status.recipe_changing,
            recipe_checksum=status.recipe_checksum,
            count_triggers=counts.triggers,
            count_pass=counts.passed,
            count_fail=counts.failed,
            count_review=counts.review,
            count_error=counts.error,
            count_missed=counts.missed,
            map_version=MAP_VERSION if batches else VERSION_WITHOUT_BATCHES,
            command_result=self._commands.result if batches else 0,
            batch_number=status.batch & U32 if batches else 0,
        )

    def station_changed(self, status: StationStatus, now_ns: int) -> list[ResultsWithdrawn]:
        """The state of the station; offline or a fault withdraws every PASS not acknowledged."""
        self._status = status
        self._commands.online_is(status.online, now_ns)
        return self._withdraw_passes() if not status.online or status.fault else []

    def counted(self, counts: PartCounts) -> None:
        """The counters of the ledger, any time they may have changed."""
        self._counts = counts

    def trigger_accepted(self, acquisition_id: int, now_ns: int, *, holds_ready: bool = True) -> None:
        """A part was opened, by the PLC's trigger or any other. `now_ns`: time of the trigger, or now.

        `holds_ready`: the next trigger has to wait for the pictures of this one; a light barrier does not wait.
        """
        self._acquisition_id = acquisition_id
        if self.enabled:
            self._open.add(acquisition_id)
        else:
            self._given_up.add(acquisition_id)
        self._exposing[acquisition_id] = holds_ready
        # One left standing would say of this part that it may move.
        self._exposure_complete = False
        if self._latched is not None and self._latched.time_ns <= now_ns:
            self._latched = None
        if self._trigger_pending:
            self._trigger_pending = False
            self._trigger_ack = self._inputs.trigger

    def trigger_missed(self) -> None:
        """A trigger was not taken: by `TriggerRequested`, or one of the camera line while not ready.

        In reset (TriggerEnable 0) nothing latches, or the PLC would wait forever for all bits to be 0.
        """
        self._trigger_pending = False
        self._missed_trigger = self._missed_trigger or self.enabled or self._inputs.trigger
        if self.enabled and self._inputs.buffer_enable and self._free_slots == 0:
            self._overrun = True

    def exposure_completed(self, acquisition_id: int) -> None:
        """The part may move."""
        if acquisition_id in self._exposing:
            del self._exposing[acquisition_id]
            self._exposure_complete = self._exposure_complete or acquisition_id in self._open

    def result(self, result: PartResult) -> ResultOutcome:
        """The one result of a part."""
        self.exposure_completed(result.acquisition_id)  # whatever became of the picture, the part may move
        announced = result.acquisition_id in self._open
        given_up = result.acquisition_id in self._given_up
        self._open.discard(result.acquisition_id)
        self._given_up.discard(result.acquisition_id)
        if given_up or not self._inputs.trigger_enable or (result.verdict is Verdict.PASS and not announced):
            return ResultOutcome.DISCARDED
        if not self.has_slot:
            self._overrun = True
            return ResultOutcome.OVERRUN
        outcome = ResultOutcome.SIGNALLED
        if code := self.refusal(result.verdict, result.acquisition_id):
            result = replace(result, verdict=Verdict.ERROR, reason=code)
            outcome = ResultOutcome.WITHHELD
        if self._queue and not self._inputs.buffer_enable:
            self._queue.clear()
            self._standing = False
            outcome = ResultOutcome.REPLACED if outcome is ResultOutcome.SIGNALLED else outcome
        self._queue.append(result)
        self._show_next()
        return outcome

    def command_finished(
        self, serial: int, succeeded: bool, now_ns: int, why: CommandResult = CommandResult.REFUSED
    ) -> None:
        """A `CommandRequested` has ended; the outcome of one that has timed out meanwhile is not reported."""
        if serial == self._commands.serial:
            self._commands.finished(succeeded, now_ns, why)

    def tick(self, now_ns: int) -> list[HandshakeRequest]:
        """What time alone brings: heartbeats both ways, the end of commands."""
        self._commands.tick(now_ns)
        if self._heartbeats.tick(now_ns, supervised=self.enabled):
            return [PlcHeartbeatLost(), *self._withdraw_passes()]
        return []

    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> list[HandshakeRequest]:
        """The control block after a write. Edges are found against the block before."""
        was_ready, before, self._inputs = self.ready, self._inputs, inputs
        requests: list[HandshakeRequest] = []

        moved = inputs.plc_heartbeat != before.plc_heartbeat or inputs.trigger_enable != before.trigger_enable
        if moved and self._heartbeats.plc_moved(now_ns):
            requests.append(PlcHeartbeatRestored())
        if before.trigger_enable and not inputs.trigger_enable:
            requests += self._reset()
        if inputs.set_offline != before.set_offline:
            requests.append(GoOffline() if inputs.set_offline else GoOnline())
        if inputs.clear_error and not before.clear_error:
            self._missed_trigger = self._overrun = False
            requests.append(ClearErrorRequested())
        if inputs.clear_exposure_complete and not before.clear_exposure_complete:
            self._exposure_complete = False
        requests += self._acknowledge(inputs)
        requests += self._latch(before, inputs, now_ns)
        requests += self._trigger(before, inputs, was_ready)
        software_trigger = self._status.software_trigger
        requests += self._commands.wrote(inputs, ready=self.ready, now_ns=now_ns, software_trigger=software_trigger)
        return requests

    def _acknowledge(self, inputs: PlcInputs) -> list[HandshakeRequest]:
        if inputs.results_ack and self._standing:
            self._standing = False
            return [ResultAcknowledged(self._queue.popleft().acquisition_id)]
        self._show_next()
        return []

    def _latch(self, before: PlcInputs, inputs: PlcInputs, now_ns: int) -> list[HandshakeRequest]:
        if not inputs.latch_part_id:
            self._part_id_ack = False
        elif not before.latch_part_id:
            self._part_id_ack = True
            self._latched = PartIdLatched(inputs.part_id, inputs.encoder_count, inputs.deadline_ms, now_ns)
            return [self._latched]
        return []

    def _trigger(self, before: PlcInputs, inputs: PlcInputs, was_ready: bool) -> list[HandshakeRequest]:
        if not inputs.trigger:
            self._trigger_ack = False
            self._missed_trigger = self._missed_trigger and inputs.trigger_enable
        elif not before.trigger:
            latched = self._latched or PartIdLatched(0, inputs.encoder_count, inputs.deadline_ms, 0)
            self._latched = None
            if was_ready and self.ready:
                self._trigger_pending = True
                return [TriggerRequested(latched.part_id, latched.encoder_count, latched.deadline_ms)]
            self.trigger_missed()
            return [TriggerMissed(latched.part_id)]
        return []

    def _show_next(self) -> None:
        if self._queue and not self._standing and not self._inputs.results_ack:
            self._standing = True
            self._toggle = not self._toggle

    def _reset(self) -> list[HandshakeRequest]:
        """TriggerEnable fell: every bit of trigger and result falls; parts in flight end without being shown."""
        withdrawn = tuple(result.acquisition_id for result in self._queue)
        self._queue.clear()
        self._given_up |= self._open
        self._open.clear()
        self._latched = None
        self._standing = self._toggle = self._overrun = self._missed_trigger = False
        self._trigger_pending = self._trigger_ack = self._exposure_complete = self._part_id_ack = False
        return [ResultsWithdrawn(withdrawn)] if withdrawn else []

    def _withdraw_passes(self) -> list[ResultsWithdrawn]:
        passes = tuple(result.acquisition_id for result in self._queue if result.verdict is Verdict.PASS)
        if not passes:
            return []
        self._standing = self._standing and self._queue[0].verdict is not Verdict.PASS
        self._queue = deque(result for result in self._queue if result.verdict is not Verdict.PASS)
        self._show_next()
        return [ResultsWithdrawn(passes)]

    @property
    def _free_slots(self) -> int:
        """Slots that neither a result nor a part in flight will need."""
        return max(0, self._settings.result_slots - len(self._queue) - len(self._open))


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
