"""Frames are found on a serial line whatever stands between them, and nothing else is taken for one."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.plc.modbus.rtu_frames import LONGEST, RtuFrames
from station.commissioning.plc_client import crc16
from tests.bench.clients import read, write_coil, write_coils, write_register, write_registers

GAP_S = 0.002
UNIT = 7

READ_WRITE = struct.pack(">BHHHHBHH", 23, 0, 2, 0, 2, 4, 5, 6)
REQUESTS = st.one_of(
    st.builds(read, st.integers(1, 4), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    st.builds(write_coil, st.integers(0, 0xFFFF), st.sampled_from([0, 0xFF00])),
    st.builds(write_register, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    st.builds(write_coils, st.integers(0, 0xFFFF), st.lists(st.integers(0, 1), min_size=1, max_size=64)),
    st.builds(write_registers, st.integers(0, 0xFFFF), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=20)),
    st.just(READ_WRITE),
)


def rtu(pdu: bytes, unit: int = UNIT) -> bytes:
    content = bytes([unit]) + pdu
    return content + crc16(content)


class Line:
    """Feeds bytes with the clock of the test."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.frames = RtuFrames(UNIT, GAP_S)
        self.found: list[bytes] = []

    def send(self, data: bytes) -> None:
        """Without a silence in or before it."""
        self.frames.feed(data, self.now_s)

    def silence(self) -> None:
        self.now_s += 2 * GAP_S
        self.found += self.frames.silence()


@given(pdus=st.lists(REQUESTS, min_size=1, max_size=8), data=st.data())
def test_requests_are_found_however_the_line_cuts_them(pdus: list[bytes], data: st.DataObject) -> None:
    line, stream = Line(), b"".join(rtu(pdu) for pdu in pdus)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        line.send(stream[start:end])
    line.silence()
    assert line.found == [bytes([UNIT]) + pdu for pdu in pdus]


@given(pdu=REQUESTS, cut=st.integers(1, 40))
def test_a_silence_inside_a_request_does_no_harm(pdu: bytes, cut: int) -> None:
    line, frame = Line(), rtu(pdu)
    line.send(frame[:cut])
    line.silence()
    line.send(frame[cut:])
    line.silence()
    assert line.found == [frame[:-2]]


@given(garbage=st.binary(min_size=1, max_size=3 * LONGEST), pdu=REQUESTS)
def test_after_garbage_and_a_silence_the_next_request_is_found(garbage: bytes, pdu: bytes) -> None:
    line = Line()
    line.send(garbage)
    line.silence()
    before = len(line.found)
    line.send(rtu(pdu))
    line.silence()
    assert line.found[before:] == [bytes([UNIT]) + pdu]


@given(pdu=REQUESTS, at=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_request_with_one_wrong_bit_is_none(pdu: bytes, at: int, bit: int) -> None:
    line, frame = Line(), bytearray(rtu(pdu))
    frame[at % len(frame)] ^= 1 << bit
    line.send(bytes(frame))
    line.silence()
    assert line.found == []


@given(pdu=REQUESTS, before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_a_request_with_something_before_or_behind_it_is_none(pdu: bytes, before: bytes, after: bytes) -> None:
    line = Line()
    line.send(before + rtu(pdu) + after)
    line.silence()
    assert (bytes([UNIT]) + pdu in line.found) == (not before and not after)


@pytest.mark.parametrize(
    "pdu", [b"\x2b\x0e\x01\x00", b"\x07", b"\x41" + bytes(200), b"\x03\x00\x00\x00", b"\x10" + bytes(9)]
)
def test_a_request_of_another_function_or_length_ends_at_the_silence(pdu: bytes) -> None:
    line = Line()
    line.send(rtu(pdu))
    line.silence()
    assert line.found == [bytes([UNIT]) + pdu]


def test_what_others_on_the_line_say_is_cut_off() -> None:
    """Without silences that a busy machine could see: requests to unit 9, its responses, then a request to us."""
    line = Line()
    responses = [
        b"\x03\x04\x00\x01\x00\x02",
        b"\x01\x02\x05\x00",
        struct.pack(">BHH", 16, 3, 4),
        b"\x83\x02",
        write_coil(1, 0),
    ]
    requests = [read(3, 0, 2), read(1, 0, 9), write_registers(3, [1, 2, 3, 4]), read(3, 999, 1), write_coil(1, 0)]
    for request, answer in zip(requests, responses, strict=True):
        line.send(rtu(request, 9) + rtu(answer, 9))
    line.send(rtu(read(4, 0, 1)))
    line.silence()
    assert line.found[-1] == bytes([UNIT]) + read(4, 0, 1)
    assert all(frame[0] == 9 for frame in line.found[:-1])


def test_the_head_of_a_long_write_is_never_taken_for_an_answer() -> None:
    """The first eight bytes have a right check sum of their own: byte count and first value were chosen so."""
    head = next(
        head
        for address in range(0x10000)
        for head in [struct.pack(">BBHH", UNIT, 16, address, 4)]
        if crc16(head)[0] == 8
    )
    frame = head + bytes([8, crc16(head)[1]]) + b"\x55" * 7
    line = Line()
    line.send((frame + crc16(frame))[:12])
    line.silence()
    assert line.found == []
    line.send((frame + crc16(frame))[12:])
    line.silence()
    assert line.found == [frame]


@given(chunks=st.lists(st.tuples(st.binary(max_size=300), st.booleans()), max_size=30))
def test_any_bytes_are_survived_with_little_memory(chunks: list[tuple[bytes, bool]]) -> None:
    line = Line()
    for chunk, silent in chunks:
        line.send(chunk)
        if silent:
            line.silence()
        assert len(line.frames._bytes) <= 8 * LONGEST
