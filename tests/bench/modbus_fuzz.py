"""Mutated Modbus frames against a running station, while a PLC that keeps the rules drives parts through it.

Two campaigns. Over TCP the PLC sends illegal requests between its own ones, on the connection that may write, and
hostile clients (own processes) send whatever is not Modbus, or nearly is, as fast as it is taken. Over a serial line
the one master sends illegal frames, with right and wrong check sums, and broken ones.

After every burst the control block must be what the PLC wrote, and nothing else.

    with tcp_campaign(directory) as campaign:  (or rtu_campaign)
        report = campaign.run(frames=20_000)
"""

from __future__ import annotations

import math
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from station.commissioning.plc_client import crc16
from tests.bench.bench import Bench
from tests.bench.clients import bits, frame, read, registers, write_coil, write_register, write_registers
from tests.bench.live_station import live_station
from tests.bench.modbus_mutants import (
    BURST,
    COILS,
    HOLDING_REGISTERS,
    PATIENCE_S,
    illegal_pdus,
    is_legal_write,
    seed_pdus,
)
from tests.bench.serial_pair import SerialPair

LEGAL_WRITES = [pdu for pdu in seed_pdus() if is_legal_write(pdu)]
TRIGGER_ENABLE, TRIGGER, RESULTS_ACK, LATCH_PART_ID = 0, 1, 2, 11
TRIGGER_READY, TRIGGER_ACK, RESULTS_VALID, PART_ID_ACK = 1, 2, 6, 19
UNIT = 1


# ---- the PLC --------------------------------------------------------------------------------------------------------


class Wire(Protocol):
    """How the PLC reaches the station."""

    def ask(self, pdu: bytes) -> bytes: ...

    def burst(self, pdus: list[bytes], rng: random.Random) -> None:
        """Illegal requests, as fast as it goes."""
        ...

    def settle(self, echoed: bytes) -> None:
        """After a burst: sends a request that is answered by itself until it is; no earlier answer comes behind it."""
        ...

    def close(self) -> None: ...


class TcpWire:
    """Pipelines a burst and compares the responses with the requests."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, pdu: bytes) -> bytes:
        self._socket.sendall(frame(pdu, 7, UNIT))
        return self._answer(7)

    def burst(self, pdus: list[bytes], rng: random.Random) -> None:
        self._socket.sendall(b"".join(frame(pdu, number, UNIT) for number, pdu in enumerate(pdus)))
        for number, pdu in enumerate(pdus):
            answer = self._answer(number)
            assert answer[0] & 0x7F == pdu[0] & 0x7F, (pdu.hex(), answer.hex())
            if pdu[0] in (5, 6, 15, 16, 23):
                assert answer[0] & 0x80, f"{pdu.hex()} is no legal write, and was answered by {answer.hex()}"

    def settle(self, echoed: bytes) -> None:
        assert self.ask(echoed) == echoed

    def close(self) -> None:
        self._socket.close()

    def _answer(self, transaction: int) -> bytes:
        head = self._exactly(6)
        got, protocol, length = struct.unpack(">HHH", head)
        assert (got, protocol) == (transaction, 0), head.hex()
        return self._exactly(length)[1:]

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            assert more, "the station closed the connection of a PLC that sends whole frames"
            data += more
        return data


class RtuWire:
    """Illegal requests with right check sums, legal writes with a wrong bit, most with a silence behind."""

    SILENCE_S = 0.002

    def __init__(self, port: str) -> None:
        self._line = os.open(port, os.O_RDWR | os.O_NOCTTY)

    def ask(self, pdu: bytes) -> bytes:
        answer = self._ask_once(pdu, PATIENCE_S)
        assert answer, f"no answer to {pdu.hex()}"
        return answer

    def settle(self, echoed: bytes) -> None:
        end = time.monotonic() + PATIENCE_S
        while self._ask_once(echoed, 1.0) != echoed:
            assert time.monotonic() < end, f"no answer to {echoed.hex()}"

    def burst(self, pdus: list[bytes], rng: random.Random) -> None:
        for pdu in pdus:
            content = bytes([rng.choice((UNIT, UNIT, UNIT, 0, 9))]) + pdu[:251]
            data = bytearray(content + crc16(content))
            if rng.random() < 0.3:
                data = self._broken_write(rng)
            self._send(bytes(data))
            if rng.random() < 0.9:
                time.sleep(self.SILENCE_S)  # the silence that ends a frame

    @staticmethod
    def _broken_write(rng: random.Random) -> bytearray:
        """A write that would be carried out if one bit were not wrong."""
        content = bytes([rng.choice((UNIT, 0))]) + rng.choice(LEGAL_WRITES)
        data = bytearray(content + crc16(content))
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return data

    def close(self) -> None:
        os.close(self._line)

    def _ask_once(self, pdu: bytes, timeout_s: float) -> bytes:
        content = bytes([UNIT]) + pdu
        self._send(content + crc16(content))
        received, end = b"", time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            if select.select([self._line], [], [], left)[0]:
                received += os.read(self._line, 4096)
                if answer := self._answer_in(received, pdu):
                    return answer
        return b""

    @staticmethod
    def _answer_in(received: bytes, pdu: bytes) -> bytes:
        """The response, found behind what is left of the responses to a burst."""
        at = received.find(bytes([UNIT, pdu[0]]))
        while at >= 0:
            head = received[at : at + 3]
            size = 5 if len(head) < 3 else 5 + head[2] if pdu[0] in (1, 2, 3, 4) else 8
            answer = received[at : at + size]
            if len(answer) == size and crc16(answer[:-2]) == answer[-2:]:
                return answer[1:-2]
            at = received.find(bytes([UNIT, pdu[0]]), at + 1)
        return b""

    def _send(self, data: bytes) -> None:
        """Drops what was received before: the responses to what is sent now come later."""
        while data:
            while select.select([self._line], [], [], 0)[0]:
                os.read(self._line, 4096)
            _, writable, _ = select.select([], [self._line], [], PATIENCE_S)
            assert writable, "the station does not read its line"
            data = data[os.write(self._line, data[:1024]) :]


@dataclass
class Times:
    """Of parts, in seconds."""

    trigger_to_ack_s: list[float] = field(default_factory=list)
    trigger_to_result_s: list[float] = field(default_factory=list)


class GoodPlc:
    """Keeps the rules of docs/plc.md and remembers everything that it wrote."""

    def __init__(self, wire: Wire, scan_s: float = 0.0) -> None:
        self.wire = wire
        self._scan_s = scan_s
        """Pause between two looks at a bit that it waits for."""
        self.coils = [False] * COILS
        self.registers = [0] * HOLDING_REGISTERS
        self.longest_beat_s = 0.0
        """Of the station's heartbeat, as seen."""
        self._beat, self._beat_s = -1, math.inf

    def set_coil(self, number: int, value: bool) -> None:
        self.coils[number] = value
        pdu = write_coil(number, 0xFF00 if value else 0)
        assert self.wire.ask(pdu) == pdu

    def set_registers(self, number: int, values: list[int]) -> None:
        self.registers[number : number + len(values)] = values
        assert self.wire.ask(write_registers(number, values))[0] == 16

    def wait(self, number: int, value: bool = True) -> None:
        end = time.monotonic() + PATIENCE_S
        while bits(self.wire.ask(read(2, number, 1)), 1)[0] != value:
            assert time.monotonic() < end, f"status bit {number} = {value}"
            if self._scan_s:
                time.sleep(self._scan_s)  # the cycle of a PLC

    def part(self, part_id: int, times: Times) -> None:
        """One part from its id to the acknowledged result, which must be its own."""
        self.set_registers(0, [(self.registers[0] + 1) & 0xFFFF])  # heartbeat
        self.set_registers(3, [part_id >> 16, part_id & 0xFFFF])
        self.set_coil(LATCH_PART_ID, True)
        self.wait(PART_ID_ACK)
        self.set_coil(LATCH_PART_ID, False)
        self.wait(TRIGGER_READY)
        start = time.monotonic()
        self.set_coil(TRIGGER, True)
        self.wait(TRIGGER_ACK)
        times.trigger_to_ack_s.append(time.monotonic() - start)
        self.set_coil(TRIGGER, False)
        self.wait(RESULTS_VALID)
        times.trigger_to_result_s.append(time.monotonic() - start)
        values = registers(self.wire.ask(read(4, 0, 16)))
        assert values[12] << 16 | values[13] == part_id, f"the result of part {part_id} is that of another"
        assert values[14] == 1, f"part {part_id} is good: Result {values[14]}, reason {values[15]}"
        self.set_coil(RESULTS_ACK, True)
        self.wait(RESULTS_VALID, False)
        self.set_coil(RESULTS_ACK, False)
        self._look_at_heartbeat()

    def _look_at_heartbeat(self) -> None:
        beat = registers(self.wire.ask(read(4, 1, 1)))[0]
        if beat != self._beat:
            now_s = time.monotonic()
            self.longest_beat_s = max(self.longest_beat_s, now_s - self._beat_s)
            self._beat, self._beat_s = beat, now_s

    def assert_nothing_changed(self) -> None:
        """The control block is what this PLC wrote."""
        self.registers[0] = (self.registers[0] + 1) & 0xFFFF
        self.wire.settle(write_register(0, self.registers[0]))
        coils = bits(self.wire.ask(read(1, 0, COILS)), COILS)
        assert coils == self.coils, f"coils {coils}, written {self.coils}"
        values = registers(self.wire.ask(read(3, 0, HOLDING_REGISTERS)))
        assert values == self.registers, f"registers {values}, written {self.registers}"
        self._look_at_heartbeat()


# ---- campaigns ------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What a campaign found. It raises AssertionError for whatever must not be."""

    frames: int = 0
    hostile_frames: int = 0
    parts: int = 0
    seconds: float = 0.0
    longest_beat_s: float = 0.0
    """Between two changes of the station's heartbeat, which is to change once a second."""
    quiet: Times = field(default_factory=Times)
    """Before the first mutant, and in between with the hostile clients stopped: what the machine is like just now."""
    fuzzed: Times = field(default_factory=Times)


class Campaign:
    """One running station and its PLC."""

    def __init__(self, bench: Bench, plc: GoodPlc, tcp_port: int | None) -> None:
        self._bench = bench
        self._plc = plc
        self._tcp_port = tcp_port
        self._part_id = 0

    def run(self, frames: int, *, quiet_parts: int = 20, hostile_clients: int = 3, seed: int = 1) -> Report:
        """At least `frames` mutants, over TCP three quarters of them by hostile clients."""
        rng, report, plc = random.Random(seed), Report(), self._plc
        plc.set_coil(TRIGGER_ENABLE, True)
        self._parts(quiet_parts, report.quiet)
        start = time.monotonic()
        own = frames if self._tcp_port is None else frames // 4
        enemies = self._enemies(frames - own, hostile_clients, seed)
        pdus = illegal_pdus(rng)
        while report.frames < own or any(enemy.poll() is None for enemy in enemies):
            plc.wire.burst([next(pdus) for _ in range(BURST)], rng)
            report.frames += BURST
            plc.assert_nothing_changed()
            if report.frames % (10 * BURST) == 0:
                self._parts(1, report.fuzzed)
                with _paused(enemies):
                    self._parts(1, report.quiet)
        for enemy in enemies:
            count, _ = enemy.communicate(timeout=PATIENCE_S)
            assert enemy.returncode == 0
            report.hostile_frames += int(count)
        self._parts(1, report.fuzzed)
        plc.assert_nothing_changed()
        report.longest_beat_s = plc.longest_beat_s
        report.seconds, report.parts = time.monotonic() - start, self._part_id
        self._assert_sound(report)
        return report

    def _enemies(self, frames: int, clients: int, seed: int) -> list[subprocess.Popen[str]]:
        if self._tcp_port is None:
            return []
        program = [
            sys.executable,
            "-m",
            "tests.bench.modbus_mutants",
            str(self._tcp_port),
            str(-(-frames // clients)),
        ]
        return [
            subprocess.Popen([*program, str(seed + number)], stdout=subprocess.PIPE, text=True)
            for number in range(clients)
        ]

    def _parts(self, count: int, times: Times) -> None:
        for _ in range(count):
            self._part_id += 1
            self._plc.part(self._part_id, times)

    def _assert_sound(self, report: Report) -> None:
        """The daemon lives, its books balance, and nothing in its log is a failure."""
        process = self._bench.process
        assert process is not None
        assert process.poll() is None, "the station ended"
        counts = self._bench.assert_balanced(report.parts)
        assert counts.passed == report.parts
        assert "Traceback" not in self._bench.log()
        assert self._bench.status()["error"] == ""


@contextmanager
def _paused(enemies: list[subprocess.Popen[str]]) -> Iterator[None]:
    for enemy in enemies:
        enemy.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for enemy in enemies:
            enemy.send_signal(signal.SIGCONT)


@contextmanager
def tcp_campaign(directory: Path) -> Iterator[Campaign]:
    """A station in server role over TCP."""
    with live_station(directory, plc__heartbeat_timeout_s=0, log__level="warning") as bench:
        wire = TcpWire(bench.port)
        yield Campaign(bench, GoodPlc(wire), bench.port)
        wire.close()


@contextmanager
def rtu_campaign(directory: Path) -> Iterator[Campaign]:
    """A station in server role on one end of a serial line."""
    with SerialPair() as pair:
        line = {"plc__transport": "rtu", "plc__serial_port": pair.station}
        with live_station(directory, **line, plc__heartbeat_timeout_s=0, log__level="warning") as bench:
            wire = RtuWire(pair.plc)
            yield Campaign(bench, GoodPlc(wire), None)
            wire.close()
