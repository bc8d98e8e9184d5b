"""The map, commands and fail-safe rules that are not as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drivers.plc.protocol import PlcInputs, PlcOutputs
from station.codes import ErrorCode, ReasonCode
from station.line.handshake.commands import CommandState
from station.line.handshake.messages import PartResult, ResultsWithdrawn, StationStatus, TriggerRequested
from station.results import Verdict
from tests.system.conformance.broken.switched import Requests, Switched


class AnotherMapVersion(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), map_version=1)


class NoHeartbeat(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), heartbeat=7)


class UnknownReasonCode(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, reason_code=99) if outputs.results_valid else outputs


class OutcomeStays(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        before = self._commands.state
        requests = super().plc_wrote(inputs, now_ns)
        if before is CommandState.COMPLETED and not inputs.execute:
            self._commands.state = before
        return requests


class EveryCommandCompletes(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        done = outputs.command_completed or outputs.command_failed
        return replace(outputs, command_completed=done, command_failed=False)


class ReleasedAtOnce(Switched):
    def tick(self, now_ns: int) -> Requests:
        if self._commands.state is CommandState.COMPLETED and now_ns > self._commands._ends_ns - 9_000_000_000:
            self._commands.state = CommandState.IDLE
        return super().tick(now_ns)


class ExecuteByLevel(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        requests: Requests = []
        if inputs.execute and inputs.command != self.inputs.command:
            requests = super().plc_wrote(replace(inputs, execute=False), now_ns)
        return requests + super().plc_wrote(inputs, now_ns)


class SecondCommandIsCarriedOut(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        if inputs.execute and not self.inputs.execute:
            self._commands.state = CommandState.IDLE
        return super().plc_wrote(inputs, now_ns)


class OutcomeForNobody(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        requests = super().plc_wrote(inputs, now_ns)
        self._commands._execute = self._commands._execute or self._commands.state is CommandState.EXECUTING
        return requests


class IgnoresSetOffline(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        return super().plc_wrote(replace(inputs, set_offline=False), now_ns)


class PassStaysOffLine(Switched):
    def _withdraw_passes(self) -> list[ResultsWithdrawn]:
        return []


class PassComesBack(Switched):
    stash: Sequence[PartResult] = ()

    def _withdraw_passes(self) -> list[ResultsWithdrawn]:
        self.stash = [*self.stash, *(r for r in self._queue if r.verdict is Verdict.PASS)]
        return super()._withdraw_passes()

    def station_changed(self, status: StationStatus, now_ns: int) -> list[ResultsWithdrawn]:
        requests = super().station_changed(status, now_ns)
        if status.online and not status.fault and self._heartbeats.plc_alive and self.enabled:
            self._queue.extend(self.stash)
            self.stash = ()
            self._show_next()
        return requests


class PassFoundOffLine(PassStaysOffLine):
    def refusal(self, verdict: Verdict, acquisition_id: int = 0) -> ReasonCode:
        status, self._status = self._status, replace(self._status, online=True)
        code = super().refusal(verdict, acquisition_id)
        self._status = status
        return code


class NoSupervision(Switched):
    def tick(self, now_ns: int) -> Requests:
        self._heartbeats.plc_moved(now_ns)
        return super().tick(now_ns)


class SupervisedOnceItMoved(Switched):
    moved = False

    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        if inputs.trigger_enable and not self.inputs.trigger_enable:
            self.moved = False
        self.moved = self.moved or inputs.plc_heartbeat != self.inputs.plc_heartbeat
        return super().plc_wrote(inputs, now_ns)

    def tick(self, now_ns: int) -> Requests:
        if not self.moved:
            self._heartbeats.plc_moved(now_ns)
        return super().tick(now_ns)


class IgnoresDeadline(Switched):
    def plc_wrote(self, inputs: PlcInputs, now_ns: int) -> Requests:
        requests = super().plc_wrote(inputs, now_ns)
        return [replace(r, deadline_ms=0) if isinstance(r, TriggerRequested) else r for r in requests]


class HidesFaults(Switched):
    def station_changed(self, status: StationStatus, now_ns: int) -> list[ResultsWithdrawn]:
        hidden = replace(status, online=True, error_code=ErrorCode.NONE, state=status.state.__class__.READY)
        return super().station_changed(hidden if status.fault else status, now_ns)


class ReadyWhileChanging(Switched):
    def outputs(self) -> PlcOutputs:
        outputs = super().outputs()
        return replace(outputs, recipe_changing=outputs.trigger_ready)


class LineStopForNothing(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), line_stop=True)


class ChallengeWithoutEnd(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), challenge_running=True)


class StepOfNoChallenge(Switched):
    def outputs(self) -> PlcOutputs:
        return replace(super().outputs(), challenge_step=1)
