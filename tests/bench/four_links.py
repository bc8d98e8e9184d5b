"""The four links with a PLC at the other end that shares no code with them, all four to be handled in one way.

As server the station is asked by pyModbusTCP (TCP) and by the tools' own client (RTU); as client it finds its registers
in pyModbusTCP's server (TCP) and in a small slave of ours (RTU).
"""

from __future__ import annotations

import os
import select
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pyModbusTCP.client import ModbusClient as TcpClient
from pyModbusTCP.server import DataBank, ModbusServer

from drivers.plc.modbus import (
    ModbusClientLink,
    ModbusClientSettings,
    ModbusRtuServerLink,
    ModbusRtuServerSettings,
    ModbusServerSettings,
    ModbusTcpServerLink,
    SerialLine,
    TcpAddress,
)
from drivers.plc.protocol import OnInputs, OnLinkEvent, PlcLink
from drivers.plc.signal_map import Area, Layout
from station.commissioning.plc_client import ModbusClient, RtuTransport, SerialPort, crc16
from tests.bench.ports import free_port
from tests.bench.serial_pair import SerialPair

NAMES = ("tcp server", "rtu server", "tcp client", "rtu client")
STATUS_AT, CONTROL_AT = 300, 40
"""In client role. Not the defaults, so that a forgotten address shows."""
REGISTERS, BITS = 52, 27


class Plc(Protocol):
    """The PLC's side: it sets its outputs to the station and sees the station's status block."""

    def set_coil(self, number: int, value: bool) -> None: ...

    def set_registers(self, number: int, values: Sequence[int]) -> None: ...

    def status(self) -> tuple[list[bool], list[int]]:
        """Bits, then registers."""
        ...

    def close(self) -> None: ...


def unpacked(words: Sequence[int], count: int) -> list[bool]:
    return [bool(words[index // 16] >> index % 16 & 1) for index in range(count)]


class TcpMaster:
    """Asks a station that is a TCP server."""

    def __init__(self, port: int) -> None:
        self._client = TcpClient("127.0.0.1", port)

    def set_coil(self, number: int, value: bool) -> None:
        assert self._client.write_single_coil(number, value)

    def set_registers(self, number: int, values: Sequence[int]) -> None:
        assert self._client.write_multiple_registers(number, list(values))

    def status(self) -> tuple[list[bool], list[int]]:
        bits, registers = self._client.read_discrete_inputs(0, BITS), self._client.read_input_registers(0, REGISTERS)
        assert bits is not None
        assert registers is not None
        return bits, registers

    def close(self) -> None:
        self._client.close()


class RtuMaster:
    """Asks a station that is a device of the serial line."""

    def __init__(self, port: str) -> None:
        self._client = ModbusClient(RtuTransport(SerialPort(port, parity="N"), timeout_s=20.0))

    def set_coil(self, number: int, value: bool) -> None:
        self._client.request(struct.pack(">BHH", 5, number, 0xFF00 if value else 0))

    def set_registers(self, number: int, values: Sequence[int]) -> None:
        size = len(values)
        self._client.request(struct.pack(f">BHHB{size}H", 16, number, size, 2 * size, *values))

    def status(self) -> tuple[list[bool], list[int]]:
        return (
            self._client.read_bits(Area.DISCRETE_INPUT, 0, BITS),
            self._client.read_registers(Area.INPUT_REGISTER, 0, REGISTERS),
        )

    def close(self) -> None:
        self._client.transport.close()


class RegisterPlc:
    """A PLC whose holding registers the station reads and writes; subclasses hold them and serve them."""

    def get(self, address: int, count: int) -> list[int]:
        raise NotImplementedError

    def put(self, address: int, values: Sequence[int]) -> None:
        raise NotImplementedError

    def set_coil(self, number: int, value: bool) -> None:
        address, bit = CONTROL_AT + number // 16, 1 << number % 16
        word = self.get(address, 1)[0]
        self.put(address, [word | bit if value else word & ~bit])

    def set_registers(self, number: int, values: Sequence[int]) -> None:
        self.put(CONTROL_AT + 4 + number, values)

    def status(self) -> tuple[list[bool], list[int]]:
        block = self.get(STATUS_AT, 68)
        assert not any(block[REGISTERS:64])
        return unpacked(block[64:], BITS), block[:REGISTERS]


class PromptServer(ModbusServer):
    """pyModbusTCP's server of a local port, which looks often whether it shall stop: its own takes half a second."""

    def __init__(self, port: int, bank: DataBank) -> None:
        super().__init__("127.0.0.1", port, no_block=True, data_bank=bank)
        self.start()

    def _serve(self) -> None:
        self._evt_running.set()
        try:
            self._service.serve_forever(poll_interval=0.02)
        finally:
            self._evt_running.clear()


class TcpSlave(RegisterPlc):
    """Served by pyModbusTCP."""

    def __init__(self, port: int) -> None:
        self.bank = DataBank()
        self._server = PromptServer(port, self.bank)

    def get(self, address: int, count: int) -> list[int]:
        found = self.bank.get_holding_registers(address, count)
        assert found is not None
        return list(found)

    def put(self, address: int, values: Sequence[int]) -> None:
        assert self.bank.set_holding_registers(address, list(values))

    def close(self) -> None:
        self._server.stop()


class RtuSlave(RegisterPlc):
    """A device of a serial line that knows functions 3 and 16."""

    def __init__(self, port: str, unit: int = 1) -> None:
        self._registers = [0] * 1000
        self._unit = unit
        self._lock = threading.Lock()
        self._line = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self._stop = threading.Event()
        self._lose = 0
        self._late = 0
        self._last_answer = b""
        self._thread = threading.Thread(target=self._serve, name="slave")
        self._thread.start()

    def get(self, address: int, count: int) -> list[int]:
        with self._lock:
            return self._registers[address : address + count]

    def put(self, address: int, values: Sequence[int]) -> None:
        with self._lock:
            self._registers[address : address + len(values)] = values

    def lose(self, requests: int) -> None:
        """So many requests from now on are not heard."""
        with self._lock:
            self._lose = requests

    def repeat_late(self, answers: int) -> None:
        """So many times from now on the answer to the request before comes once more, before the right one."""
        with self._lock:
            self._late = answers

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._line)

    def _serve(self) -> None:
        data = b""
        while not self._stop.is_set():
            ready, _, _ = select.select([self._line], [], [], 0.02)
            if not ready:
                data = b""  # silence: whatever was no request is forgotten
                continue
            data += os.read(self._line, 4096)
            size = 0 if len(data) < 7 else 9 + data[6] if data[1] == 16 else 8
            if size and len(data) >= size:
                request, data = data[:size], data[size:]
                assert crc16(request[:-2]) == request[-2:], request.hex()
                if request[0] == self._unit and self._hears():
                    answer = request[:1] + self._answer(request[1:-2])
                    os.write(self._line, self._late_answer(answer) + answer + crc16(answer))

    def _hears(self) -> bool:
        with self._lock:
            if self._lose == 0:
                return True
            self._lose -= 1
            return False

    def _late_answer(self, answer: bytes) -> bytes:
        """The one before as a frame, where it is of another kind, so that it shows."""
        before, self._last_answer = self._last_answer, answer
        with self._lock:
            if not self._late or before[1:2] in (b"", answer[1:2]):
                return b""
            self._late -= 1
        return before + crc16(before)

    def _answer(self, pdu: bytes) -> bytes:
        function, address, count = struct.unpack(">BHH", pdu[:5])
        if function == 3:
            values = self.get(address, count)
            return struct.pack(f">BB{count}H", 3, 2 * count, *values)
        assert function == 16
        self.put(address, struct.unpack(f">{count}H", pdu[6:]))
        return pdu[:5]


@dataclass
class FourLinks:
    """Makes links and the PLCs at their other ends, on one port and one serial line."""

    pair: SerialPair | None
    port: int

    @classmethod
    def on(cls, pair: SerialPair | None) -> FourLinks:
        return cls(pair, free_port())

    def link(self, name: str, on_inputs: OnInputs, on_link_event: OnLinkEvent, layout: Layout | None = None) -> PlcLink:
        layout = layout or Layout()
        make: dict[str, Callable[[], PlcLink]] = {
            "tcp server": lambda: ModbusTcpServerLink(
                ModbusServerSettings(port=self.port, layout=layout), on_inputs, on_link_event
            ),
            "rtu server": lambda: ModbusRtuServerLink(
                ModbusRtuServerSettings(self._line, reopen_s=0.05, layout=layout), on_inputs, on_link_event
            ),
            "tcp client": lambda: ModbusClientLink(
                replace(self.client_settings, plc=TcpAddress("127.0.0.1", self.port), layout=layout),
                on_inputs,
                on_link_event,
            ),
            "rtu client": lambda: ModbusClientLink(
                replace(self.client_settings, plc=self._line, layout=layout), on_inputs, on_link_event
            ),
        }
        return make[name]()

    def plc(self, name: str) -> Plc:
        """The other end, running. For a server it must be made after the link was entered."""
        if name == "tcp server":
            return TcpMaster(self.port)
        if name == "tcp client":
            return TcpSlave(self.port)
        assert self.pair is not None
        return RtuMaster(self.pair.plc) if name == "rtu server" else RtuSlave(self.pair.plc)

    @property
    def _line(self) -> SerialLine:
        assert self.pair is not None
        return SerialLine(self.pair.station)

    @property
    def client_settings(self) -> ModbusClientSettings:
        return ModbusClientSettings(
            TcpAddress("127.0.0.1"),
            control_address=CONTROL_AT,
            status_address=STATUS_AT,
            response_timeout_s=5.0,
            reconnect_min_s=0.05,
            reconnect_max_s=0.2,
        )
