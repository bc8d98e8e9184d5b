"""A small Modbus client for the tools of an integrator: Modbus TCP and Modbus RTU, one request at a time.

It shares no code with the station's own link, so that a mistake there does not hide itself here: frames, checksum and
the layout of values are written once more, from the Modbus specification and docs/plc.md. Only the names of the points
come from the table of the map.
"""

from __future__ import annotations

import socket
import struct
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import serial

from drivers.plc.signal_map import POINTS, Area, Point, PointType

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    6: "busy",
    11: "no answer from that unit",
}
Value = bool | int | float | str


class LinkError(Exception):
    """The device cannot be reached, does not answer, or answers what is not Modbus."""


class Refused(Exception):
    """The device answers with an exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code:02X} ({EXCEPTIONS.get(code, 'unknown')})")
        self.code = code


class Transport(Protocol):
    """Carries one request and its answer."""

    name: str
    """For people: what is at the other end."""

    def exchange(self, unit: int, pdu: bytes) -> bytes:
        """The answer's PDU. Raises LinkError."""
        ...

    def close(self) -> None: ...


class TcpTransport:
    """Modbus TCP. The connection opens with the first request, and again after a failed one."""

    def __init__(self, host: str, port: int, timeout_s: float = 2.0) -> None:
        self.name = f"{host}:{port}"
        self._address = (host, port)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._transaction = 0

    def exchange(self, unit: int, pdu: bytes) -> bytes:
        self._transaction = self._transaction % 0xFFFF + 1
        frame = struct.pack(">HHHB", self._transaction, 0, len(pdu) + 1, unit) + pdu
        try:
            self._open().sendall(frame)
            transaction, protocol, length = struct.unpack(">HHH", self._receive(6))
            body = self._receive(length)
        except OSError as problem:
            self.close()
            raise LinkError(f"{self.name}: {problem}") from problem
        if (transaction, protocol) != (self._transaction, 0) or len(body) < 2 or body[0] != unit:
            self.close()
            raise LinkError(f"{self.name}: the answer belongs to no request: {body[:8].hex()}")
        return body[1:]

    def is_closed_after(self, data: bytes, timeout_s: float) -> bool:
        """Sends any bytes; True when the device then closes the connection in time. Raises LinkError."""
        try:
            connection = self._open()
            connection.settimeout(timeout_s)
            connection.sendall(data)
            while connection.recv(4096):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        except OSError as problem:
            raise LinkError(f"{self.name}: {problem}") from problem
        finally:
            self.close()
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._open().recv(count - len(data))
            if not more:
                raise ConnectionError("the device closed the connection")
            data += more
        return data


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial line with 8 data bits."""

    path: str
    baud: int = 19200
    parity: str = "E"
    """N, E or O."""
    stop_bits: int = 1

    def __str__(self) -> str:
        return f"{self.path} ({self.baud} baud, 8{self.parity}{self.stop_bits})"

    @property
    def silence_s(self) -> float:
        """What separates two frames: 3.5 characters, and not less than 1.75 ms."""
        return max(3.5 * 11 / self.baud, 0.00175)

    def open(self, timeout_s: float) -> serial.Serial:
        """Raises LinkError."""
        try:
            return serial.Serial(
                self.path, self.baud, parity=self.parity, stopbits=self.stop_bits, timeout=timeout_s, exclusive=True
            )
        except (OSError, ValueError, termios.error) as problem:
            raise LinkError(f"{self.path}: {problem}") from problem


class RtuTransport:
    """Modbus RTU on a serial line, as its master. The port opens with the first request, and again after `close`."""

    def __init__(self, port: SerialPort, timeout_s: float = 1.0) -> None:
        self.name = str(port)
        self._port = port
        self._timeout_s = timeout_s
        self._line: serial.Serial | None = None

    def exchange(self, unit: int, pdu: bytes) -> bytes:
        frame = bytes((unit,)) + pdu
        line = self._line = self._line or self._port.open(self._timeout_s)
        try:
            time.sleep(self._port.silence_s)
            line.reset_input_buffer()
            line.write(frame + crc16(frame))
            answer = _received(line, b"", 5)
            answer = _received(line, answer, _rtu_length(answer))
        except OSError as problem:
            raise LinkError(f"{self.name}: {problem}") from problem
        if crc16(answer[:-2]) != answer[-2:]:
            raise LinkError(f"{self.name}: wrong checksum in {answer.hex()}")
        if answer[0] != unit or answer[1] & 0x7F != pdu[0]:
            raise LinkError(f"{self.name}: the answer belongs to no request: {answer.hex()}")
        return answer[1:-2]

    def close(self) -> None:
        if self._line is not None:
            with suppress(OSError):
                self._line.close()
            self._line = None


def _received(line: serial.Serial, data: bytes, length: int) -> bytes:
    """`data` and what comes, up to this length. Raises TimeoutError."""
    data += line.read(length - len(data))
    if len(data) < length:
        raise TimeoutError(f"{len(data)} bytes came of an answer of at least {length}")
    return data


def _rtu_length(start: bytes) -> int:
    """Length of the whole answer from its first five bytes."""
    function = start[1]
    if function & 0x80:
        return 5
    return 5 + start[2] if function in (1, 2, 3, 4, 23) else 8


def crc16(data: bytes) -> bytes:
    """Checksum of Modbus RTU, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


class ModbusClient:
    """Reads and writes the four areas. Every method raises LinkError, and Refused when the device refuses."""

    def __init__(self, transport: Transport, unit: int = 1, base_address: int = 0) -> None:
        """`base_address` is added to every address."""
        self.transport = transport
        self.unit = unit
        self.base_address = base_address

    def __enter__(self) -> ModbusClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.transport.close()

    def request(self, pdu: bytes) -> bytes:
        """Any request as it is; the answer's PDU."""
        answer = self.transport.exchange(self.unit, pdu)
        if len(answer) >= 2 and answer[0] == pdu[0] | 0x80:
            raise Refused(answer[1])
        if answer[:1] != pdu[:1]:
            raise LinkError(f"{self.transport.name}: function {pdu[0]} was answered by {answer[:4].hex()}")
        return answer

    def read_bits(self, area: Area, address: int, count: int) -> list[bool]:
        """Coils or discrete inputs."""
        function = 1 if area is Area.COIL else 2
        answer = self.request(struct.pack(">BHH", function, self.base_address + address, count))
        self._check_size(answer, (count + 7) // 8)
        value = int.from_bytes(answer[2:], "little")
        return [bool(value >> index & 1) for index in range(count)]

    def read_registers(self, area: Area, address: int, count: int) -> list[int]:
        """Holding or input registers."""
        answer = self.request(
            struct.pack(">BHH", 3 if area is Area.HOLDING_REGISTER else 4, self.base_address + address, count)
        )
        self._check_size(answer, 2 * count)
        return list(struct.unpack(f">{count}H", answer[2:]))

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        packed = sum(bool(value) << index for index, value in enumerate(values))
        size = (len(values) + 7) // 8
        head = struct.pack(">BHHB", 15, self.base_address + address, len(values), size)
        self.request(head + packed.to_bytes(size, "little"))

    def write_registers(self, address: int, values: Sequence[int]) -> None:
        head = struct.pack(">BHHB", 16, self.base_address + address, len(values), 2 * len(values))
        self.request(head + struct.pack(f">{len(values)}H", *values))

    def _check_size(self, answer: bytes, size: int) -> None:
        if answer[1] != size or len(answer) != 2 + size:
            raise LinkError(f"{self.transport.name}: {len(answer) - 2} bytes of values where {size} were asked for")


@dataclass(frozen=True, slots=True)
class Order:
    """How values lie in registers."""

    high_word_first: bool = True
    """Of 32 bits: the register at the lower address holds bits 31..16."""
    low_byte_first: bool = False
    """Of every register: Modbus sends the high byte first, this device the low one."""

    def bytes_swapped(self, registers: Sequence[int]) -> list[int]:
        """Registers as they are sent, from those as they are meant; and back."""
        if not self.low_byte_first:
            return list(registers)
        return [(value & 0xFF) << 8 | value >> 8 for value in registers]


def decode(point: Point, values: Sequence[int], order: Order) -> Value:
    """The value of a point from all values of its area, from address 0."""
    raw = values[point.address : point.address + point.type.size]
    if point.type is PointType.BIT:
        return bool(raw[0])
    words = order.bytes_swapped(raw)
    if point.type is PointType.TEXT:
        return b"".join(word.to_bytes(2, "big") for word in words).partition(b"\0")[0].decode("latin-1")
    if point.type is PointType.U16:
        return words[0]
    high, low = words if order.high_word_first else reversed(words)
    if point.type is PointType.U32:
        return high << 16 | low
    number: float = struct.unpack(">f", struct.pack(">HH", high, low))[0]
    return number


def encode(point: Point, value: int | str, order: Order) -> list[int]:
    """The registers of a whole number, or of a text: one letter a byte, 0 behind it. Raises ValueError: it is longer,
    or has a letter that no byte holds.
    """
    if isinstance(value, str):
        letters, room = value.encode("latin-1"), 2 * point.type.size
        if len(letters) > room:
            raise ValueError(f"{point.name} has room for {room} letters, not {len(letters)}")
        return order.bytes_swapped(list(struct.unpack(f">{point.type.size}H", letters.ljust(room, b"\0"))))
    words = [value & 0xFFFF]
    if point.type is PointType.U32:
        words.insert(0 if order.high_word_first else 1, value >> 16 & 0xFFFF)
    return order.bytes_swapped(words)


def points_in(area: Area) -> tuple[Point, ...]:
    """The points of an area, by address."""
    return tuple(point for point in POINTS if point.area is area)


def length_of(area: Area) -> int:
    """Addresses 0 .. length - 1 hold all points of the area."""
    return max(point.address + point.type.size for point in points_in(area))
