"""Triggers and part ids that are not as they should be."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace

from drivers.plc.protocol import PlcInputs, PlcOutputs
from station.line.handshake.messages import PartResult, ResultOutcome, TriggerRequested
from tests.system.conformance.broken.switched import Requests, Switched


class ReadyWithoutEnable(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), trigger_ready=self._status.online)


class ReadyWhileExposing(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, trigger_ready=outputs.trigger_ready or outputs.trigger_ack)


class LevelTriggered(Switched):
    def tick(self, now_ns: int) -> Requests:
        again = [TriggerRequested(0, 0, 0)] if self.inputs.trigger and self.ready else []
        return super().tick(now_ns) + again


class AckStays(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        before = self._trigger_ack
        requests = super().plc_wrote(inputs, now_ns)
        self._trigger_ack = self._trigger_ack or (before and inputs.trigger_enable)
        return requests


class AckBeforeAcquisitionId(Switched):
    taken_s = 0.0
    shown_id = 0

    def trigger_accepted(self, acquisition_id: int, now_ns: int, *, holds_ready: bool = False) -> None:
        self.shown_id, self.taken_s = self._acquisition_id, time.monotonic()
        super().trigger_accepted(acquisition_id, now_ns, holds_ready=holds_ready)

    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        late = time.monotonic() < self.taken_s + 3.0
        return replace(outputs, acquisition_id=self.shown_id) if late else outputs


class EveryConnectionIsAnEdge(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        if inputs == self.inputs and inputs.trigger:  # a new writer, nothing changed
            super().plc_wrote(replace(inputs, trigger=False), now_ns)
        return super().plc_wrote(inputs, now_ns)


class TriggerWithEnableIsTaken(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        requests: Requests = []
        if inputs.trigger_enable and inputs.trigger and not self.inputs.trigger_enable:
            requests = super().plc_wrote(replace(inputs, trigger=False), now_ns)
        return requests + super().plc_wrote(inputs, now_ns)


class SilentMissedTrigger(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), missed_trigger=False)


class MissedTriggerForgets(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        requests = super().plc_wrote(inputs, now_ns)
        self._missed_trigger = self._missed_trigger and inputs.trigger
        return requests


class ClearErrorByLevel(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, missed_trigger=outputs.missed_trigger and not self.inputs.clear_error)


class ExposureCompleteFallsBack(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        requests = super().plc_wrote(inputs, now_ns)
        self._exposure_complete = self._exposure_complete and not inputs.results_ack
        return requests


class ResetKeepsToggle(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        before = self._toggle
        requests = super().plc_wrote(inputs, now_ns)
        self._toggle = self._toggle or before
        return requests


class ResetKeepsResults(Switched):
    def _reset(self) -> Requests:
        results = deque(self._queue)
        requests = super()._reset()
        self._queue = results
        return requests


class ShownAfterReset(Switched):
    def result(self, result: PartResult) -> ResultOutcome:
        if result.acquisition_id not in self._given_up:
            return super().result(result)
        self._given_up.discard(result.acquisition_id)
        self._queue.append(result)
        self._show_next()
        return ResultOutcome.SIGNALLED


class PartIdOfThePartBefore(Switched):
    before = 0

    def result(self, result: PartResult) -> ResultOutcome:
        self.before, part_id = result.part_id, self.before
        return super().result(replace(result, part_id=part_id))


class PartIdSticks(Switched):
    def trigger_accepted(self, acquisition_id: int, now_ns: int, *, holds_ready: bool = False) -> None:
        super().trigger_accepted(acquisition_id, now_ns, holds_ready=holds_ready)
        self._latched = self.kept

    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        self.kept = self._latched
        return super().plc_wrote(inputs, now_ns)


class MissedTriggerKeepsPartId(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        latched, missed = self._latched, self._missed_trigger
        requests = super().plc_wrote(inputs, now_ns)
        if self._missed_trigger and not missed:
            self._latched = latched
        return requests


class PartIdByLevel(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        requests = super().plc_wrote(inputs, now_ns)
        return [replace(r, part_id=inputs.part_id) if isinstance(r, TriggerRequested) else r for r in requests]


class PartIdAckStays(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        before = self._part_id_ack
        requests = super().plc_wrote(inputs, now_ns)
        self._part_id_ack = self._part_id_ack or before
        return requests


class ResetKeepsPartId(Switched):
    def _reset(self) -> Requests:
        latched = self._latched
        requests = super()._reset()
        self._latched = latched
        return requests
