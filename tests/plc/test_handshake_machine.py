"""The handshake against a PLC that does anything at any time: what must hold, always.

Only requests and outputs are looked at, and what was put in is remembered here.
"""

from __future__ import annotations

import dataclasses

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from drivers.plc.protocol import PlcInputs, PlcOutputs
from drivers.plc.signal_map import Area, points_of
from station.handshake import (
    Handshake,
    HandshakeRequest,
    HandshakeSettings,
    PartIdLatched,
    PartResult,
    ResultAcknowledged,
    ResultOutcome,
    ResultsWithdrawn,
    SoftwareTriggerTest,
    StationState,
    StationStatus,
    TriggerMissed,
    TriggerRequested,
)
from station.reasons import ErrorCode, ReasonCode, WarningCode
from station.results import Verdict

MS = 1_000_000
SLOTS = 3
COILS = [point.attribute for point in points_of(Area.COIL)]
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

coil_changes = st.dictionaries(st.sampled_from(COILS), st.booleans(), min_size=1, max_size=3)
verdicts = st.sampled_from(list(Verdict))


class AnyPlc(RuleBasedStateMachine):
    """A station with a small ledger, and a PLC without manners."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.handshake = Handshake(HandshakeSettings(result_slots=SLOTS), self.now)
        self.status = StationStatus()
        self.inputs = PlcInputs()
        self.before = self.handshake.outputs()
        self.next_id = 1
        self.latched: PartIdLatched | None = None
        self.part_ids: dict[int, int] = {}
        self.exposing: list[int] = []
        self.in_flight: list[int] = []
        self.results: dict[int, PartResult] = {}
        self.signalled: list[int] = []
        self.shown: list[int] = []
        self.contents: dict[int, tuple[object, ...]] = {}
        self.acknowledged: list[int] = []
        self.withdrawn: list[int] = []
        self.resets = self.before_resets = 0
        self.plc_moved_ns = 0

    # ---- the PLC

    @rule(changes=coil_changes)
    def plc_writes_coils(self, changes: dict[str, bool]) -> None:
        self.write(**changes)

    @rule(acknowledge=st.booleans(), buffer=st.booleans())
    def plc_behaves(self, acknowledge: bool, buffer: bool) -> None:
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

    @rule(part_id=st.integers(1, 0xFFFF_FFFF))
    def plc_latches_a_part_id(self, part_id: int) -> None:
        self.write(latch_part_id=False)
        self.write(part_id=part_id, latch_part_id=True)

    @rule(command=st.integers(0, 9))
    def plc_commands(self, command: int) -> None:
        self.write(command=command, execute=not self.inputs.execute)

    @rule(serial=st.integers(1, 9), succeeded=st.booleans())
    def a_command_ends(self, serial: int, succeeded: bool) -> None:
        self.handshake.command_finished(serial, succeeded, self.now)

    def write(self, **changes: object) -> None:
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

    def take(self, requests: list[HandshakeRequest]) -> None:
        for request in requests:
            match request:
                case PartIdLatched():
                    assert request.part_id == self.inputs.part_id
                    self.latched = request
                case TriggerRequested(part_id) | TriggerMissed(part_id):
                    assert part_id == (self.latched.part_id if self.latched else 0), "an id belongs to one trigger"
                    self.latched = None
                    if isinstance(request, TriggerRequested):
                        self.open_part(part_id)
                case SoftwareTriggerTest():
                    self.open_part(0)
                case ResultAcknowledged(acquisition_id):
                    assert self.before.results_valid
                    assert self.before.inspection_id == acquisition_id, "only what was shown is acknowledged"
                    self.acknowledged.append(acquisition_id)
                case ResultsWithdrawn(acquisition_ids):
                    self.withdrawn += acquisition_ids

    def open_part(self, part_id: int) -> None:
        acquisition_id, self.next_id = self.next_id, self.next_id + 1
        self.part_ids[acquisition_id] = part_id
        self.exposing.append(acquisition_id)
        self.in_flight.append(acquisition_id)
        self.handshake.trigger_accepted(acquisition_id, self.now)
        self.latched = None

    # ---- the rest of the station

    @rule(online=st.booleans(), can=st.booleans(), fault=st.booleans())
    def station_changes(self, online: bool, can: bool, fault: bool) -> None:
        self.set_status(StationStatus(online, can, error_code=ErrorCode.CAMERA_FAILED if fault else ErrorCode.NONE))

    @rule()
    def station_is_well(self) -> None:
        self.set_status(ONLINE)

    def set_status(self, status: StationStatus) -> None:
        self.status = status
        self.take(self.handshake.station_changed(status, self.now))

    @rule()
    def line_triggers(self) -> None:
        """A frame came: the camera was triggered by the light barrier."""
        if self.handshake.ready:
            self.open_part(0)
            self.expose(len(self.exposing) - 1)
        else:
            self.handshake.trigger_missed(self.now)
            assert self.handshake.outputs().missed_trigger or not self.inputs.trigger_enable

    @precondition(lambda self: self.exposing)
    @rule(data=st.data())
    def exposure_ends(self, data: st.DataObject) -> None:
        self.expose(data.draw(st.integers(0, len(self.exposing) - 1)))

    def expose(self, index: int) -> None:
        self.handshake.exposure_completed(self.exposing.pop(index), self.now)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), verdict=verdicts)
    def part_gets_its_result(self, data: st.DataObject, verdict: Verdict) -> None:
        self.decide(self.in_flight[data.draw(st.integers(0, len(self.in_flight) - 1))], verdict)

    def decide(self, acquisition_id: int, verdict: Verdict) -> ResultOutcome:
        self.in_flight.remove(acquisition_id)
        if acquisition_id in self.exposing:
            self.exposing.remove(acquisition_id)
        result = PartResult(
            acquisition_id, self.part_ids[acquisition_id], verdict, ReasonCode(0), acquisition_id / 8, 0.5, 0, 12.0
        )
        refusal = self.handshake.refusal(verdict, acquisition_id)
        outcome = self.handshake.result(result, self.now)
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

    @precondition(lambda self: self.results)
    @rule(verdict=st.just(Verdict.PASS), data=st.data())
    def a_second_result_is_never_a_pass(self, verdict: Verdict, data: st.DataObject) -> None:
        again = dataclasses.replace(self.results[data.draw(st.sampled_from(sorted(self.results)))], verdict=verdict)
        before = self.handshake.outputs()
        assert self.handshake.result(again, self.now) is ResultOutcome.DISCARDED
        assert self.handshake.outputs() == before

    @rule(ms=st.sampled_from([1, 500, 1000, 3000, 10_000]))
    def time_passes(self, ms: int) -> None:
        heartbeat = self.handshake.outputs().heartbeat
        self.now += ms * MS
        self.take(self.handshake.tick(self.now))
        assert self.handshake.outputs().heartbeat in (heartbeat, (heartbeat + 1) & 0xFFFF)
        assert self.handshake.outputs().heartbeat != heartbeat or ms < 1000

    @rule(verdict=verdicts)
    def the_reset_sequence_clears_whatever_happened(self, verdict: Verdict) -> None:
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

    # ---- what must hold, always

    @invariant()
    def reject_unless_a_valid_pass_stands(self) -> None:
        out = self.handshake.outputs()
        assert out.reject == (not out.pass_)
        if out.pass_:
            assert out.results_valid
            assert out.result == Verdict.PASS
            assert out.online
            assert not out.fault
            assert self.inputs.trigger_enable
            assert not self.inputs.results_ack
            assert out.warning_code != WarningCode.PLC_HEARTBEAT_FROZEN

    @invariant()
    def a_result_is_that_of_its_own_part(self) -> None:
        out = self.handshake.outputs()
        content = (out.part_id_echo, out.result, out.reason_code, out.score, out.latency)
        assert out.results_valid == bool(out.result) == bool(out.inspection_id)
        if not out.results_valid:
            assert content == (0, 0, 0, 0.0, 0)
            return
        given = self.results[out.inspection_id]
        assert content == (given.part_id, given.verdict, given.reason, given.score, 120)
        assert content == self.contents.setdefault(out.inspection_id, content)

    @invariant()
    def each_result_is_shown_once_in_order_and_toggles(self) -> None:
        out = self.handshake.outputs()
        new = out.inspection_id if out.inspection_id != self.before.inspection_id else 0
        if self.before_resets == self.resets:
            assert (out.inspection_completed != self.before.inspection_completed) == bool(new)
        self.before_resets = self.resets
        if new:
            assert new not in self.shown, "a result that was gone does not come back"
            self.shown.append(new)
            order = [self.signalled.index(shown) for shown in self.shown if shown in self.signalled]
            assert order == sorted(order)
        self.before = out

    @invariant()
    def every_result_is_accounted_for(self) -> None:
        assert len(set(self.acknowledged)) == len(self.acknowledged)
        assert len(set(self.withdrawn)) == len(self.withdrawn)
        assert not set(self.acknowledged) & set(self.withdrawn)
        waiting = set(self.signalled) - set(self.acknowledged) - set(self.withdrawn)
        out = self.handshake.outputs()
        assert len(waiting) <= SLOTS
        assert out.results_valid <= bool(waiting)
        if waiting and not self.inputs.results_ack:
            assert out.results_valid, "what waits is shown as soon as the PLC lets it"
        assert out.free_result_slots <= SLOTS - len(waiting)

    @invariant()
    def acknowledges_stand_no_longer_than_what_they_acknowledge(self) -> None:
        out = self.handshake.outputs()
        assert out.trigger_ack <= self.inputs.trigger
        assert out.part_id_ack <= self.inputs.latch_part_id
        assert out.results_valid <= (not self.inputs.results_ack)
        assert out.executing + out.command_completed + out.command_failed <= 1
        assert (out.command_completed or out.command_failed) <= self.inputs.execute

    @invariant()
    def ready_only_when_a_part_can_be_taken(self) -> None:
        out = self.handshake.outputs()
        if out.trigger_ready:
            assert self.inputs.trigger_enable
            assert out.online
            assert not out.fault
            assert self.status.can_take_part
            assert not self.exposing
            assert out.free_result_slots or not self.inputs.buffer_enable
            assert self.now - self.plc_moved_ns <= 3000 * MS + 1, "the PLC's heartbeat moves"
        assert out.busy >= bool(self.in_flight)

    @invariant()
    def the_next_wakeup_is_not_missed(self) -> None:
        wakeup = self.handshake.next_wakeup_ns()
        assert wakeup <= self.now + 1000 * MS
        if self.inputs.trigger_enable and self.handshake.outputs().warning_code != WarningCode.PLC_HEARTBEAT_FROZEN:
            assert wakeup <= self.plc_moved_ns + 3000 * MS


AnyPlc.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnyPlc = AnyPlc.TestCase


def test_default_outputs_of_a_new_handshake_are_those_of_the_map() -> None:
    assert Handshake(HandshakeSettings(), 0).outputs() == dataclasses.replace(
        PlcOutputs(), offline_reason=1, free_result_slots=8
    )
