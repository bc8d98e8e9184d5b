"""The station as a device of a serial line (a pair of ptys): what it responds to, and what does not disturb it."""

from __future__ import annotations

import os
import re
import select
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

from drivers.plc.modbus import ModbusRtuServerLink, ModbusRtuServerSettings, SerialLine
from drivers.plc.protocol import LinkEvent, PlcError, PlcInputs, PlcOutputs
from station.commissioning.plc_client import crc16
from tests.bench.clients import read, write_coil, write_register, write_registers
from tests.bench.programs import needs_program
from tests.bench.serial_pair import SerialPair
from tests.bench.waiting import wait_for
from tests.drivers.plc.modbus.test_rtu_frames import rtu

UNIT = 7
GAP_S = 0.05
"""Between what the tests send; longer than the 2 ms of the line, so that a busy machine sees it, too."""
SILENT_S = 0.5
"""Longest wait for a response."""


class Device:
    """A link on one end of a line with everything that it reported; raw bytes at the other end."""

    def __init__(self, pair: SerialPair) -> None:
        self.inputs: list[PlcInputs] = []
        self.events: list[LinkEvent] = []
        settings = ModbusRtuServerSettings(SerialLine(pair.station), UNIT, reopen_s=0.05)
        self.link = ModbusRtuServerLink(settings, self.inputs.append, self.events.append)
        self.link.__enter__()
        self.wire = os.open(pair.plc, os.O_RDWR | os.O_NOCTTY)

    def send(self, data: bytes) -> None:
        os.write(self.wire, data)

    def receive(self, timeout_s: float) -> bytes:
        """What arrives until the line has been silent for GAP_S; nothing after the time-out."""
        data, wait_s = b"", timeout_s
        while select.select([self.wire], [], [], wait_s)[0]:
            data += os.read(self.wire, 4096)
            wait_s = GAP_S
        return data

    def ask(self, pdu: bytes, *, repeated: bool = False) -> bytes:
        """The PDU of the answer to a request. `repeated`: as a master does that hears nothing."""
        self.send(rtu(pdu, UNIT))
        answer = self.receive(5.0 if repeated else 20.0)
        if repeated and not answer:
            self.send(rtu(pdu, UNIT))
            answer = self.receive(20.0)
        assert crc16(answer[:-2]) == answer[-2:], answer.hex()
        assert answer[0] == UNIT
        return answer[1:-2]

    def is_silent(self) -> bool:
        return self.receive(SILENT_S) == b""

    def close(self) -> None:
        os.close(self.wire)
        self.link.__exit__(None, None, None)
        assert not self.link.is_alive


@pytest.fixture
def pair() -> Iterator[SerialPair]:
    with SerialPair() as pair:
        yield pair


@pytest.fixture
def device(pair: SerialPair) -> Iterator[Device]:
    device = Device(pair)
    yield device
    device.close()


def test_reads_writes_and_exceptions(device: Device) -> None:
    assert device.ask(read(4, 0, 1)) == b"\x04\x02\x00\x02"
    assert device.ask(write_coil(0, 0xFF00)) == write_coil(0, 0xFF00)
    assert device.ask(write_registers(3, [1, 2])) == struct.pack(">BHH", 16, 3, 2)
    assert device.inputs[-1] == PlcInputs(trigger_enable=True, part_id=65538)
    assert device.ask(read(4, 64, 1)) == b"\x84\x02"
    assert device.ask(write_register(10, 1)) == b"\x86\x02"
    assert device.ask(write_coil(0, 1)) == b"\x85\x03"
    assert device.ask(write_registers(0, [1], count=2)) == b"\x90\x03"
    assert device.ask(b"\x2b\x0e\x04\x01") == b"\x2b\x0e\x04\x82\x00\x00\x01\x01\x12inspection-station"
    assert device.ask(b"\x08\x00\x00\x12\x34") == b"\x88\x01"
    assert len(device.inputs) == 2


def test_only_its_own_unit_id_is_answered(device: Device) -> None:
    device.send(rtu(write_coil(0, 0xFF00), UNIT + 1))
    device.send(rtu(read(4, 0, 1), 255))
    assert device.is_silent()
    assert device.inputs == []


def test_a_broadcast_write_is_carried_out_and_not_answered(device: Device) -> None:
    device.send(rtu(write_registers(0, [9, 5]), 0))
    assert device.is_silent()
    assert device.inputs == [PlcInputs(plc_heartbeat=9, command=5)]
    device.send(rtu(read(4, 0, 1), 0))
    device.send(rtu(write_coil(77, 0xFF00), 0))
    assert device.is_silent()
    assert len(device.inputs) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 40,
        b"\xff" * 1000,
        rtu(write_coil(0, 0xFF00), UNIT)[:-1] + b"\x00",
        rtu(write_registers(0, [1] * 10), UNIT)[:-3],
        bytes([UNIT, 16, 0, 0, 0, 123, 246]),
        os.urandom(300),
    ],
    ids=["zeros", "ones", "check sum", "cut off", "promises much", "random"],
)
def test_after_garbage_the_next_request_is_answered(device: Device, garbage: bytes) -> None:
    device.send(garbage)
    time.sleep(GAP_S)  # the silence that ends a frame, unless the machine is so busy that the server never sees it
    assert device.ask(read(4, 0, 1), repeated=True) == b"\x04\x02\x00\x02"
    assert device.inputs == []


def test_requests_may_come_byte_by_byte(device: Device) -> None:
    for byte in rtu(write_coil(0, 0xFF00), UNIT):
        device.send(bytes([byte]))
        time.sleep(0.005)  # more than the silence that ends a frame
    assert device.receive(20.0) == rtu(write_coil(0, 0xFF00), UNIT)


def test_a_plc_that_never_reads_its_answers_does_not_stop_the_station(device: Device) -> None:
    for _ in range(300):
        device.send(rtu(read(4, 0, 48), UNIT))
        time.sleep(0.003)  # the silence that ends a frame

    def writes() -> bool:
        device.send(rtu(write_register(0, 299), UNIT))
        return bool(device.inputs)

    wait_for(writes, "a write to be carried out")
    while device.receive(GAP_S):
        pass
    assert device.ask(read(3, 0, 1)) == b"\x03\x02\x01\x2b"


def test_a_port_that_is_gone_is_opened_again(pair: SerialPair) -> None:
    device = Device(pair)
    try:
        device.ask(write_coil(1, 0xFF00))
        os.close(device.wire)
        pair.unplug()
        wait_for(lambda: [event.kind for event in device.events] == ["connected", "disconnected"], "the loss")
        assert "is gone" in device.events[-1].detail
        device.link.publish(PlcOutputs(heartbeat=3))
        pair.plug_in()
        device.wire = os.open(pair.plc, os.O_RDWR | os.O_NOCTTY)

        def responds() -> bool:
            device.send(rtu(read(4, 1, 1), UNIT))
            return device.receive(SILENT_S) == rtu(b"\x04\x02\x00\x03", UNIT)

        wait_for(responds, "a response")
        assert device.ask(read(1, 1, 1)) == b"\x01\x01\x01", "what was written stays"
        device.ask(write_coil(1, 0))
        assert [inputs.trigger for inputs in device.inputs] == [True, False]
    finally:
        device.close()


def test_a_port_that_is_gone_is_reported_without_a_writer_too(pair: SerialPair) -> None:
    device = Device(pair)
    os.close(device.wire)
    pair.unplug()
    wait_for(lambda: [event.kind for event in device.events] == ["disconnected"], "the loss")
    device.link.__exit__(None, None, None)


def test_a_port_that_cannot_be_opened_says_why(pair: SerialPair) -> None:
    def open_port(port: str) -> None:
        with ModbusRtuServerLink(ModbusRtuServerSettings(SerialLine(port)), lambda _: None, lambda _: None):
            pass

    with pytest.raises(PlcError, match=r"/nowhere/tty \(19200 baud, 8E1\) cannot be opened: there is no such device"):
        open_port("/nowhere/tty")
    with pytest.raises(PlcError, match=r"no serial port"):
        open_port("/dev/null")
    device = Device(pair)
    with pytest.raises(PlcError, match="another program has it open"):
        open_port(pair.station)
    device.close()


@pytest.mark.parametrize(
    ("line", "gap_ms"),
    [(SerialLine("x", 9600), 4.01), (SerialLine("x", 19200, "N"), 1.82), (SerialLine("x", 115200), 1.75)],
)
def test_the_gap_between_frames_is_three_and_a_half_characters(line: SerialLine, gap_ms: float) -> None:
    assert line.gap_s * 1000 == pytest.approx(gap_ms, abs=0.01)


@pytest.mark.system
@needs_program("mbpoll")
def test_mbpoll_reads_and_writes_over_the_serial_line(device: Device, pair: SerialPair) -> None:
    os.close(device.wire)
    line = ["mbpoll", "-m", "rtu", "-b", "19200", "-P", "none", "-a", str(UNIT), "-0", "-1", "-q", "-o", "10"]

    def mbpoll(*arguments: str) -> str:
        run = subprocess.run([*line, *arguments], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    device.link.publish(PlcOutputs(heartbeat=77))
    answered = mbpoll("-t", "3", "-r", "0", "-c", "48", pair.plc)
    assert [int(value) for value in re.findall(r"^\[\d+\]:\s+(\d+)", answered, re.MULTILINE)][:3] == [2, 77, 1]
    mbpoll("-t", "4", "-r", "3", pair.plc, "1", "4465")
    mbpoll("-t", "0", "-r", "11", pair.plc, "1")
    assert device.inputs[-1] == PlcInputs(part_id=70_001, latch_part_id=True)
    device.wire = os.open(pair.plc, os.O_RDWR | os.O_NOCTTY)
