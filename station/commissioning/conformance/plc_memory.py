"""The holding registers of a PLC that a station in client role reads and writes, and the Modbus server before them.

status, from `status_address`                     control, from `control_address`
  0..63   input registers of the map                0..3    coils, 16 per register
  64..67  discrete inputs, 16 per register          4..     holding registers of the map
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from drivers.plc.signal_map import Area, PointType
from station.commissioning.plc_client import LinkError, Order, SerialPort, crc16, length_of

BITS = 16
BIT_REGISTERS = 4
STATUS_BITS_AT = 64
STATUS_SIZE = STATUS_BITS_AT + BIT_REGISTERS
CONTROL_SIZE = BIT_REGISTERS + length_of(Area.HOLDING_REGISTER)
READ_AT_LEAST = CONTROL_SIZE - PointType.TEXT.size
"""A station that lets the PLC begin no batches does not read their name."""
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MOST_READ, MOST_WRITTEN = 125, 123
SILENCE_S = 0.05
"""Longest pause within a frame; after it the frame is given up."""
DEAF_REQUESTS = 5
"""On a serial line: more than a station repeats before it counts its PLC as lost."""


class PlcMemory:
    """The registers. Thread-safe: each request is answered from, or changes, one state."""

    def __init__(self, order: Order, control_address: int = 0, status_address: int = 100) -> None:
        self._order = order
        self._control_at, self._status_at = control_address, status_address
        self._lock = threading.Lock()
        self._registers = [0] * (max(control_address + CONTROL_SIZE, status_address + STATUS_SIZE))
        self.polls = 0
        """Complete readings of the control block."""
        self.writes = 0

    def status(self) -> tuple[tuple[bool, ...], tuple[int, ...]]:
        """Discrete inputs and input registers as the station has written them last."""
        with self._lock:
            block = self._registers[self._status_at : self._status_at + STATUS_SIZE]
        words = self._order.bytes_swapped(block[STATUS_BITS_AT:])
        bits = (bool(words[n // BITS] >> n % BITS & 1) for n in range(length_of(Area.DISCRETE_INPUT)))
        return tuple(bits), tuple(block[: length_of(Area.INPUT_REGISTER)])

    def set_control(self, coils: Sequence[bool], registers: Sequence[int]) -> int:
        """Changes the whole control block at once; `polls` at that moment."""
        number = sum(bool(coil) << index for index, coil in enumerate(coils))
        words = [number >> BITS * index & 0xFFFF for index in range(BIT_REGISTERS)]
        with self._lock:
            block = [*self._order.bytes_swapped(words), *registers]
            self._registers[self._control_at : self._control_at + len(block)] = block
            return self.polls

    def answer(self, pdu: bytes) -> bytes:
        """The response to a request of the station."""
        if (exception := self._exception(pdu)) is not None:
            return bytes((pdu[0] | 0x80, exception))
        address, count = struct.unpack(">HH", pdu[1:5])
        if pdu[0] == 3:
            return self._read(address, count)
        with self._lock:
            self._registers[address : address + count] = struct.unpack(f">{count}H", pdu[6:])
            self.writes += 1
        return pdu[:5]

    def _exception(self, pdu: bytes) -> int | None:
        """The exception code for a request that is not legal."""
        if pdu[0] not in (3, 16):
            return ILLEGAL_FUNCTION
        if len(pdu) < 5:
            return ILLEGAL_VALUE
        address, count = struct.unpack(">HH", pdu[1:5])
        if not 1 <= count <= (MOST_READ if pdu[0] == 3 else MOST_WRITTEN):
            return ILLEGAL_VALUE
        if address + count > len(self._registers):
            return ILLEGAL_ADDRESS
        if pdu[0] == 16 and (len(pdu) != 6 + 2 * count or pdu[5] != 2 * count):
            return ILLEGAL_VALUE
        return None

    def _read(self, address: int, count: int) -> bytes:
        with self._lock:
            values = self._registers[address : address + count]
            if address <= self._control_at and address + count >= self._control_at + READ_AT_LEAST:
                self.polls += 1
        return struct.pack(f">BB{count}H", 3, 2 * count, *values)


class PlcServer(Protocol):
    """Lets a station reach a memory."""

    name: str

    def drop_connection(self) -> None:
        """As when a cable is pulled for a moment."""
        ...

    def close(self) -> None: ...


class TcpPlcServer:
    """Modbus TCP, one station at a time."""

    def __init__(self, memory: PlcMemory, host: str, port: int, unit: int) -> None:
        """Listens from here on. Raises LinkError."""
        self.name = f"{host}:{port}"
        self._memory = memory
        self._unit = unit
        try:
            self._listener = socket.create_server((host, port))
        except OSError as problem:
            raise LinkError(f"{self.name}: {problem}") from problem
        self.port: int = self._listener.getsockname()[1]
        self._connection: socket.socket | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="plc", daemon=True)
        self._thread.start()

    def drop_connection(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connection()
        self._thread.join()

    def _serve(self) -> None:
        while not self._closed:
            try:
                self._connection, _ = self._listener.accept()
            except OSError:
                return
            with self._connection as connection, suppress(OSError, ValueError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while len(head := stream.read(7)) == 7:
                transaction, protocol, length, unit = struct.unpack(">HHHB", head)
                if protocol != 0 or not 2 <= length <= 254:
                    raise ValueError(f"not Modbus TCP: {head.hex()}")
                pdu = stream.read(length - 1)
                if unit == self._unit:
                    answer = self._memory.answer(pdu)
                    connection.sendall(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)


class RtuPlcServer:
    """Modbus RTU slave on a serial line. A frame ends where its own length says; after noise, with a silence."""

    def __init__(self, memory: PlcMemory, port: SerialPort, unit: int) -> None:
        """Raises LinkError when the port cannot be opened."""
        self.name = str(port)
        self._memory = memory
        self._unit = unit
        self._line = port.open(SILENCE_S)
        self._unanswered = 0
        """Requests still to be left without an answer."""
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="plc", daemon=True)
        self._thread.start()

    def drop_connection(self) -> None:
        self._unanswered = DEAF_REQUESTS

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._line.close()

    def _serve(self) -> None:
        while not self._closed:
            frame = self._line.read(8)
            if len(frame) == 8 and frame[1] == 16:
                frame += self._line.read(frame[6] + 1)
            if len(frame) < 8 or frame[0] != self._unit or crc16(frame[:-2]) != frame[-2:]:
                if frame:
                    self._line.reset_input_buffer()
                continue
            if self._unanswered:
                self._unanswered -= 1
                continue
            answer = bytes((self._unit,)) + self._memory.answer(frame[1:-2])
            self._line.write(answer + crc16(answer))
