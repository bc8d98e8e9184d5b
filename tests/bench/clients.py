"""Modbus clients for the tests: raw frames. None of it shares code with the station."""

from __future__ import annotations

import socket
import struct
from types import TracebackType

from tests.bench.waiting import DEADLINE_S


class RawClient:
    """A TCP connection that sends any bytes and reads Modbus TCP responses."""

    def __init__(self, port: int, timeout_s: float = DEADLINE_S) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[int, int, bytes]:
        """Transaction id, unit id, PDU of the next response. Raises ConnectionError when the station hangs up."""
        transaction, protocol, length = struct.unpack(">HHH", self._exactly(6))
        assert protocol == 0
        body = self._exactly(length)
        return transaction, body[0], body[1:]

    def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        """The PDU that answers this PDU."""
        self.send(frame(pdu, unit=unit))
        return self.receive()[2]

    def is_closed_by_station(self) -> bool:
        """Waits for the end of the connection."""
        try:
            while self.socket.recv(4096):
                pass
        except ConnectionError:
            return True
        return True

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the station closed the connection")
            data += more
        return data


def frame(pdu: bytes, transaction: int = 7, unit: int = 1) -> bytes:
    """A Modbus TCP frame."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def read(function: int, address: int, count: int) -> bytes:
    """PDU of functions 1 to 4."""
    return struct.pack(">BHH", function, address, count)


def write_coil(address: int, value: int) -> bytes:
    return struct.pack(">BHH", 5, address, value)


def write_register(address: int, value: int) -> bytes:
    return struct.pack(">BHH", 6, address, value)


def write_coils(address: int, bits: list[int], *, count: int | None = None, size: int | None = None) -> bytes:
    """PDU of function 15; count and size may lie."""
    packed = sum(bit << index for index, bit in enumerate(bits)).to_bytes((len(bits) + 7) // 8, "little")
    count, size = len(bits) if count is None else count, len(packed) if size is None else size
    return struct.pack(">BHHB", 15, address, count, size) + packed


def write_registers(address: int, values: list[int], *, count: int | None = None, size: int | None = None) -> bytes:
    """PDU of function 16; count and size may lie."""
    count, size = len(values) if count is None else count, 2 * len(values) if size is None else size
    return struct.pack(f">BHHB{len(values)}H", 16, address, count, size, *values)


def registers(pdu: bytes) -> list[int]:
    """Values of a response to functions 3, 4 and 23."""
    assert pdu[1] == len(pdu) - 2
    return list(struct.unpack(f">{pdu[1] // 2}H", pdu[2:]))


def bits(pdu: bytes, count: int) -> list[bool]:
    """Values of a response to functions 1 and 2."""
    assert pdu[1] == len(pdu) - 2 == (count + 7) // 8
    value = int.from_bytes(pdu[2:], "little")
    return [bool(value >> index & 1) for index in range(count)]
