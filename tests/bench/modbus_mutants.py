"""Mutated Modbus requests, and a hostile client that sends them.

    python -m tests.bench.modbus_mutants PORT FRAMES SEED

What a legal write is, is decided here by a few lines of its own (`is_legal_write`), not by the station's code.
"""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import sys
from collections.abc import Iterator

from tests.bench.clients import frame, read, write_coil, write_coils, write_register, write_registers

COILS, HOLDING_REGISTERS = 16, 10
WHOLE_COILS, WHOLE_HOLDING_REGISTERS = 32, 64
"""Zeros may be written up to here."""
BURST = 100
PATIENCE_S = 30.0


def seed_pdus() -> list[bytes]:
    """Requests as PLCs send them, from which the mutants are made."""
    return [
        *(
            read(function, address, count)
            for function in (1, 2, 3, 4)
            for address, count in ((0, 8), (1000, 20), (5, 1))
        ),
        *(write_coil(address, value) for address in (0, 1, 5, 11, 15) for value in (0, 0xFF00)),
        *(write_register(address, value) for address in (0, 1, 7, 9) for value in (0, 8, 0xFFFF)),
        write_coils(0, [1] * 16),
        write_coils(3, [0, 1, 0]),
        write_registers(0, [1] * 10),
        write_registers(3, [0, 77, 0, 1000, 400]),
        struct.pack(">BHHHHBHH", 23, 1000, 48, 0, 2, 4, 1, 1),
        b"\x2b\x0e\x01\x00",
        b"\x08\x00\x00\x12\x34",
        b"\x16\x00\x04\x00\xf2\x00\x25",
    ]


EDGES = (0, 1, 2, 9, 10, 15, 16, 17, 0x7F, 0x80, 0xFF, 123, 125, 253, 999, 1000, 1047, 2000, 0x7FFF, 0xFF00, 0xFFFF)


def mutated(pdu: bytes, rng: random.Random) -> bytes:
    """One to three changes: bits, bytes, numbers at their limits, length."""
    data = bytearray(pdu)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(data))
        match rng.randrange(7):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                struct.pack_into(">H", data, min(at, max(0, len(data) - 2)), rng.choice(EDGES)) if len(
                    data
                ) > 1 else None
            case 3:
                del data[at:]
            case 4:
                data += rng.randbytes(rng.choice((1, 2, 7, 60)))
            case 5:
                data[at:at] = rng.randbytes(rng.randrange(1, 4))
            case _:
                data[0] = rng.randrange(256)
        if not data:
            data += rng.randbytes(1)
    return bytes(data[:253])


def is_legal_write(pdu: bytes) -> bool:
    """Whether this request may change the control block (Modbus Application Protocol V1.1b3, docs/plc.md)."""
    function, size = pdu[0], len(pdu)
    if function in (5, 6) and size == 5:
        address, value = struct.unpack(">HH", pdu[1:])
        values, size_of_map, whole = (0, 0xFF00), COILS, WHOLE_COILS
        if function == 6:
            values, size_of_map, whole = (value, 0), HOLDING_REGISTERS, WHOLE_HOLDING_REGISTERS
        return bool(value in values and (address < size_of_map or (address < whole and value == 0)))
    if function in (15, 16) and size >= 6:
        address, count, data = struct.unpack(">HHB", pdu[1:6])
        most, needed = (WHOLE_COILS, (count + 7) // 8) if function == 15 else (WHOLE_HOLDING_REGISTERS, 2 * count)
        return bool(count > 0 and address + count <= most and data == needed == size - 6)
    if function == 23 and size >= 10:
        _, reads, address, count, data = struct.unpack(">HHHHB", pdu[1:10])
        return bool(
            0 < reads <= 125
            and count > 0
            and address + count <= WHOLE_HOLDING_REGISTERS
            and data == 2 * count == size - 10
        )
    return False


def illegal_pdus(rng: random.Random) -> Iterator[bytes]:
    """Mutants without end, none of which may change anything."""
    seeds = seed_pdus()
    while True:
        pdu = mutated(rng.choice(seeds), rng)
        if not is_legal_write(pdu):
            yield pdu


def hostile_bytes(rng: random.Random) -> bytes:
    """A burst that need not be Modbus TCP: headers that lie, frames in frames, garbage."""
    seeds, burst = seed_pdus(), b""
    for _ in range(BURST):
        data = bytearray(
            frame(mutated(rng.choice(seeds), rng), rng.randrange(0x10000), rng.choice((0, 1, 1, 1, 9, 255)))
        )
        if rng.random() < 0.02:
            data[rng.randrange(min(7, len(data)))] ^= 1 << rng.randrange(8)
        burst += data
    return burst


def hostile(port: int, frames: int, seed: int) -> int:
    """Sends bursts on connections of its own; leaves half-open ones behind. The frames sent."""
    os.nice(5)
    rng, count = random.Random(seed), 0
    left_open: list[socket.socket] = []
    while count < frames:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            count += _send_until_closed(connection, frames - count, rng)
        if rng.random() < 0.1:
            half_open = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            half_open.sendall(frame(read(3, 0, 1))[: rng.randrange(1, 11)])
            left_open = [*left_open[-3:], half_open]
    return count


def _send_until_closed(connection: socket.socket, frames: int, rng: random.Random) -> int:
    """The frames sent. Ends when the station hangs up, after a while, or without having read the last responses."""
    sent, bursts = 0, rng.randrange(1, 200)
    try:
        while sent < frames and bursts:
            connection.sendall(hostile_bytes(rng))
            sent, bursts = sent + BURST, bursts - 1
            while select.select([connection], [], [], 0)[0]:
                if not connection.recv(65536):
                    return sent
    except OSError:
        pass
    return sent


if __name__ == "__main__":
    print(hostile(*(int(argument) for argument in sys.argv[1:])))  # noqa: T201  the starter reads it
