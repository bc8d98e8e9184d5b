"""The clients of the Modbus TCP server: which one may write, and what those that misbehave cost the others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymodbus.pdu import ExceptionResponse

from drivers.plc.modbus import ModbusServerSettings, ModbusTcpServerLink
from drivers.plc.modbus.device import Client, Device
from drivers.plc.protocol import LinkEvent, PlcInputs
from drivers.plc.signal_map import Layout
from tests.bench.clients import (
    RawClient,
    bits,
    frame,
    read,
    registers,
    write_coil,
    write_coils,
    write_register,
    write_registers,
)
from tests.bench.waiting import wait_for
from tests.drivers.plc.modbus.recorded_server import BUSY, ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, Server

ADDRESSES = st.one_of(st.integers(0, 45), st.integers(990, 1050), st.integers(0, 0xFFFF))
PDUS = st.one_of(
    st.binary(min_size=1, max_size=253),
    st.builds(write_coil, ADDRESSES, st.sampled_from([0, 0xFF00, 1])),
    st.builds(write_register, ADDRESSES, st.integers(0, 0xFFFF)),
    st.builds(write_coils, ADDRESSES, st.lists(st.integers(0, 1), max_size=24)),
    st.builds(write_registers, ADDRESSES, st.lists(st.integers(0, 0xFFFF), max_size=24)),
    st.builds(write_registers, ADDRESSES, st.lists(st.integers(0, 0xFFFF), max_size=9), count=st.integers(0, 9)),
    st.builds(read, st.integers(1, 4), ADDRESSES, st.integers(0, 2001)),
)


# ---- who may write --------------------------------------------------------------------------------------------------


def test_one_client_writes_until_it_leaves(server: Server) -> None:
    with RawClient(server.port) as second:
        with RawClient(server.port) as first:
            first.ask(write_coil(0, 0xFF00))
            for _ in range(3):
                assert second.ask(write_coil(1, 0xFF00)) == bytes([0x85, BUSY])
            assert bits(second.ask(read(1, 0, 2)), 2) == [True, False], "reading is open to all"
            assert server.kinds() == ["connected", "refused"], "reported once"
        wait_for(lambda: "disconnected" in server.kinds(), "the end of the writer")
        assert bits(second.ask(read(1, 0, 1)), 1) == [True], "what was written stays"
        assert second.ask(write_coil(1, 0xFF00)) == write_coil(1, 0xFF00)
    assert server.inputs == [PlcInputs(trigger_enable=True), PlcInputs(trigger_enable=True, trigger=True)]
    assert server.kinds()[:4] == ["connected", "refused", "disconnected", "connected"]
    peers = {event.peer for event in server.events}
    assert len(peers) == 2
    assert all(peer.startswith("127.0.0.1:") for peer in peers)


def test_a_writer_that_is_silent_too_long_is_replaced(start: Callable[..., Server]) -> None:
    server = start(writer_silence_s=0.2)
    with RawClient(server.port) as gone, RawClient(server.port) as back:
        gone.ask(write_coil(1, 0xFF00))
        wait_for(lambda: back.ask(write_coil(1, 0xFF00)) == write_coil(1, 0xFF00), "the right to write")
        assert gone.is_closed_by_station()
        assert server.inputs == [PlcInputs(trigger=True)] * 2, "Trigger stayed: no second edge"
        assert back.ask(read(1, 0, 1))[0] == 1
    assert server.kinds()[:4] == ["connected", "refused", "disconnected", "connected"] or server.kinds()[:3] == [
        "connected",
        "disconnected",
        "connected",
    ]
    assert any("wrote nothing" in event.detail for event in server.events)


class Peer(Client):
    """A connection of a device that is asked without a socket, at invented times."""

    closed = ""

    def close(self, why: str) -> None:
        self.closed = why


def asked_device(**changes: Any) -> tuple[Device, list[LinkEvent]]:
    events: list[LinkEvent] = []
    return Device(Layout(), lambda _: None, events.append, writer_silence_s=5.0, **changes), events


def took(device: Device, client: Client, pdu: bytes, now_s: float) -> bool:
    return not isinstance(device.answer(client, pdu, now_s), ExceptionResponse)


def test_who_only_reads_after_one_write_does_not_keep_the_right_to_write() -> None:
    device, events = asked_device()
    reader, plc = Peer("192.0.2.1:1"), Peer("192.0.2.2:1")
    assert took(device, reader, write_coil(0, 0xFF00), 0.0)
    for now_s in (1.0, 3.0, 4.9):
        assert took(device, reader, read(4, 0, 42), now_s)
        assert not took(device, plc, write_coil(0, 0), now_s)
    assert took(device, plc, write_coil(0, 0), 5.0)
    assert [event.kind for event in events] == ["connected", "refused", "disconnected", "connected"]
    assert not reader.closed, "it may go on reading"
    assert took(device, reader, read(4, 0, 42), 5.1)
    assert not took(device, reader, write_coil(0, 0xFF00), 5.1)


def test_a_writer_that_writes_stays_the_writer() -> None:
    device, _ = asked_device()
    writer, other = Peer("192.0.2.1:1"), Peer("192.0.2.2:1")
    for now_s in (0.0, 4.9, 9.8):
        assert took(device, writer, write_register(0, 7), now_s)
        assert not took(device, other, write_coil(0, 0), now_s + 4.8)


def test_two_connections_of_one_plc_are_one_writer_where_so_configured() -> None:
    first, second, other = Peer("192.0.2.1:1"), Peer("192.0.2.1:2"), Peer("192.0.2.2:1")
    device, events = asked_device(one_writer_per_address=True)
    assert took(device, first, write_coil(0, 0xFF00), 0.0)
    assert took(device, second, write_register(0, 7), 1.0)
    assert device.is_writer(first)
    assert device.is_writer(second), "neither is closed when too many clients come"
    device.disconnected(first, "gone")
    assert not took(device, other, write_coil(0, 0), 2.0), "the PLC is still there"
    device.disconnected(second, "gone")
    assert took(device, other, write_coil(0, 0), 2.0)
    assert [event.kind for event in events] == ["connected", "refused", "disconnected", "connected"]
    alone, _ = asked_device()
    assert took(alone, first, write_coil(0, 0xFF00), 0.0)
    assert not took(alone, second, write_register(0, 7), 1.0)


def test_the_connections_of_one_writer_lose_their_right_together() -> None:
    first, second, other = Peer("192.0.2.1:1"), Peer("192.0.2.1:2"), Peer("192.0.2.2:1")
    device, _ = asked_device(one_writer_per_address=True)
    assert took(device, first, write_coil(0, 0xFF00), 0.0)
    assert took(device, second, write_register(0, 7), 1.0)
    assert took(device, first, read(4, 0, 42), 5.9)
    assert took(device, other, write_coil(0, 0), 6.0)
    assert (bool(first.closed), bool(second.closed)) == (False, True), "who still reads stays"
    assert not device.is_writer(first)


def test_only_listed_addresses_may_write(start: Callable[..., Server]) -> None:
    server = start(writers=("192.0.2.0/24", "198.51.100.7"))
    with RawClient(server.port) as client:
        assert client.ask(write_coil(0, 0xFF00)) == bytes([0x85, ILLEGAL_FUNCTION])
        assert client.ask(read(1, 0, 1))[0] == 1
    assert server.kinds() == ["refused"]
    listed = start(writers=("127.0.0.0/8",))
    with RawClient(listed.port) as client:
        assert client.ask(write_coil(0, 0xFF00)) == write_coil(0, 0xFF00)


def test_writers_that_are_no_addresses_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="plc-1"):
        ModbusTcpServerLink(ModbusServerSettings(writers=("plc-1",)), lambda _: None, lambda _: None)


# ---- clients that misbehave -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: station\r\n\r\n",
        bytes.fromhex("000100010006010300000001"),  # protocol id 1
        bytes.fromhex("00010000ffff0103"),  # longer than any frame
        bytes.fromhex("0001000000000103"),  # too short for a function code
        bytes.fromhex("000100000001 01"),
        b"\xff" * 1000,
    ],
    ids=["http", "protocol", "too long", "no length", "no function", "ones"],
)
def test_what_is_not_modbus_closes_its_connection_and_no_other(server: Server, garbage: bytes) -> None:
    with RawClient(server.port) as good, RawClient(server.port) as bad:
        good.ask(write_coil(0, 0xFF00))
        bad.send(garbage)
        assert bad.is_closed_by_station()
        assert good.ask(read(4, 0, 1)) == b"\x04\x02\x00\x02"
    assert server.kinds()[:2] == ["connected", "refused"]
    assert len(server.inputs) == 1


def test_frames_may_come_byte_by_byte(server: Server, client: RawClient) -> None:
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in frame(write_coil(0, 0xFF00), transaction=3):
        client.send(bytes([byte]))
    assert client.receive() == (3, 1, write_coil(0, 0xFF00))
    client.send(frame(read(4, 0, 1)) + frame(read(4, 1, 1))[:5])
    assert client.receive()[2] == b"\x04\x02\x00\x02"
    client.send(frame(read(4, 1, 1))[5:])
    assert client.receive()[2] == b"\x04\x02\x00\x00"


def test_the_longest_frame_fits(client: RawClient) -> None:
    pdu = write_registers(0, [0] * 123)
    assert len(pdu) == 252
    assert client.ask(pdu) == bytes([0x90, ILLEGAL_ADDRESS])
    assert client.ask(b"\x41" + b"\x00" * 252) == bytes([0xC1, ILLEGAL_FUNCTION])


def send_forever(connection: socket.socket, data: bytes) -> None:
    while True:
        connection.send(data)


def test_a_client_that_floods_and_never_reads_does_not_stall_the_others(server: Server) -> None:
    request = frame(read(4, 0, 42)) * 500
    with RawClient(server.port) as flood, RawClient(server.port) as good:
        flood.socket.setblocking(False)
        with pytest.raises(BlockingIOError):  # the station stops reading: it does not buffer responses without limit
            send_forever(flood.socket, request)
        for _ in range(100):
            assert good.ask(read(4, 0, 1)) == b"\x04\x02\x00\x02"
        flood.socket.setblocking(True)
        assert flood.receive()[2][0] == 4, "it is served again when it reads"


def test_idle_clients_are_disconnected_and_busy_ones_are_not(start: Callable[..., Server]) -> None:
    server = start(idle_timeout_s=1.5)
    with RawClient(server.port) as idle, RawClient(server.port) as busy:
        closed = threading.Thread(target=idle.is_closed_by_station)
        closed.start()
        while closed.is_alive():
            assert busy.ask(read(4, 0, 1))[0] == 4
            closed.join(0.1)
        assert busy.ask(read(4, 0, 1))[0] == 4


def test_too_many_clients_push_out_the_silent_ones_but_never_the_writer(start: Callable[..., Server]) -> None:
    server = start(max_clients=4)
    with RawClient(server.port) as writer:
        writer.ask(write_coil(0, 0xFF00))
        crowd = [RawClient(server.port) for _ in range(10)]
        assert crowd[-1].ask(read(4, 0, 1))[0] == 4
        assert crowd[0].is_closed_by_station()
        assert writer.ask(write_coil(0, 0)) == write_coil(0, 0)
        for client in crowd:
            client.socket.close()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pdu=PDUS)
def test_any_pdu_is_answered_and_only_legal_writes_change_anything(server: Server, pdu: bytes) -> None:
    with RawClient(server.port) as client:
        before = (bits(client.ask(read(1, 0, 16)), 16), registers(client.ask(read(3, 0, 8))))
        answer = client.ask(pdu)
        after = (bits(client.ask(read(1, 0, 16)), 16), registers(client.ask(read(3, 0, 8))))
        assert answer[0] in (pdu[0], pdu[0] | 0x80)
        if answer[0] & 0x80 or pdu[0] not in (5, 6, 15, 16, 23):
            assert before == after
    wait_for(lambda: server.kinds().count("connected") == server.kinds().count("disconnected"), "the writer to leave")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=600))
def test_any_bytes_leave_the_server_working(server: Server, data: bytes) -> None:
    with RawClient(server.port) as bad, RawClient(server.port) as good:
        bad.send(data)
        assert good.ask(read(4, 0, 1)) == b"\x04\x02\x00\x02"
