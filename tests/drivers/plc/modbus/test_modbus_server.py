"""The Modbus TCP server over real sockets: reads, writes, exceptions, consistency and life."""

from __future__ import annotations

import dataclasses
import struct
import threading
from collections.abc import Callable
from functools import partial

import pytest
from pyModbusTCP.client import ModbusClient

from drivers.plc.modbus import Identification, ModbusServerSettings, ModbusTcpServerLink
from drivers.plc.protocol import PlcError, PlcInputs, PlcLink, PlcOutputs
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
from tests.drivers.plc.modbus.recorded_server import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    OTHER_UNIT,
    Server,
)


def test_is_a_plc_link() -> None:
    link: PlcLink = ModbusTcpServerLink(ModbusServerSettings(), lambda _: None, lambda _: None)
    assert not getattr(link, "is_alive")  # noqa: B009


# ---- reading --------------------------------------------------------------------------------------------------------


def test_an_independent_client_reads_what_was_published_in_all_areas(server: Server) -> None:
    server.link.publish(PlcOutputs(online=True, part_id_ack=True, heartbeat=5, acquisition_id=70_000, count_missed=3))
    client = ModbusClient("127.0.0.1", server.port)
    expected_bits = [index in (0, 8, 19) for index in range(20)]
    assert client.read_discrete_inputs(0, 20) == expected_bits
    assert client.read_coils(1000, 20) == expected_bits
    values = client.read_input_registers(0, 42)
    assert values is not None
    assert values[:2] == [2, 5]
    assert values[8:10] == [1, 4464]
    assert values[40:42] == [0, 3]
    assert client.read_holding_registers(1000, 42) == values
    assert client.read_input_registers(7, 1) == [0], "the gap reads 0, so that the block can be read at once"
    client.close()


def test_low_word_first_when_the_layout_says_so(start: Callable[..., Server]) -> None:
    server = start(layout=Layout(high_word_first=False))
    server.link.publish(PlcOutputs(acquisition_id=70_000))
    with RawClient(server.port) as client:
        assert registers(client.ask(read(4, 8, 2))) == [4464, 1]
        client.ask(write_registers(3, [4464, 1]))
    assert server.inputs[-1].part_id == 70_000


@pytest.mark.parametrize(("function", "size", "mirror"), [(1, 32, True), (2, 32, False), (3, 64, True), (4, 64, False)])
def test_reads_outside_the_map_are_illegal_addresses(client: RawClient, function: int, size: int, mirror: bool) -> None:
    assert client.ask(read(function, 0, size))[0] == function
    assert client.ask(read(function, size - 1, 1))[0] == function
    refused = bytes([function | 0x80, ILLEGAL_ADDRESS])
    assert client.ask(read(function, 0, size + 1)) == refused
    assert client.ask(read(function, size, 1)) == refused
    assert client.ask(read(function, 65535, 2)) == refused
    mirror_size = size
    if mirror:
        assert client.ask(read(function, 1000, mirror_size))[0] == function
        assert client.ask(read(function, 1000, mirror_size + 1)) == refused
        assert client.ask(read(function, 999, 2)) == refused
    else:
        assert client.ask(read(function, 1000, 1)) == refused


def test_whole_words_are_read_and_written_in_one_request_and_padding_is_0(server: Server, client: RawClient) -> None:
    server.link.publish(PlcOutputs(count_ejected=3))
    assert bits(client.ask(read(2, 0, 32)), 32) == [index == 8 for index in range(32)]
    status = registers(client.ask(read(4, 0, 64)))
    assert (status[46:48], status[48:]) == ([0, 3], [0] * 16)
    assert client.ask(write_coils(0, [1] * 16 + [0] * 16))[0] == 15
    assert client.ask(write_registers(0, [7, *[0] * 63]))[0] == 16
    assert bits(client.ask(read(1, 0, 32)), 32) == [True] * 16 + [False] * 16
    assert registers(client.ask(read(3, 0, 64))) == [7] + [0] * 63
    assert server.inputs[-1].part_at_ejector
    assert server.inputs[-1].plc_heartbeat == 7
    assert client.ask(read(2, 30, 2))[0] == 2, "padding alone"


@pytest.mark.parametrize(
    "pdu",
    [
        write_coils(0, [0] * 16 + [1] + [0] * 15),
        write_registers(0, [0] * 63 + [1]),
        write_coil(16, 0xFF00),
        write_register(10, 1),
        write_coils(0, [0] * 33),
        write_registers(0, [0] * 65),
        struct.pack(">BHHHHB12H", 23, 0, 1, 0, 12, 24, *[0] * 11, 1),
    ],
)
def test_padding_takes_0_only_and_a_refused_write_changes_nothing(server: Server, pdu: bytes) -> None:
    with RawClient(server.port) as client:
        client.ask(write_coils(0, [1] * 16))
        client.ask(write_registers(0, [9] * 10))
        assert client.ask(pdu) == bytes([pdu[0] | 0x80, ILLEGAL_ADDRESS])
        assert bits(client.ask(read(1, 0, 16)), 16) == [True] * 16
        assert registers(client.ask(read(3, 0, 10))) == [9] * 10


def test_a_station_that_listens_on_all_ipv6_addresses_takes_ipv4_and_knows_its_writers(
    start: Callable[..., Server],
) -> None:
    try:
        server = start(host="::", writers=("127.0.0.0/8",))
    except PlcError as problem:
        pytest.skip(f"no IPv6 here: {problem}")
    with RawClient(server.port) as client:
        assert client.ask(write_coil(0, 0xFF00)) == write_coil(0, 0xFF00)
    assert server.kinds()[0] == "connected"


# ---- identification -------------------------------------------------------------------------------------------------


def test_the_device_says_who_it_is(start: Callable[..., Server]) -> None:
    server = start(identification=Identification(revision="1.2", user_name="Lid\u00a04" + "x" * 60))
    with RawClient(server.port) as client:
        answer = client.ask(b"\x2b\x0e\x01\x00")
        assert answer[:7] == bytes([43, 14, 1, 0x82, 0, 0, 3])
        assert objects(answer) == {0: b"Edge inspection station", 1: b"inspection-station", 2: b"1.2"}
        regular = objects(client.ask(b"\x2b\x0e\x02\x00"))
        assert (regular[2], regular[6]) == (b"1.2", b"Lid?4" + b"x" * 35)
        assert list(objects(client.ask(b"\x2b\x0e\x03\x02"))) == [2, 4, 6], "from object 2 on"
        assert objects(client.ask(b"\x2b\x0e\x01\x77")).keys() == {0, 1, 2}, "an unknown first one: from the beginning"
        assert objects(client.ask(b"\x2b\x0e\x04\x02")) == {2: b"1.2"}
        assert client.ask(b"\x2b\x0e\x04\x03") == bytes([0xAB, ILLEGAL_ADDRESS])
        for pdu in (b"\x2b\x0e\x00\x00", b"\x2b\x0e\x05\x00", b"\x2b\x0e\x01", b"\x2b\x0e"):
            assert client.ask(pdu) == bytes([0xAB, ILLEGAL_VALUE])
        assert client.ask(b"\x2b\x0d\x00\x00") == bytes([0xAB, ILLEGAL_FUNCTION])
    assert server.kinds() == [], "who asks this is no writer"


def objects(answer: bytes) -> dict[int, bytes]:
    found, at = {}, 7
    while at < len(answer):
        found[answer[at]] = answer[at + 2 : at + 2 + answer[at + 1]]
        at += 2 + answer[at + 1]
    assert len(found) == answer[6]
    return found


@pytest.mark.parametrize("function", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 2001, 65535])
def test_counts_that_no_read_may_have_are_illegal_values(client: RawClient, function: int, count: int) -> None:
    assert client.ask(read(function, 0, count)) == bytes([function | 0x80, ILLEGAL_VALUE])


@pytest.mark.parametrize("pdu", [b"\x03", b"\x03\x00", b"\x03\x00\x00\x00", read(3, 0, 1) + b"\x00", b"\x06\x00\x00"])
def test_requests_of_wrong_length_are_illegal_values(client: RawClient, pdu: bytes) -> None:
    assert client.ask(pdu) == bytes([pdu[0] | 0x80, ILLEGAL_VALUE])


@pytest.mark.parametrize("function", [0, 7, 8, 11, 12, 17, 20, 21, 22, 24, 43, 65, 127])
def test_functions_not_offered_are_illegal_functions(client: RawClient, function: int) -> None:
    assert client.ask(bytes([function, 0, 0, 0, 1])) == bytes([function | 0x80, ILLEGAL_FUNCTION])


def test_unit_ids(start: Callable[..., Server]) -> None:
    server = start(unit_id=9)
    with RawClient(server.port) as client:
        for unit in (9, 0, 255):
            client.send(frame(read(4, 0, 1), transaction=unit, unit=unit))
            assert client.receive() == (unit, unit, b"\x04\x02\x00\x02")
        assert client.ask(read(4, 0, 1), unit=1) == bytes([0x84, OTHER_UNIT])
        assert client.ask(write_coil(0, 0xFF00), unit=1) == bytes([0x85, OTHER_UNIT])
    assert server.inputs == []


def test_other_unit_ids_are_ignored_when_so_configured(start: Callable[..., Server]) -> None:
    server = start(unit_id=9, answer_other_units=False)
    with RawClient(server.port) as client:
        client.send(frame(read(4, 0, 1), transaction=1, unit=4))
        client.send(frame(read(4, 0, 1), transaction=2, unit=9))
        assert client.receive()[0] == 2


# ---- writing --------------------------------------------------------------------------------------------------------


def test_writes_reach_the_station_as_the_whole_block_in_order(server: Server, client: RawClient) -> None:
    assert client.ask(write_coil(0, 0xFF00)) == write_coil(0, 0xFF00)
    assert client.ask(write_registers(3, [1, 2, 3, 4, 5])) == struct.pack(">BHH", 16, 3, 5)
    assert client.ask(write_register(0, 9)) == write_register(0, 9)
    assert client.ask(write_coils(1, [1, 0, 1])) == struct.pack(">BHH", 15, 1, 3)
    enabled = PlcInputs(trigger_enable=True)
    with_id = dataclasses.replace(enabled, part_id=65538, encoder_count=196612, deadline_ms=5)
    beating = dataclasses.replace(with_id, plc_heartbeat=9)
    assert server.inputs == [
        enabled,
        with_id,
        beating,
        dataclasses.replace(beating, trigger=True, buffer_enable=True),
    ]
    assert server.threads == {"modbus"}
    assert bits(client.ask(read(1, 0, 16)), 16) == [True, True, False, True] + [False] * 12
    assert registers(client.ask(read(3, 0, 8))) == [9, 0, 0, 1, 2, 3, 4, 5]


def test_no_edge_is_lost_when_many_writes_come_in_one_packet(server: Server, client: RawClient) -> None:
    edges = [index % 2 for index in range(200)]
    client.send(b"".join(frame(write_coil(1, 0xFF00 * (1 - edge)), transaction=i) for i, edge in enumerate(edges)))
    assert [client.receive()[0] for _ in edges] == list(range(200))
    assert [inputs.trigger for inputs in server.inputs] == [not edge for edge in edges]


def _has_ended(server: Server, writers: int) -> bool:
    return server.kinds().count("disconnected") == writers


def test_a_write_that_changes_nothing_is_not_reported_except_the_first_of_a_writer(server: Server) -> None:
    for expected in (1, 2):
        with RawClient(server.port) as client:
            client.ask(write_coil(0, 0))
            client.ask(write_coil(0, 0))
        assert server.inputs == [PlcInputs()] * expected
        wait_for(partial(_has_ended, server, expected), "the end of the writer")


@pytest.mark.parametrize(
    "pdu",
    [
        write_coil(16, 0xFF00),
        write_coil(1000, 0xFF00),
        write_coils(15, [1, 1]),
        write_coils(1000, [1] * 27),
        write_register(10, 1),
        write_register(1000, 1),
        write_registers(9, [1, 1]),
        write_registers(1047, [1]),
        write_registers(65535, [1, 1]),
        struct.pack(">BHHHHBH", 23, 0, 1, 10, 1, 2, 1),
        struct.pack(">BHHHHBH", 23, 64, 1, 0, 1, 2, 1),
    ],
    ids=lambda pdu: pdu.hex(),
)
def test_writes_outside_the_control_block_are_illegal_addresses(server: Server, client: RawClient, pdu: bytes) -> None:
    assert client.ask(pdu) == bytes([pdu[0] | 0x80, ILLEGAL_ADDRESS])
    assert server.inputs == []
    assert server.events == [], "a refused write makes nobody the writer"
    assert not any(bits(client.ask(read(1, 0, 16)), 16))


@pytest.mark.parametrize(
    "pdu",
    [
        write_coil(0, 1),
        write_coil(0, 0xFF01),
        write_coils(0, []),
        write_coils(0, [1, 1], count=12),
        write_coils(0, [1, 1], count=0),
        write_coils(0, [1, 1], size=2),
        write_coils(0, [1] * 8, count=1969),
        write_registers(0, []),
        write_registers(0, [1, 1], count=1),
        write_registers(0, [1, 1], count=3),
        write_registers(0, [1, 1], size=3),
        write_registers(0, [1, 1], count=3, size=6),
        write_registers(0, [1, 1], count=200),
        write_registers(0, [1], size=255),
        struct.pack(">BHHHHB", 23, 0, 1, 0, 0, 0),
        struct.pack(">BHHHHBH", 23, 0, 126, 0, 1, 2, 1),
        struct.pack(">BHHHHBH", 23, 0, 1, 0, 1, 4, 1),
    ],
    ids=lambda pdu: pdu.hex(),
)
def test_writes_of_wrong_length_or_value_are_illegal_values(server: Server, client: RawClient, pdu: bytes) -> None:
    assert client.ask(pdu) == bytes([pdu[0] | 0x80, ILLEGAL_VALUE])
    assert server.inputs == []


def test_unused_bits_of_a_coil_write_may_be_anything(server: Server, client: RawClient) -> None:
    assert client.ask(struct.pack(">BHHBB", 15, 0, 2, 1, 0b1111_1101)) == struct.pack(">BHH", 15, 0, 2)
    assert server.inputs == [PlcInputs(trigger_enable=True)]


def test_read_write_writes_first_and_reads_the_status(server: Server, client: RawClient) -> None:
    server.link.publish(PlcOutputs(heartbeat=77))
    answer = client.ask(struct.pack(">BHHHHBHH", 23, 1000, 2, 0, 2, 4, 5, 6))
    assert registers(answer) == [2, 77]
    assert client.ask(struct.pack(">BHHHHBH", 23, 0, 2, 0, 1, 2, 8)) == b"\x17\x04\x00\x08\x00\x06"
    assert server.inputs[-1] == PlcInputs(plc_heartbeat=8, command=6)


# ---- consistency and life ------------------------------------------------------------------------------------------


def test_a_block_read_in_one_request_belongs_to_one_publish(server: Server) -> None:
    stop = threading.Event()

    def publish() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            server.link.publish(
                PlcOutputs(acquisition_id=count, inspection_id=count, part_id_echo=count, count_missed=count)
            )

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        with RawClient(server.port) as client:
            for function, base in ((4, 0), (3, 1000)) * 200:
                block = registers(client.ask(read(function, base, 42)))
                assert block[8:10] == block[10:12] == block[12:14] == block[40:42]
    finally:
        stop.set()
        publisher.join()


def test_a_value_that_does_not_fit_is_refused_and_the_old_block_stays(server: Server, client: RawClient) -> None:
    server.link.publish(PlcOutputs(heartbeat=4))
    with pytest.raises(ValueError, match="Recipe = 70000"):
        server.link.publish(PlcOutputs(heartbeat=5, recipe=70_000))
    assert registers(client.ask(read(4, 1, 1))) == [4]


def test_port_in_use_says_so_and_what_to_do(server: Server) -> None:
    other = Server(ModbusServerSettings(port=server.port))
    expected = rf"cannot listen on 127\.0\.0\.1:{server.port}: .*in use; stop the other program .* or choose another"
    with pytest.raises(PlcError, match=expected):
        other.link.__enter__()
    assert not other.link.is_alive


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_ours_says_so(host: str) -> None:
    link = ModbusTcpServerLink(ModbusServerSettings(host=host, port=0), lambda _: None, lambda _: None)
    with pytest.raises(PlcError, match=f"cannot listen on {host}:0: .*set plc.host"):
        link.__enter__()


def test_the_port_is_free_again_after_the_end_even_with_clients_connected() -> None:
    first = Server(ModbusServerSettings(port=0))
    with first.link:
        client = RawClient(first.port)
        client.ask(write_coil(0, 0xFF00))
    assert not first.link.is_alive
    assert client.is_closed_by_station()
    client.socket.close()
    assert first.kinds() == ["connected", "disconnected"]
    with ModbusTcpServerLink(ModbusServerSettings(port=first.port), lambda _: None, lambda _: None) as second:
        assert second.is_alive


def test_leaving_a_link_that_never_started_is_harmless() -> None:
    ModbusTcpServerLink(ModbusServerSettings(), lambda _: None, lambda _: None).__exit__(None, None, None)
