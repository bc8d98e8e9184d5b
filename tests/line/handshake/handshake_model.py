"""The handshake beside what it must do: everything that is put in is remembered, and after every step all is checked.

Drivers choose what happens: hypothesis (test_handshake_machine.py), which finds the shortest way to a mistake, and a
random walk of millions of steps (benchmarks/handshake_steps.py). Books are kept by the real ledger. Only requests and
outputs of the handshake are looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from drivers.plc.protocol import PlcInputs, PlcOutputs
from drivers.plc.signal_map import Area, points_of
from station.codes import ErrorCode, ReasonCode, WarningCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import (
    HandshakeRequest,
    HandshakeSettings,
    PartIdLatched,
    PartResult,
    ResetCounters,
    ResultAcknowledged,
    ResultOutcome,
    ResultsWithdrawn,
    SoftwareTriggerTest,
    StationState,
    StationStatus,
    TriggerMissed,
    TriggerRequested,
)
from station.line.signalling.ledger import Ledger, LedgerSettings
from station.results import Decision, Reason, Verdict

MS = 1_000_000
SLOTS = 3
COILS = [point.attribute for point in points_of(Area.COIL)]
PAUSES_MS = (1, 500, 1000, 3000, 10_000)
ONLINE = StationStatus(online=True, can_take_part=True, state=StationState.READY)
MECHANISM = (
    "trigger_ready",
    "trigger_ack",
    "exposure_complete",
    "inspection_completed",
    "results_valid",
    "pass_",
    "review",
    "overrun",
    "missed_trigger",
    "part_id_ack",
)
"""Bits of trigger and result, which the reset sequence brings to 0."""
_REASONS = (Reason(ReasonCode.SCORE_ABOVE_LIMIT),)


class HandshakeModel:
    """A station with the real handshake and the real ledger, and a PLC without manners."""

    def __init__(self) -> None:
        self.now = 0
        self.handshake = Handshake(HandshakeSettings(result_slots=SLOTS), self.now)
        self.ledger = Ledger(LedgerSettings(), wall_offset_ns=0)
        self.status = StationStatus()
        self.inputs = PlcInputs()
        self.before = self.handshake.outputs()
        self.latched: PartIdLatched | None = None
        self.part_ids: dict[int, int] = {}
        self.exposing: list[int] = []
        self.in_flight: list[int] = []
        self.missed = 0
        self.results: dict[int, PartResult] = {}
        """What the PLC is to read."""
        self.passes: set[int] = set()
        """Parts that the books call PASS."""
        self.signalled: list[int] = []
        self.shown: list[int] = []
        self.contents: dict[int, tuple[object, ...]] = {}
        self.acknowledged: list[int] = []
        self.withdrawn: list[int] = []
        self.resets = self.before_resets = 0
        self.plc_moved_ns = 0

    # ---- the PLC ------------------------------------------------------------------------------------------------

    def write(self, **changes: Any) -> None:
        """The PLC changes points of its control block in one request."""
        before, self.inputs = self.inputs, dataclasses.replace(self.inputs, **changes)
        ready = self.handshake.ready
        if before.plc_heartbeat != self.inputs.plc_heartbeat or before.trigger_enable != self.inputs.trigger_enable:
            self.plc_moved_ns = self.now
        if before.trigger_enable and not self.inputs.trigger_enable:
            self.resets += 1
            self.latched = None
        requests = self.handshake.plc_wrote(self.inputs, self.now)
        triggers = [r for r in requests if isinstance(r, TriggerRequested | TriggerMissed)]
        assert len(triggers) == (self.inputs.trigger and not before.trigger), "one answer to each rising edge"
        assert ready or not any(isinstance(r, TriggerRequested) for r in triggers)
        self.take(requests)

    def behave(self, *, acknowledge: bool, buffer: bool) -> None:
        """What a correct program writes next; without it the deeper states are hardly reached."""
        out = self.handshake.outputs()
        self.write(
            trigger_enable=True,
            buffer_enable=buffer,
            set_offline=False,
            trigger=out.trigger_ready and not self.inputs.trigger,
            results_ack=out.results_valid and acknowledge,
            plc_heartbeat=(self.inputs.plc_heartbeat + 1) & 0xFFFF,
        )

    def latch(self, part_id: int) -> None:
        self.write(latch_part_id=False)
        self.write(part_id=part_id, latch_part_id=True)

    def command(self, number: int) -> None:
        self.write(command=number, execute=not self.inputs.execute)

    def command_ends(self, serial: int, succeeded: bool) -> None:
        """Whoever carries out commands has ended one; it may be another than that which runs."""
        self.handshake.command_finished(serial, succeeded, self.now)

    # ---- the rest of the station --------------------------------------------------------------------------------

    def take(self, requests: Sequence[HandshakeRequest]) -> None:
        """What signalling does with the requests."""
        for request in requests:
            match request:
                case PartIdLatched():
                    assert request.part_id == self.inputs.part_id
                    self.latched = request
                case TriggerRequested(part_id) | TriggerMissed(part_id):
                    assert part_id == (self.latched.part_id if self.latched else 0), "an id belongs to one trigger"
                    self.latched = None
                    if isinstance(request, TriggerRequested):
                        self.open_part("plc", part_id)
                    else:
                        self.miss()
                case SoftwareTriggerTest():
                    self.open_part("software", 0)
                case ResetCounters():
                    self.ledger.reset_counters()
                    self.missed = 0
                case ResultAcknowledged(acquisition_id):
                    assert self.before.results_valid
                    assert self.before.inspection_id == acquisition_id, "only what was shown is acknowledged"
                    self.acknowledged.append(acquisition_id)
                case ResultsWithdrawn(acquisition_ids):
                    self.withdrawn += acquisition_ids

    def open_part(self, source: str, part_id: int) -> None:
        acquisition_id = self.ledger.open(source, self.now, part_id=part_id).acquisition_id
        self.part_ids[acquisition_id] = part_id
        self.exposing.append(acquisition_id)
        self.in_flight.append(acquisition_id)
        self.handshake.trigger_accepted(acquisition_id, self.now)
        self.latched = None

    def miss(self) -> None:
        self.ledger.miss()
        self.missed += 1

    def set_status(self, status: StationStatus) -> None:
        self.status = status
        self.take(self.handshake.station_changed(status, self.now))

    def change(self, *, online: bool, can: bool, fault: bool) -> None:
        self.set_status(StationStatus(online, can, error_code=ErrorCode.CAMERA_FAILED if fault else ErrorCode.NONE))

    def line_trigger(self) -> None:
        """A frame came: the camera was triggered by the light barrier."""
        if self.handshake.ready:
            self.open_part("line", 0)
            self.expose(len(self.exposing) - 1)
        else:
            self.miss()
            self.handshake.trigger_missed()
            assert self.handshake.outputs().missed_trigger or not self.inputs.trigger_enable

    def expose(self, index: int) -> None:
        """An exposure ends."""
        self.handshake.exposure_completed(self.exposing.pop(index))

    def decide(self, acquisition_id: int, verdict: Verdict) -> ResultOutcome:
        """A part gets its one result."""
        self.in_flight.remove(acquisition_id)
        if acquisition_id in self.exposing:
            self.exposing.remove(acquisition_id)
        result = PartResult(
            acquisition_id, self.part_ids[acquisition_id], verdict, ReasonCode(0), acquisition_id / 8, 0.5, 0, 12.0
        )
        refusal = self.handshake.refusal(verdict, acquisition_id)
        outcome = self.handshake.result(result)
        self._book(acquisition_id, verdict, refusal, outcome)
        if outcome in (ResultOutcome.SIGNALLED, ResultOutcome.REPLACED):
            assert not refusal
            self.results[acquisition_id] = result
        elif outcome is ResultOutcome.WITHHELD:
            assert verdict is Verdict.PASS
            assert refusal
            self.results[acquisition_id] = dataclasses.replace(result, verdict=Verdict.ERROR, reason=refusal)
        elif outcome is ResultOutcome.OVERRUN:
            assert refusal is ReasonCode.RESULT_OVERRUN
            assert self.handshake.outputs().overrun
        if outcome is ResultOutcome.DISCARDED:
            assert self.resets
            assert refusal or verdict is not Verdict.PASS
        if acquisition_id in self.results:
            if not self.inputs.buffer_enable:
                self.signalled = [i for i in self.signalled if i in (*self.acknowledged, *self.withdrawn)]
            self.signalled.append(acquisition_id)
        return outcome

    def _book(self, acquisition_id: int, verdict: Verdict, refusal: ReasonCode, outcome: ResultOutcome) -> None:
        """As signalling does it: what the PLC will not read does not stand in the books either."""
        decision = (
            Decision.error(refusal) if refusal else Decision(verdict, () if verdict is Verdict.PASS else _REASONS)
        )
        assert self.ledger.close(acquisition_id, decision) is not None, "one result per trigger"
        if decision.verdict is Verdict.PASS:
            assert outcome in (ResultOutcome.SIGNALLED, ResultOutcome.REPLACED), (
                "the books say PASS, the PLC read something else"
            )
            self.passes.add(acquisition_id)

    def second_pass(self, acquisition_id: int) -> None:
        """A part that had its result gets another one, a PASS: nobody must see it."""
        again = dataclasses.replace(self.results[acquisition_id], verdict=Verdict.PASS)
        before = self.handshake.outputs()
        assert self.handshake.result(again) is ResultOutcome.DISCARDED
        assert self.handshake.outputs() == before

    def pause(self, ms: int) -> None:
        heartbeat = self.handshake.outputs().heartbeat
        self.now += ms * MS
        self.take(self.handshake.tick(self.now))
        assert self.handshake.outputs().heartbeat in (heartbeat, (heartbeat + 1) & 0xFFFF)
        assert self.handshake.outputs().heartbeat != heartbeat or ms < 1000

    def reset_sequence(self, verdict: Verdict) -> None:
        """TriggerEnable 0 until all bits are 0, then a whole handshake: it clears whatever happened before."""
        self.write(**dict.fromkeys(COILS, False))
        for acquisition_id in list(self.in_flight):
            assert self.decide(acquisition_id, Verdict.PASS) is ResultOutcome.DISCARDED
        outputs = self.handshake.outputs()
        assert [name for name in MECHANISM if getattr(outputs, name)] == []
        assert outputs.reject
        assert not outputs.busy
        self.set_status(ONLINE)
        self.write(trigger_enable=True)
        assert self.handshake.ready
        self.write(part_id=99, latch_part_id=True)
        self.write(trigger=True)
        outputs = self.handshake.outputs()
        assert outputs.trigger_ack
        assert outputs.acquisition_id == self.in_flight[-1]
        assert not outputs.trigger_ready
        assert not outputs.exposure_complete
        self.expose(0)
        assert self.handshake.outputs().exposure_complete
        assert self.decide(self.in_flight[-1], verdict) is ResultOutcome.SIGNALLED
        outputs = self.handshake.outputs()
        assert (outputs.result, outputs.part_id_echo, outputs.results_valid) == (verdict, 99, True)
        assert outputs.pass_ == (verdict is Verdict.PASS)
        self.write(trigger=False, latch_part_id=False)

    # ---- what must hold, always ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything that must hold after every step. Raises AssertionError."""
        self.handshake.counted(self.ledger.counters)
        out = self.handshake.outputs()
        self._reject_unless_a_valid_pass_stands(out)
        self._a_result_is_that_of_its_own_part(out)
        self._each_result_is_shown_once_in_order_and_toggles(out)
        self._every_result_is_accounted_for(out)
        self._the_counters_add_up(out)
        self._acknowledges_stand_no_longer_than_what_they_acknowledge(out)
        self._ready_only_when_a_part_can_be_taken(out)
        self._the_next_wakeup_is_not_missed(out)

    def _reject_unless_a_valid_pass_stands(self, out: PlcOutputs) -> None:
        assert out.reject == (not out.pass_)
        if out.pass_:
            assert out.results_valid
            assert out.result == Verdict.PASS
            assert out.online
            assert not out.fault
            assert self.inputs.trigger_enable
            assert not self.inputs.results_ack
            assert out.warning_code != WarningCode.PLC_HEARTBEAT_FROZEN
            assert out.inspection_id in self.passes, "a PASS that the books do not know"

    def _a_result_is_that_of_its_own_part(self, out: PlcOutputs) -> None:
        content = (out.part_id_echo, out.result, out.reason_code, out.score, out.latency)
        assert out.results_valid == bool(out.result) == bool(out.inspection_id)
        if not out.results_valid:
            assert content == (0, 0, 0, 0.0, 0)
            return
        given = self.results[out.inspection_id]
        assert content == (given.part_id, given.verdict, given.reason, given.score, 120)
        assert given.part_id == self.part_ids[out.inspection_id]
        assert content == self.contents.setdefault(out.inspection_id, content)

    def _each_result_is_shown_once_in_order_and_toggles(self, out: PlcOutputs) -> None:
        new = out.inspection_id if out.inspection_id != self.before.inspection_id else 0
        if self.before_resets == self.resets:
            assert (out.inspection_completed != self.before.inspection_completed) == bool(new)
        self.before_resets = self.resets
        if new:
            assert new not in self.shown, "a result that was gone does not come back"
            self.shown.append(new)
            places = {acquisition_id: place for place, acquisition_id in enumerate(self.signalled)}
            order = [places[shown] for shown in self.shown if shown in places]
            assert order == sorted(order)
        self.before = out

    def _every_result_is_accounted_for(self, out: PlcOutputs) -> None:
        acknowledged, withdrawn = set(self.acknowledged), set(self.withdrawn)
        assert len(acknowledged) == len(self.acknowledged)
        assert len(withdrawn) == len(self.withdrawn)
        assert not acknowledged & withdrawn
        waiting = set(self.signalled) - acknowledged - withdrawn
        assert len(waiting) <= SLOTS
        assert out.results_valid <= bool(waiting)
        if waiting and not self.inputs.results_ack:
            assert out.results_valid, "what waits is shown as soon as the PLC lets it"
        assert out.free_result_slots <= SLOTS - len(waiting)

    def _the_counters_add_up(self, out: PlcOutputs) -> None:
        verdicts = out.count_pass + out.count_fail + out.count_review + out.count_error
        assert out.count_triggers == verdicts + len(self.in_flight)
        assert out.count_missed == self.missed

    def _acknowledges_stand_no_longer_than_what_they_acknowledge(self, out: PlcOutputs) -> None:
        assert out.trigger_ack <= self.inputs.trigger
        assert out.part_id_ack <= self.inputs.latch_part_id
        assert out.results_valid <= (not self.inputs.results_ack)
        assert out.executing + out.command_completed + out.command_failed <= 1
        assert (out.command_completed or out.command_failed) <= self.inputs.execute

    def _ready_only_when_a_part_can_be_taken(self, out: PlcOutputs) -> None:
        if out.trigger_ready:
            assert self.inputs.trigger_enable
            assert out.online
            assert not out.fault
            assert self.status.can_take_part
            assert not self.exposing
            assert out.free_result_slots or not self.inputs.buffer_enable
            assert self.now - self.plc_moved_ns <= 3000 * MS + 1, "the PLC's heartbeat moves"
        assert out.busy >= bool(self.in_flight)

    def _the_next_wakeup_is_not_missed(self, out: PlcOutputs) -> None:
        wakeup = self.handshake.next_wakeup_ns()
        assert wakeup <= self.now + 1000 * MS
        if self.inputs.trigger_enable and out.warning_code != WarningCode.PLC_HEARTBEAT_FROZEN:
            assert wakeup <= self.plc_moved_ns + 3000 * MS
