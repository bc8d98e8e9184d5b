"""A handshake with a clock and a control block to change, for tests of single steps."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from drivers.plc.protocol import PlcInputs, PlcOutputs
from station.codes import ErrorCode, OfflineReason, ReasonCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import (
    HandshakeRequest,
    HandshakeSettings,
    PartResult,
    ResultOutcome,
    StationState,
    StationStatus,
)
from station.results import Verdict

S = 1_000_000_000
ONLINE = StationStatus(
    online=True, can_take_part=True, state=StationState.READY, offline_reason=OfflineReason.NONE, threshold=0.5
)
OFFLINE = dataclasses.replace(ONLINE, online=False, can_take_part=False, offline_reason=OfflineReason.BY_OPERATOR)
FAULT = dataclasses.replace(ONLINE, error_code=ErrorCode.ENGINE_FAILED, state=StationState.ERROR)


class Bench:
    """A handshake with a clock and a control block to change."""

    def __init__(self, **settings: Any) -> None:
        self.now = 0
        self.inputs = PlcInputs()
        self.handshake = Handshake(HandshakeSettings(**settings), 0)
        self.handshake.station_changed(ONLINE, 0)

    def write(self, **changes: Any) -> list[HandshakeRequest]:
        self.inputs = dataclasses.replace(self.inputs, **changes)
        return self.handshake.plc_wrote(self.inputs, self.now)

    def pass_time(self, seconds: float) -> list[HandshakeRequest]:
        self.now += round(seconds * S)
        return self.handshake.tick(self.now)

    def expose(self, acquisition_id: int) -> None:
        """A part of the camera line: trigger and frame at once."""
        self.handshake.trigger_accepted(acquisition_id, self.now)
        self.handshake.exposure_completed(acquisition_id)

    def decide(self, acquisition_id: int, verdict: Verdict = Verdict.PASS, part_id: int = 0) -> ResultOutcome:
        reason = ReasonCode.NONE if verdict is Verdict.PASS else ReasonCode.SCORE_ABOVE_LIMIT
        return self.handshake.result(
            PartResult(acquisition_id, part_id, verdict, reason, 0.25, 0.5, 1234, 31.26, defect_class=7)
        )

    def inspect(self, acquisition_id: int, verdict: Verdict = Verdict.PASS) -> ResultOutcome:
        self.expose(acquisition_id)
        return self.decide(acquisition_id, verdict)

    @property
    def out(self) -> PlcOutputs:
        return self.handshake.outputs()


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.write(trigger_enable=True, buffer_enable=True)
    return bench


def shows(out: PlcOutputs, **expected: object) -> None:
    """The outputs have these values; a failure names those that differ."""
    wrong = {name: getattr(out, name) for name, value in expected.items() if getattr(out, name) != value}
    assert not wrong, f"shows {wrong}, not { ({name: expected[name] for name in wrong}) }"
