"""The map, and what a Modbus client may and may not do."""

from __future__ import annotations

import struct
import time

from drivers.plc.protocol import PlcOutputs
from drivers.plc.signal_map import WHOLE_BITS, WHOLE_REGISTERS, Area
from station.commissioning.conformance.links import COILS, CONTROL_REGISTERS, INPUTS, STATUS_REGISTERS
from station.commissioning.conformance.plc import Condition, Plc
from station.commissioning.conformance.registry import Need, NotChecked, Violation, require, rule
from station.commissioning.plc_client import LinkError, Refused, TcpTransport

MIRROR = 1000
MAP_VERSIONS = (2, 3)
FUNCTION, ADDRESS, VALUE, BUSY, NO_UNIT = 1, 2, 3, 6, 11
WRITER_REFUSED = 6
READ_COILS, READ_INPUTS, READ_HOLDING, READ_REGISTERS = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS, READ_WRITE = 5, 6, 15, 16, 23
PART_ID_AT = 3
TRIES = 5


def refused(plc: Plc, pdu: bytes, code: int, what: str) -> None:
    """The request is refused with this exception, and changes nothing of the control block."""
    before = control_block(plc)
    try:
        answer = plc.modbus.request(pdu)
    except Refused as refusal:
        require(refusal.code == code, f"{what}: {refusal}, should be exception {code:02X}")
    else:
        raise Violation(f"{what}: answered with {answer[:8].hex()}, should be exception {code:02X}")
    require(control_block(plc) == before, f"{what}: was refused, but changed the control block")


def control_block(plc: Plc) -> tuple[list[bool], list[int]]:
    client = plc.modbus
    return client.read_bits(Area.COIL, 0, COILS), client.read_registers(Area.HOLDING_REGISTER, 0, CONTROL_REGISTERS)


def pdu(plc: Plc, function: int, address: int, *words: int, tail: bytes = b"") -> bytes:
    """A request that begins with an address of the map."""
    return struct.pack(f">BH{len(words)}H", function, plc.modbus.base_address + address, *words) + tail


def write_registers(plc: Plc, address: int, *values: int) -> bytes:
    tail = struct.pack(f">B{len(values)}H", 2 * len(values), *values)
    return pdu(plc, WRITE_REGISTERS, address, len(values), tail=tail)


@rule("map-version", "MapVersion is 2, or 3 where the PLC begins batches.")
def map_version(plc: Plc) -> None:
    version = plc.scan().map_version
    require(version in MAP_VERSIONS, f"MapVersion is {version}; this tool knows versions 2 and 3")


@rule("map-whole-block", "A whole block is one request; addresses between two points read 0.")
def whole_block(plc: Plc) -> None:
    image = plc.link.read()
    between = image.registers[7]
    require(between == 0, f"input register 7 belongs to no point and reads {between}")


@rule("map-mirrors", "Input register n is holding register 1000 + n, discrete input n is coil 1000 + n.", Need.SERVER)
def mirrors(plc: Plc) -> None:
    client = plc.modbus
    for _ in range(TRIES):
        image = plc.link.read()
        bits = client.read_bits(Area.COIL, MIRROR, INPUTS)
        registers = client.read_registers(Area.HOLDING_REGISTER, MIRROR, STATUS_REGISTERS)
        if plc.link.read() != image:
            continue  # the heartbeat came between
        require(tuple(bits) == image.bits, f"coils {MIRROR}.. read {bits}, the discrete inputs {image.bits}")
        require(tuple(registers) == image.registers, f"holding registers {MIRROR}.. read {registers}")
        return
    raise NotChecked(f"the status changed during each of {TRIES} comparisons")


@rule("map-control-reads-back", "Coils 0..15 and holding registers 0..9 read back as written.", Need.SERVER)
def control_reads_back(plc: Plc) -> None:
    plc.reset()
    plc.set(part_id=0x0A0B_0C0D, encoder_count=0x0102_0304, deadline_ms=0x1234, buffer_enable=True)
    coils, registers = control_block(plc)
    require(coils == [index == 3 for index in range(COILS)], f"BufferEnable alone was written, the coils read {coils}")
    high_first = plc.order.high_word_first
    words = [0x0A0B, 0x0C0D] if high_first else [0x0C0D, 0x0A0B]
    words = plc.order.bytes_swapped(words)
    found = registers[PART_ID_AT : PART_ID_AT + 2]
    require(found == words, f"PartId was written as {words} and reads {found}")


@rule(
    "map-read-only",
    "The status and its mirrors refuse writes: exception 02.",
    Need.SERVER,
    plays="writes to the status",
)
def read_only(plc: Plc) -> None:
    refused(plc, pdu(plc, WRITE_COIL, MIRROR + 7, 0xFF00), ADDRESS, "writing Pass")
    refused(plc, pdu(plc, WRITE_REGISTER, MIRROR + 14, 1), ADDRESS, "writing Result")
    refused(plc, write_registers(plc, MIRROR, 1, 2, 3), ADDRESS, "writing MapVersion and more")
    require(not plc.scan().pass_, "Pass is 1 after a write to it")


@rule(
    "map-outside",
    "Addresses outside the map are refused with exception 02, read or written.",
    Need.SERVER,
    plays="uses addresses that are not in the map",
)
def outside(plc: Plc) -> None:
    for function, size in ((READ_COILS, WHOLE_BITS), (READ_INPUTS, WHOLE_BITS), (READ_HOLDING, WHOLE_REGISTERS)):
        refused(plc, pdu(plc, function, size, 1), ADDRESS, f"function {function} behind the last word")
    refused(plc, pdu(plc, READ_REGISTERS, WHOLE_REGISTERS - 1, 2), ADDRESS, "a read across the end")
    refused(plc, struct.pack(">BHH", READ_REGISTERS, 0xFFFF, 1), ADDRESS, "a read of address 65535")
    refused(plc, pdu(plc, WRITE_REGISTER, CONTROL_REGISTERS, 1), ADDRESS, "a write behind the last point")


@rule(
    "map-write-whole-or-not",
    "A write that reaches beyond the map changes nothing, not even the part inside it.",
    Need.SERVER,
    plays="writes a block that is too long",
)
def whole_or_not(plc: Plc) -> None:
    plc.reset()
    refused(plc, write_registers(plc, CONTROL_REGISTERS - 1, 7, 7), ADDRESS, "registers across the end")
    coils = pdu(plc, WRITE_COILS, COILS - 2, 4, tail=b"\x01\x0f")
    refused(plc, coils, ADDRESS, "coils across the end")


@rule(
    "map-illegal-values",
    "Counts, lengths and coil values that Modbus does not allow are refused with exception 03 and change nothing.",
    Need.SERVER,
    plays="sends malformed requests",
)
def illegal_values(plc: Plc) -> None:
    refused(plc, pdu(plc, WRITE_COIL, 0, 0x1234), VALUE, "a coil value of 1234 hex")
    refused(plc, pdu(plc, READ_REGISTERS, 0, 0), VALUE, "a read of 0 registers")
    refused(plc, pdu(plc, READ_REGISTERS, 0, 126), VALUE, "a read of 126 registers")
    refused(plc, pdu(plc, READ_INPUTS, 0, 2001), VALUE, "a read of 2001 bits")
    if plc.server.another is not None:  # on a serial line a wrong length is a wrong frame
        refused(plc, pdu(plc, WRITE_REGISTERS, 0, 2, tail=b"\x02\x00\x07"), VALUE, "2 registers in 2 bytes")
        refused(plc, pdu(plc, WRITE_COILS, 0, 9, tail=b"\x01\xff"), VALUE, "9 coils in one byte")
        refused(plc, pdu(plc, READ_REGISTERS, 0), VALUE, "a request that is too short")


@rule(
    "map-illegal-function",
    "Functions other than 1-6, 15, 16, 23 and 43/14 are refused with exception 01.",
    Need.SERVER,
    plays="uses functions that the station does not offer",
)
def illegal_function(plc: Plc) -> None:
    functions = (8, 22, 43, 99) if plc.server.another is not None else (7,)
    for function in functions:
        refused(plc, bytes((function, 0, 0, 0, 0)) if function != 7 else b"\x07", FUNCTION, f"function {function}")


@rule("map-write-functions", "Functions 5, 6, 15, 16 and 23 write.", Need.SERVER, plays="writes with each function")
def write_functions(plc: Plc) -> None:
    plc.reset()
    client = plc.modbus
    client.request(pdu(plc, WRITE_COIL, 3, 0xFF00))
    require(control_block(plc)[0][3], "function 5 did not write BufferEnable")
    client.request(pdu(plc, WRITE_COILS, 3, 1, tail=b"\x01\x00"))
    require(not control_block(plc)[0][3], "function 15 did not write BufferEnable")
    client.request(pdu(plc, WRITE_REGISTER, 2, 11))
    require(control_block(plc)[1][2] == 11, "function 6 did not write CommandArgument")
    client.request(write_registers(plc, 2, 12))
    require(control_block(plc)[1][2] == 12, "function 16 did not write CommandArgument")
    tail = struct.pack(">BH", 2, 13)
    answer = client.request(pdu(plc, READ_WRITE, 2, 1, client.base_address + 2, 1, tail=tail))
    require(answer == struct.pack(">BBH", READ_WRITE, 2, 13), f"function 23 wrote 13 and read {answer.hex()}")


@rule(
    "map-other-unit",
    "Another unit id is answered with exception 0B on TCP, and not at all on a serial line.",
    Need.SERVER,
    plays="uses another unit id",
)
def other_unit(plc: Plc) -> None:
    client = plc.modbus
    other, own = client.unit % 200 + 17, client.unit
    client.unit = other
    try:
        client.read_bits(Area.DISCRETE_INPUT, 0, INPUTS)
    except Refused as refusal:
        require(plc.server.another is not None, f"unit {other} answers on a serial line: {refusal}")
        require(refusal.code == NO_UNIT, f"unit {other}: {refusal}")
    except LinkError:
        return  # silence
    else:
        raise Violation(f"unit {other} answers as unit {own} does")
    finally:
        client.unit = own


@rule(
    "link-one-writer",
    "While one client writes, the writes of another are refused with exception 06 and change nothing; it may read. "
    "The station warns.",
    Need.TCP,
    plays="a second client that writes, too",
)
def one_writer(plc: Plc) -> None:
    plc.reset()
    assert plc.server.another is not None
    with plc.server.another() as second:
        require(second.read_registers(Area.INPUT_REGISTER, 0, 1)[0] in MAP_VERSIONS, "a second client cannot read")
        for request in (pdu(plc, WRITE_COIL, 0, 0xFF00), write_registers(plc, PART_ID_AT, 1, 2)):
            try:
                second.request(request)
            except Refused as refusal:
                require(refusal.code == BUSY, f"the write of a second client: {refusal}, should be exception 06")
            else:
                raise Violation("the write of a second client was accepted")
        require(not control_block(plc)[0][0], "TriggerEnable is 1 by the write of a second client")
    plc.wait(lambda status: status.warning_code == WRITER_REFUSED, f"WarningCode {WRITER_REFUSED}")
    plc.set(clear_error=True)
    plc.wait(lambda status: status.warning_code != WRITER_REFUSED, "the warning to end with ClearError")
    plc.set(clear_error=False)


@rule(
    "link-survives-garbage",
    "A connection that sends something else than Modbus TCP is closed; the others and the handshake go on.",
    Need.TCP,
    plays="a second client that sends garbage",
)
def survives_garbage(plc: Plc) -> None:
    assert plc.server.another is not None
    with plc.server.another() as second:
        require(isinstance(second.transport, TcpTransport), "not on TCP")
        second.read_bits(Area.DISCRETE_INPUT, 0, 1)
        assert isinstance(second.transport, TcpTransport)
        closed = second.transport.is_closed_after(b"GET / HTTP/1.1\r\n\r\n", plc.times.answer_s)
        require(closed, "a connection that sent HTTP is still open")
    plc.begin()


@rule(
    "link-trigger-at-connect",
    "A PLC that comes back with Trigger still raised makes no second part.",
    Need.PLC_TRIGGER,
    plays="loses its connection while Trigger is 1",
)
def trigger_at_connect(plc: Plc) -> None:
    plc.begin()
    plc.set(trigger=True)
    taken = plc.wait(lambda status: status.trigger_ack, "TriggerAck")
    plc.link.reconnect()
    plc.write()

    def no_other(status: PlcOutputs) -> bool:
        same = status.acquisition_id == taken.acquisition_id
        return same and status.count_missed == taken.count_missed

    plc.stays(no_other, "the Trigger that stood over a reconnect made another part")
    plc.set(trigger=False)
    plc.begin()


def beats_after(value: int) -> Condition:
    return lambda status: status.heartbeat != value


@rule("link-heartbeat", "The station's Heartbeat counts up by one, about once a second.")
def station_heartbeat(plc: Plc) -> None:
    first = plc.scan().heartbeat
    times = [time.monotonic()]
    for step in (1, 2):
        before = plc.status.heartbeat
        after = plc.wait(beats_after(before), "Heartbeat to move", 3.0).heartbeat
        times.append(time.monotonic())
        require(after == (first + step) & 0xFFFF, f"Heartbeat went from {before} to {after}")
    require(times[2] - times[1] > 0.5, f"Heartbeat counts every {times[2] - times[1]:.2f} s")
