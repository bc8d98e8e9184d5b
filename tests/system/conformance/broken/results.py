"""Results and their buffer that are not as they should be."""

from __future__ import annotations

import time
from dataclasses import replace

from drivers.plc.protocol import PlcInputs, PlcOutputs
from station.line.handshake.messages import PartResult, ResultAcknowledged, ResultOutcome
from tests.system.conformance.broken.switched import Requests, Switched


class PassUnlessFailed(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, reject=outputs.results_valid and not outputs.pass_)


class PassAndReject(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), reject=True)


class RegistersAfterBits(Switched):
    shown: PlcOutputs | None = None
    until_s = 0.0

    def outputs(self) -> PlcOutputs:
        outputs, now_s = super().outputs(), time.monotonic()
        if self.shown is None or outputs.results_valid != self.shown.results_valid:
            self.until_s = now_s + 0.3
            self.old = self.shown or outputs
            self.shown = outputs
        if now_s > self.until_s:
            return outputs
        old = self.old
        return replace(outputs, inspection_id=old.inspection_id, part_id_echo=old.part_id_echo, result=old.result)


class StandingResultChanges(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, defect_area=self._heartbeats.count + time.monotonic_ns() // 10**8 % 1000)


class TogglesWithTheAck(Switched):
    def _acknowledge(self, inputs: PlcInputs) -> Requests:
        requests = super()._acknowledge(inputs)
        self._toggle ^= bool(requests)
        return requests


class NeverToggles(Switched):
    def _show_next(self) -> None:
        before = self._toggle
        super()._show_next()
        self._toggle = before


class ResultComesAgain(Switched):
    repeated = -1

    def _acknowledge(self, inputs: PlcInputs) -> Requests:
        first = self._queue[0] if self._queue else None
        requests = super()._acknowledge(inputs)
        if requests and first is not None and first.acquisition_id != self.repeated:
            self.repeated = first.acquisition_id
            self._queue.appendleft(first)
        return requests


class ShownWhileAcknowledged(Switched):
    def _show_next(self) -> None:
        inputs, self._inputs = self._inputs, replace(self._inputs, results_ack=False)
        super()._show_next()
        self._inputs = inputs


class AckTakesAll(Switched):
    def _acknowledge(self, inputs: PlcInputs) -> Requests:
        requests = super()._acknowledge(inputs)
        if any(isinstance(request, ResultAcknowledged) for request in requests):
            self._queue.clear()
        return requests


class AckIsRemembered(Switched):
    credit = 0

    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        if inputs.results_ack and not self.inputs.results_ack and not self._standing:
            self.credit = 1
        return super().plc_wrote(inputs, now_ns)

    def _show_next(self) -> None:
        if self._queue and self.credit:
            self.credit = 0
            self._queue.popleft()
        super()._show_next()


class NoReason(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), reason_code=10)


class LatencyOfZero(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), latency=0)


class ScoreOutOfRange(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), score=float("nan"))


class CountsTwice(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, count_triggers=2 * outputs.count_triggers)


class CountsErrorsAsMissed(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, count_error=0, count_missed=outputs.count_missed + outputs.count_error)


class ReplacesInTheBuffer(Switched):
    def result(self, result: PartResult) -> ResultOutcome:
        while len(self._queue) > 3:
            del self._queue[1]
        return super().result(result)


class NewestFirst(Switched):
    def result(self, result: PartResult) -> ResultOutcome:
        outcome = super().result(result)
        if len(self._queue) > 2:
            self._queue.insert(1, self._queue.pop())
        return outcome


class PartIdOfTheNewest(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, part_id_echo=self._queue[-1].part_id) if outputs.results_valid else outputs


class SilentOverrun(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), overrun=False)


class SlotsNotReserved(Switched):
    @property
    def _free_slots(self) -> int:
        return max(0, self._settings.result_slots - len(self._queue))


class BuffersAlways(Switched):
    def result(self, result: PartResult) -> ResultOutcome:
        inputs, self._inputs = self._inputs, replace(self._inputs, buffer_enable=True)
        outcome = super().result(result)
        self._inputs = inputs
        return outcome
