"""The PLC program of the simulated line, written against the handshake document (docs/plc.md).

As in a real PLC, one scan reads all inputs, runs the program, writes all outputs. The program is pure: `scan` gets
inputs and time and returns outputs, so it runs without a line, a network or a clock. Nothing here is shared with the
station's own side of the handshake.

The rule that everything serves: a part that has no valid PASS with its own id when it reaches the ejector is pushed
off. That needs no case for a dead station, a late answer or a lost frame. A PASS is valid when PartId and EncoderCount
are those that were latched for the part, and, when the PLC triggers, InspectionId is the AcquisitionId of its trigger.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from station.simulation.plant.batch_commands import BatchCommands
from station.simulation.plant.plc_signals import (
    Control,
    FieldInputs,
    Judgement,
    Outputs,
    Result,
    StationStatus,
    TriggerMode,
)
from station.simulation.plant.recipe_change import SELECT_RECIPE, RecipeChange

ID_NOT_ACKNOWLEDGED = "part id not acknowledged in time"
UNEXPECTED_EDGE = "an edge of the light barrier that no part explains: its id may belong to that picture"
NOT_READY = "station not ready at the light barrier"
NO_RESULT = "no result in time"
NEVER_AT_BARRIER = "part did not reach the light barrier"
HEARTBEAT_FROZEN = "heartbeat of the station stands still"
DISCONNECTED = "no connection to the station"
HOLD_COUNTS = 450
"""So far before the light barrier a belt is stopped that waits for the station: it runs on for up to four scans, and at
200 parts/s that is 400."""
CLEAR_S = 1.0
"""How long somebody holds the button."""


@dataclass(slots=True)
class _Part:
    """One place of the shift register."""

    part_id: int
    expected_at: int
    """Encoder count at which it must reach the barrier."""
    latched_encoder: int | None = None
    """EncoderCount as given to the station with the id: a second key, which no other part has."""
    announced: bool = False
    spoiled: bool = False
    """Another picture may have taken the id."""
    acquisition_id: int | None = None
    """Of its trigger, when the PLC triggers."""
    barrier_at: int | None = None
    barrier_s: float = 0.0
    result: Result = Result.NONE
    result_s: float | None = None
    passed: bool = False
    why: str = NO_RESULT


@dataclass(frozen=True, slots=True)
class PlcSettings:
    """What the integrator sets."""

    entry_to_barrier_counts: int
    barrier_to_ejector_counts: int
    window_counts: int = 250
    """A part may reach the barrier so much too early or too late; else it was moved or taken off by hand."""
    trigger: TriggerMode = TriggerMode.LINE
    ejector_pulse_counts: int = 300
    station_tracks: bool = False
    """The station tracks and pushes: it gets the encoder all the time, and its bits are copied to the outputs."""
    trigger_timeout_s: float = 0.1
    heartbeat_period_s: float = 1.0
    heartbeat_timeout_s: float = 3.0
    clear_fault_after_s: float | None = None
    """Time until a fault of the station is fixed and cleared; None: never."""
    holds_belt_s: float = 0.0
    """Longest time the belt stands before a part reaches a station that does not know its id yet or is not ready."""


@dataclass(slots=True)
class PlcProgram:
    """The program. `scan` is called every few milliseconds."""

    settings: PlcSettings
    unmatched_results: int = 0
    """Results whose part was not waiting for one: another id, a second answer, or past the ejector."""
    results_read: Counter[Result] = field(default_factory=Counter)
    """All results that the station showed, matched or not."""
    withdrawn_while_read: int = 0
    """ResultsValid was 1, and behind it the registers held no result any more."""
    faults_cleared: int = 0
    recipe: RecipeChange = field(default_factory=RecipeChange)
    batch: BatchCommands = field(default_factory=BatchCommands)
    _register: list[_Part] = field(default_factory=list)
    _announce: deque[_Part] = field(default_factory=deque)
    _control: Control = field(default_factory=Control)
    _last_id: int = 0
    _trigger_until_s: float = 0.0
    _triggering: _Part | None = None
    _last_result: tuple[int, int] = (0, 0)
    _ejector_off_at: int = 0
    _beat_due_s: float = 0.0
    _fault_since_s: float | None = None
    _held_since_s: float | None = None
    _ready_s: float = 0.0
    """When the station was ready last."""
    _station_beat: int | None = None
    _station_beat_s: float = 0.0

    def scan(self, now_s: float, inputs: FieldInputs, status: StationStatus | None) -> Outputs:
        """One scan. `status` is None while the station cannot be read."""
        alive = self._station_alive(now_s, status)
        self._take_trigger_ack(now_s, status)
        self._track(now_s, inputs, status)
        if status is None:
            self._announce.clear()  # those parts stay without an id that the station knows
        elif status.results_valid and not self._control.results_ack:
            if status.result == Result.NONE:
                # Withdrawn between the request for the bits and the one for the registers: there is nothing to take,
                # and an acknowledgement would take off what is shown next, unread.
                self.withdrawn_while_read += 1
            else:
                self._take_result(now_s, status, alive)
        before_camera = any(part.barrier_at is None for part in self._register)
        command = None if status is None else status.command
        self.batch.scan(command)  # one command at a time: the recipe waits for it
        if not self.batch.wanted:
            self.recipe.scan(command, part_before_camera=before_camera)
        latch, part_id, encoder = self._part_id(inputs.encoder, status)
        self._control = Control(
            trigger_enable=True,
            buffer_enable=True,
            trigger=now_s < self._trigger_until_s,
            results_ack=self._acknowledges(status),
            clear_exposure_complete=status is not None and status.exposure_complete,
            latch_part_id=latch,
            clear_error=self._clear_error(now_s, status),
            execute=self.recipe.execute or self.batch.execute,
            heartbeat=self._heartbeat(now_s),
            command=self.batch.wanted or (SELECT_RECIPE if self.recipe.wanted else 0),
            batch_name=self.batch.name,
            command_argument=self.recipe.wanted,
            part_id=part_id,
            encoder=encoder,
            encoder_now=inputs.encoder % 0x1_0000_0000 if self.settings.station_tracks else 0,
            reject_confirmed=inputs.reject_confirmed,
            part_at_ejector=inputs.part_at_ejector,
            bin_full=inputs.bin_full,
        )
        judgements = self._judge(inputs.encoder, status is not None, alive)
        if self.settings.station_tracks:
            # nobody pushes while the station is dead, so nothing may move then
            return Outputs(self._control, alive and _on(status), alive and not _stops(status), judgements)
        belt_runs = not self._holds_belt(now_s, inputs.encoder, status)
        return Outputs(self._control, inputs.encoder < self._ejector_off_at, belt_runs, judgements)

    def _acknowledges(self, status: StationStatus | None) -> bool:
        """ResultsAck: from the result that was read until ResultsValid has fallen."""
        if status is None or not status.results_valid:
            return False
        return self._control.results_ack or status.result != Result.NONE

    def _holds_belt(self, now_s: float, encoder: int, status: StationStatus | None) -> bool:
        """The next part has nearly reached the light barrier, and its picture would not be taken for it."""
        if status is not None and status.trigger_ready:
            self._ready_s = now_s
        part = next((part for part in self._register if part.barrier_at is None), None)
        if (
            part is None
            or status is None
            or part.expected_at - encoder > HOLD_COUNTS
            or (part.announced and status.trigger_ready)
        ):
            self._held_since_s = None
            return False
        if self._held_since_s is None:
            self._held_since_s = now_s
        return now_s - min(self._held_since_s, self._ready_s) < self.settings.holds_belt_s

    def _station_alive(self, now_s: float, status: StationStatus | None) -> bool:
        if status is None:
            self._station_beat = None
            return False
        if status.heartbeat != self._station_beat:
            self._station_beat, self._station_beat_s = status.heartbeat, now_s
        return now_s - self._station_beat_s < self.settings.heartbeat_timeout_s

    def _clear_error(self, now_s: float, status: StationStatus | None) -> bool:
        """ClearError: raised some time after a fault came until it is gone, or again after a while."""
        after_s = self.settings.clear_fault_after_s
        if after_s is None or status is None or not status.fault:
            self._fault_since_s = None
            return False
        if self._fault_since_s is None:
            self._fault_since_s = now_s
        waited_s = now_s - self._fault_since_s - after_s
        clear = waited_s >= 0 and waited_s % (2 * CLEAR_S) < CLEAR_S
        self.faults_cleared += clear and not self._control.clear_error
        return clear

    def _heartbeat(self, now_s: float) -> int:
        if now_s < self._beat_due_s:
            return self._control.heartbeat
        self._beat_due_s = now_s + self.settings.heartbeat_period_s
        return (self._control.heartbeat + 1) % 0x10000

    def _track(self, now_s: float, inputs: FieldInputs, status: StationStatus | None) -> None:
        """New parts get an id; a part that passes the barrier gets its place on the belt."""
        for at in inputs.entries:
            self._last_id = self._last_id % 0xFFFF_FFFF + 1
            part = _Part(self._last_id, at + self.settings.entry_to_barrier_counts)
            self._register.append(part)
            self._announce.append(part)
        for at in inputs.barriers:
            part_at_barrier = next((part for part in self._register if self._is_expected(part, at)), None)
            if part_at_barrier is None:
                # A part that bounces, or one put on the belt behind the entry sensor: nobody knows it and the ejector
                # cannot find it. But the camera saw the edge, too, and its picture takes the id that was latched last.
                for part in self._register:
                    part.spoiled = part.spoiled or (part.barrier_at is None and part.latched_encoder is not None)
                continue
            part_at_barrier.barrier_at, part_at_barrier.barrier_s = at, now_s
            self._stop_announcing(part_at_barrier)
            if not part_at_barrier.announced:
                part_at_barrier.why = ID_NOT_ACKNOWLEDGED
            elif part_at_barrier.spoiled:
                part_at_barrier.why = UNEXPECTED_EDGE
            elif self.settings.trigger is TriggerMode.PLC:
                if self._may_trigger(status):
                    self._trigger_until_s = now_s + self.settings.trigger_timeout_s
                    self._triggering = part_at_barrier
                else:
                    part_at_barrier.why = NOT_READY

    def _may_trigger(self, status: StationStatus | None) -> bool:
        """Trigger has an edge only when it and TriggerAck are 0."""
        if status is None or not status.trigger_ready or status.trigger_ack:
            return False
        return not (self._control.trigger or status.written.trigger)

    def _stop_announcing(self, part: _Part) -> None:
        self._announce = deque(other for other in self._announce if other is not part)

    def _is_expected(self, part: _Part, at: int) -> bool:
        return part.barrier_at is None and abs(at - part.expected_at) <= self.settings.window_counts

    def _part_id(self, encoder: int, status: StationStatus | None) -> tuple[bool, int, int]:
        """LatchPartId, PartId and EncoderCount: raised until PartIdAck, and not again before PartIdAck fell."""
        now = self._control
        if status is None:
            return False, now.part_id, now.encoder
        written = status.written
        if now.latch_part_id:
            waiting = self._announce[0] if self._announce and self._announce[0].part_id == now.part_id else None
            acknowledged = status.part_id_ack and written.latch_part_id and written.part_id == now.part_id
            if waiting is not None and acknowledged:
                waiting.announced = True
                self._announce.popleft()
            return waiting is not None and not acknowledged, now.part_id, now.encoder
        if self._announce and not status.part_id_ack and not written.latch_part_id:
            self._announce[0].latched_encoder = encoder % 0x1_0000_0000
            return True, self._announce[0].part_id, encoder
        return False, now.part_id, now.encoder

    def _take_trigger_ack(self, now_s: float, status: StationStatus | None) -> None:
        """Trigger is held until TriggerAck, or given up after a while so that the next part has its rising edge.

        AcquisitionId stands when TriggerAck does: the result of this part will carry it.
        """
        if status is None:
            self._trigger_until_s, self._triggering = now_s, None
        elif status.trigger_ack and status.written.trigger:
            self._trigger_until_s = now_s
            if self._triggering is not None:
                self._triggering.acquisition_id, self._triggering = status.acquisition_id, None

    def _take_result(self, now_s: float, status: StationStatus, alive: bool) -> None:
        """A result counts once, for the part whose id it carries, while that part is between barrier and ejector."""
        if (status.inspection_id, status.part_id) == self._last_result:
            return  # shown again after the connection was lost before the acknowledgement
        self._last_result = (status.inspection_id, status.part_id)
        result = Result(status.result) if status.result in Result._value2member_map_ else Result.ERROR
        self.results_read[result] += 1
        part = next((part for part in self._register if part.part_id == status.part_id), None)
        if part is None or part.result is not Result.NONE or not self._is_result_of(part, status):
            self.unmatched_results += 1
            return
        part.result = result
        part.result_s = now_s
        part.passed = alive and part.result is Result.PASS and status.pass_ and not status.reject
        if not part.passed:
            reason = f", reason {status.reason_code}" if status.reason_code else ""
            part.why = f"{part.result.name}{reason}" if alive else HEARTBEAT_FROZEN

    def _is_result_of(self, part: _Part, status: StationStatus) -> bool:
        known = part.announced and not part.spoiled and part.barrier_at is not None
        own_trigger = self.settings.trigger is TriggerMode.LINE or part.acquisition_id == status.inspection_id
        return known and part.latched_encoder == status.encoder and own_trigger

    def _judge(self, encoder: int, connected: bool, alive: bool) -> tuple[Judgement, ...]:
        judgements = []
        for part in tuple(self._register):
            if part.barrier_at is None:
                if encoder <= part.expected_at + self.settings.window_counts:
                    continue
                part.why = NEVER_AT_BARRIER
            elif encoder < part.barrier_at + self.settings.barrier_to_ejector_counts:
                continue
            elif not part.passed:
                self._ejector_off_at = encoder + self.settings.ejector_pulse_counts
            self._register = [other for other in self._register if other is not part]
            self._stop_announcing(part)
            why = "" if part.passed else part.why
            if why == NO_RESULT and not alive:
                why = HEARTBEAT_FROZEN if connected else DISCONNECTED
            after_s = None if part.result_s is None else part.result_s - part.barrier_s
            at_barrier_s = None if part.barrier_at is None else part.barrier_s
            id_given = part.latched_encoder is not None
            judgements.append(Judgement(part.part_id, part.passed, why, part.result, after_s, at_barrier_s, id_given))
        return tuple(judgements)


def _on(status: StationStatus | None) -> bool:
    return status is not None and status.ejector1


def _stops(status: StationStatus | None) -> bool:
    return status is None or status.line_stop
