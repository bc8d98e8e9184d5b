"""Whole handshakes with Modbus clients that we did not write: mbpoll (libmodbus) and pyModbusTCP."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
from pyModbusTCP.client import ModbusClient

from tests.bench.programs import needs_program
from tests.bench.small_station import SmallStation
from tests.bench.waiting import wait_for

TRIGGER_ENABLE, TRIGGER, RESULTS_ACK, BUFFER_ENABLE, EXECUTE, CLEAR_ERROR, LATCH_PART_ID = 0, 1, 2, 3, 4, 5, 11
TRIGGER_READY, TRIGGER_ACK, INSPECTION_COMPLETED, RESULTS_VALID, PASS, REJECT = 1, 2, 5, 6, 7, 8
OVERRUN, MISSED_TRIGGER, COMMAND_COMPLETED, COMMAND_FAILED, PART_ID_ACK = 10, 11, 13, 14, 19


@pytest.fixture
def station() -> Iterator[SmallStation]:
    with SmallStation() as station:
        yield station


class Mbpoll:
    """The command line tool; every call is a connection of its own, as with some PLCs."""

    COIL, DISCRETE_INPUT, INPUT_REGISTER, HOLDING_REGISTER = "0", "1", "3", "4"

    def __init__(self, port: int) -> None:
        self._command = ["mbpoll", "-m", "tcp", "-a", "1", "-p", str(port), "-0", "-1", "-q"]

    def read(self, kind: str, address: int, count: int) -> list[int]:
        output = self._run("-t", kind, "-r", str(address), "-c", str(count), "127.0.0.1")
        return [int(value) for value in re.findall(r"^\[\d+\]:\s+(\d+)", output, re.MULTILINE)]

    def read_float(self, address: int) -> float:
        output = self._run("-t", "3:float", "-B", "-r", str(address), "-c", "1", "127.0.0.1")
        return float(re.findall(r"^\[\d+\]:\s+(\S+)", output, re.MULTILINE)[0])

    def write(self, kind: str, address: int, *values: int) -> None:
        self._run("-t", kind, "-r", str(address), "127.0.0.1", *(str(value) for value in values))

    def refused(self, *arguments: str) -> str:
        run = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=30)
        assert run.returncode != 0
        return run.stdout + run.stderr

    def _run(self, *arguments: str) -> str:
        run = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=30)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def bit(self, address: int) -> bool:
        return bool(self.read(self.DISCRETE_INPUT, address, 1)[0])


@needs_program("mbpoll")
def test_mbpoll_reads_the_map_and_drives_one_handshake(station: SmallStation) -> None:
    plc = Mbpoll(station.port)
    registers = plc.read(plc.INPUT_REGISTER, 0, 42)
    assert len(registers) == 42
    assert registers[0] == 2
    assert plc.read(plc.HOLDING_REGISTER, 1000, 1) == [2]
    bits = plc.read(plc.DISCRETE_INPUT, 0, 20)
    assert [index for index, bit in enumerate(bits) if bit] == [0, REJECT]
    assert plc.read(plc.COIL, 1000, 20) == bits
    assert "Illegal data address" in plc.refused("-t", "0", "-r", "0", "-c", "33", "127.0.0.1")
    assert "Illegal data address" in plc.refused("-t", "4", "-r", "1000", "127.0.0.1", "5")

    plc.write(plc.HOLDING_REGISTER, 0, 1)
    plc.write(plc.COIL, TRIGGER_ENABLE, 1)
    wait_for(lambda: plc.bit(TRIGGER_READY), "TriggerReady")
    plc.write(plc.HOLDING_REGISTER, 3, 1, 4465)
    plc.write(plc.COIL, LATCH_PART_ID, 1)
    wait_for(lambda: plc.bit(PART_ID_ACK), "PartIdAck")
    plc.write(plc.COIL, LATCH_PART_ID, 0)
    plc.write(plc.HOLDING_REGISTER, 0, 2)
    plc.write(plc.COIL, TRIGGER, 1)
    wait_for(lambda: plc.bit(TRIGGER_ACK), "TriggerAck")
    plc.write(plc.COIL, TRIGGER, 0)
    wait_for(lambda: plc.bit(RESULTS_VALID), "ResultsValid")
    assert plc.read(plc.DISCRETE_INPUT, INSPECTION_COMPLETED, 4) == [1, 1, 1, 0], "toggled, valid, pass, no reject"
    assert plc.read(plc.INPUT_REGISTER, 8, 8) == [0, 1, 0, 1, 1, 4465, 1, 0]
    assert plc.read_float(16) == 0.25
    plc.write(plc.HOLDING_REGISTER, 0, 3)
    plc.write(plc.COIL, RESULTS_ACK, 1)
    wait_for(lambda: not plc.bit(RESULTS_VALID), "ResultsValid to fall")
    assert plc.read(plc.DISCRETE_INPUT, RESULTS_VALID, 3) == [0, 0, 1], "Reject is back"
    plc.write(plc.COIL, RESULTS_ACK, 0)


class Plc:
    """A PLC program's steps on one connection."""

    def __init__(self, port: int) -> None:
        self.client = ModbusClient("127.0.0.1", port)
        self.beats = 0

    def bit(self, address: int) -> bool:
        bits = self.client.read_discrete_inputs(address, 1)
        assert bits is not None
        return bits[0]

    def registers(self) -> list[int]:
        registers = self.client.read_input_registers(0, 42)
        assert registers is not None
        return registers

    def coil(self, address: int, value: bool) -> None:
        self.beats += 1
        assert self.client.write_single_register(0, self.beats)
        assert self.client.write_single_coil(address, value)

    def wait(self, address: int, value: bool = True) -> None:
        wait_for(lambda: self.bit(address) == value, f"discrete input {address} = {value}")

    def trigger(self, part_id: int) -> bool:
        """False when the trigger was missed."""
        assert self.client.write_multiple_registers(3, [part_id >> 16, part_id & 0xFFFF])
        self.coil(LATCH_PART_ID, True)
        self.wait(PART_ID_ACK)
        self.coil(LATCH_PART_ID, False)
        self.wait(PART_ID_ACK, False)
        self.coil(TRIGGER, True)
        wait_for(lambda: self.bit(TRIGGER_ACK) or self.bit(MISSED_TRIGGER), "TriggerAck or MissedTrigger")
        taken = self.bit(TRIGGER_ACK)
        self.coil(TRIGGER, False)
        self.wait(TRIGGER_ACK, False)
        return taken

    def take_result(self) -> tuple[int, int]:
        """Part id and result."""
        self.wait(RESULTS_VALID)
        registers = self.registers()
        assert self.bit(PASS) == (registers[14] == 1)
        assert self.bit(REJECT) == (registers[14] != 1)
        self.coil(RESULTS_ACK, True)
        self.wait(RESULTS_VALID, False)
        assert self.bit(REJECT)
        self.coil(RESULTS_ACK, False)
        return registers[12] << 16 | registers[13], registers[14]


def test_a_session_with_buffer_overrun_and_commands(station: SmallStation) -> None:
    plc = Plc(station.port)
    plc.coil(BUFFER_ENABLE, True)
    plc.coil(TRIGGER_ENABLE, True)
    plc.wait(TRIGGER_READY)
    ids = range(100_007, 100_015)
    assert all(plc.trigger(part_id) for part_id in ids)
    assert plc.registers()[6] == 0
    plc.wait(TRIGGER_READY, False)
    assert not plc.trigger(100_015), "no free slot"
    assert plc.bit(OVERRUN)
    assert station.missed == 1
    assert [plc.take_result() for _ in ids] == [(i, 2 if i % 10 == 0 else 1) for i in ids]
    plc.coil(CLEAR_ERROR, True)
    plc.wait(OVERRUN, False)
    plc.wait(MISSED_TRIGGER, False)
    assert plc.trigger(5)
    assert plc.take_result() == (5, 1)

    for command, outcome in ((5, COMMAND_COMPLETED), (99, COMMAND_FAILED)):
        assert plc.client.write_single_register(1, command)
        plc.coil(EXECUTE, True)
        plc.wait(outcome)
        plc.coil(EXECUTE, False)
        plc.wait(outcome, False)
    plc.client.close()


def test_a_plc_that_vanishes_mid_handshake_and_a_second_one(station: SmallStation) -> None:
    first = Plc(station.port)
    first.coil(TRIGGER_ENABLE, True)
    first.wait(TRIGGER_READY)
    first.coil(TRIGGER, True)
    first.wait(RESULTS_VALID)
    second = Plc(station.port)
    assert not second.client.write_single_coil(RESULTS_ACK, True)
    assert second.client.last_except == 6
    first.client.close()
    wait_for(lambda: any(event.kind == "disconnected" for event in station.events), "the first PLC to leave")
    second.beats = 100
    second.coil(TRIGGER, True)
    assert second.registers()[9] == 1, "Trigger stood: no second part"
    for coil in (TRIGGER_ENABLE, TRIGGER):
        second.coil(coil, False)
    second.wait(RESULTS_VALID, False)
    assert second.client.read_discrete_inputs(0, 20) == [index in (0, REJECT) for index in range(20)]
    second.coil(TRIGGER_ENABLE, True)
    second.wait(TRIGGER_READY)
    assert second.trigger(9)
    assert second.take_result() == (9, 1)
    assert second.registers()[9] == 2
    second.client.close()
