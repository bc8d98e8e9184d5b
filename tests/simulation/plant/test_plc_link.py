"""The PLC's client on the wire: bits and registers are two requests, and the station may change between them."""

from __future__ import annotations

import time

import pytest

from drivers.plc.modbus import ModbusServerSettings, ModbusTcpServerLink
from drivers.plc.protocol import PlcInputs
from station.codes import OfflineReason, ReasonCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import HandshakeSettings, PartResult, StationState, StationStatus
from station.results import Verdict
from station.simulation.plant.plc import PlcProgram, PlcSettings
from station.simulation.plant.plc_link import StationLink
from station.simulation.plant.plc_signals import FieldInputs

OFFLINE = StationStatus()
ONLINE = StationStatus(
    online=True, can_take_part=True, state=StationState.CONTINUOUS_EXECUTION, offline_reason=OfflineReason.NONE
)


@pytest.mark.parametrize(
    ("verdicts", "read", "acknowledges"),
    [
        pytest.param([Verdict.PASS], 0, False, id="nothing is shown behind it"),
        pytest.param([Verdict.PASS, Verdict.FAIL], Verdict.FAIL, True, id="the next one is shown at once"),
    ],
)
def test_a_pass_that_is_withdrawn_while_the_plc_reads_is_no_pass(
    monkeypatch: pytest.MonkeyPatch, verdicts: list[Verdict], read: int, acknowledges: bool
) -> None:
    """Once in 86,295 parts of the chaos run the PLC read ResultsValid and behind it Result 0."""
    now_ns = time.monotonic_ns()
    handshake = Handshake(HandshakeSettings(), now_ns)
    handshake.station_changed(ONLINE, now_ns)
    handshake.plc_wrote(PlcInputs(trigger_enable=True, buffer_enable=True), now_ns)
    for part, verdict in enumerate(verdicts, start=1):
        handshake.trigger_accepted(part, now_ns)
        handshake.result(PartResult(part, part, verdict, ReasonCode.NONE, 0.1, 0.5, 0, 40.0))
    with ModbusTcpServerLink(ModbusServerSettings(port=0), lambda _: None, lambda _: None) as server:
        server.publish(handshake.outputs())
        link = StationLink("127.0.0.1", server.port)
        read_bits = link._client.read_discrete_inputs

        def withdrawn_behind_the_bits(address: int, count: int) -> list[bool] | None:
            bits = read_bits(address, count)
            handshake.station_changed(OFFLINE, now_ns)
            server.publish(handshake.outputs())
            return bits

        monkeypatch.setattr(link._client, "read_discrete_inputs", withdrawn_behind_the_bits)
        status = link.read(1.0)
        link.close()
    assert status is not None
    assert (status.results_valid, status.pass_, status.result) == (True, True, read)
    program = PlcProgram(PlcSettings(100, 1000))
    assert program.scan(1.0, FieldInputs(), status).control.results_ack is acknowledges
    assert program.withdrawn_while_read == (not acknowledges)
