"""The Modbus device: what a request does and what is answered, whatever carries it. One PDU in, one PDU out.

Who may write: the first client that writes, until it disconnects. A client that writes nothing for `writer_silence_s`
(gone without a word, or one that only reads) loses the right to the next one that writes. With `one_writer_per_address`
all connections of one address are one writer. What is written stays written when the writer
leaves: a PLC that comes back with Trigger still raised makes no second edge, and a PLC that stays away lets its
heartbeat freeze, on which the handshake withdraws TriggerReady.

Exceptions, as the Modbus specification has them: 01 function not offered, or this client may never write (`writers`);
02 address outside the map or not for writing; 03 wrong count, length or value; 06 another client is writing.
A refused request changes nothing.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable

from pymodbus.constants import ExcCodes
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsResponse,
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsResponse,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    ReadWriteMultipleRegistersRequest,
    ReadWriteMultipleRegistersResponse,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterResponse,
)

from drivers.plc.map_memory import IllegalAddress, MapMemory
from drivers.plc.modbus.identification import ANONYMOUS, Identification, Unidentified
from drivers.plc.modbus.identification import FUNCTION as IDENTIFICATION
from drivers.plc.protocol import LinkEvent, OnInputs, OnLinkEvent
from drivers.plc.signal_map import Area, Layout

_MOST = {1: 2000, 2: 2000, 3: 125, 4: 125, 5: 1, 6: 1, 15: 1968, 16: 123, 23: 125}
"""Functions offered, and the most values one request may carry (Modbus Application Protocol V1.1b3)."""
REPORT_EVERY_S = 60.0
REPORTS_KEPT = 256


class _Refusal(Exception):
    """The request is answered with an exception."""

    def __init__(self, code: ExcCodes) -> None:
        super().__init__(code.name)
        self.code = code


class Client:
    """What the device knows of one connection."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.last_request_s = 0.0
        self.last_write_s = 0.0

    @property
    def host(self) -> str:
        return self.peer.rpartition(":")[0]

    def close(self, why: str) -> None:
        raise NotImplementedError


class Device:
    """The Modbus device: one PDU in, one PDU out, whatever the transport. Runs on the loop."""

    def __init__(
        self,
        layout: Layout,
        on_inputs: OnInputs,
        on_link_event: OnLinkEvent,
        *,
        writers: tuple[str, ...] = (),
        writer_silence_s: float = math.inf,
        one_writer_per_address: bool = False,
        identification: Identification = ANONYMOUS,
    ) -> None:
        """Raises ValueError when one of `writers` is no address or network."""
        self.memory = MapMemory(layout)
        self._silence_s = writer_silence_s
        self._writers = tuple(ipaddress.ip_network(entry) for entry in writers)
        self._shared = one_writer_per_address
        self._identification = identification
        self._on_inputs = on_inputs
        self._on_link_event = on_link_event
        self._writing: list[Client] = []
        """The connections of the writer, the first that wrote first; more than one only where they are shared."""
        self._reported_s: dict[tuple[str, str], float] = {}
        self._decoder = DecodePDU(True)

    def is_writer(self, client: Client) -> bool:
        return client in self._writing

    def answer(self, client: Client, pdu: bytes, now_s: float) -> ModbusPDU:
        """The response to one request, without transaction and unit id."""
        client.last_request_s = now_s
        try:
            if pdu[0] == IDENTIFICATION:
                return self._identification.answer(pdu)
            return self._execute(client, self._decode(pdu), now_s)
        except IllegalAddress:
            return ExceptionResponse(pdu[0], ExcCodes.ILLEGAL_ADDRESS)
        except (_Refusal, Unidentified) as refusal:
            return ExceptionResponse(pdu[0], refusal.code)

    def disconnected(self, client: Client, why: str) -> None:
        if client in self._writing:
            self._writing.remove(client)
            if not self._writing:
                self._on_link_event(LinkEvent("disconnected", client.peer, why))

    def refuse(self, client: Client, why: str, detail: str = "") -> None:
        """Reports a client that does what it may not; once a minute per host, so that a flood does not fill the log."""
        now_s, key = client.last_request_s, (client.host, why)
        if now_s - self._reported_s.get(key, -math.inf) < REPORT_EVERY_S:
            return
        if len(self._reported_s) >= REPORTS_KEPT:
            self._reported_s.clear()
        self._reported_s[key] = now_s
        self._on_link_event(LinkEvent("refused", client.peer, f"{why}{detail}"))

    def _decode(self, pdu: bytes) -> ModbusPDU:
        most = _MOST.get(pdu[0])
        if most is None:
            raise _Refusal(ExcCodes.ILLEGAL_FUNCTION)
        request = self._decoder.decode(pdu) if _is_well_formed(pdu) else None
        if request is None:
            raise _Refusal(ExcCodes.ILLEGAL_VALUE)
        counts = (
            (request.read_count, request.write_count)
            if isinstance(request, ReadWriteMultipleRegistersRequest)
            else (request.count,)
        )
        if pdu[0] not in (5, 6) and not all(1 <= count <= most for count in counts):
            raise _Refusal(ExcCodes.ILLEGAL_VALUE)
        return request

    def _execute(  # noqa: PLR0911  one response a function
        self, client: Client, request: ModbusPDU, now_s: float
    ) -> ModbusPDU:
        address, count, memory = request.address, request.count, self.memory
        match request.function_code:
            case 1:
                return ReadCoilsResponse(bits=memory.read_coils(address, count))
            case 2:
                return ReadDiscreteInputsResponse(bits=memory.read_discrete_inputs(address, count))
            case 3:
                return ReadHoldingRegistersResponse(registers=memory.read_holding_registers(address, count))
            case 4:
                return ReadInputRegistersResponse(registers=memory.read_input_registers(address, count))
            case 5 | 15:
                bits = list(request.bits)
                memory.check_write(Area.COIL, address, bits)
                self._write(client, now_s, lambda: memory.write_coils(address, bits))
                if request.function_code == 5:
                    return WriteSingleCoilResponse(address=address, bits=bits)
                return WriteMultipleCoilsResponse(address=address, count=count)
            case 6 | 16:
                registers = list(request.registers)
                memory.check_write(Area.HOLDING_REGISTER, address, registers)
                self._write(client, now_s, lambda: memory.write_holding_registers(address, registers))
                if request.function_code == 6:
                    return WriteSingleRegisterResponse(address=address, registers=registers)
                return WriteMultipleRegistersResponse(address=address, count=count)
            case _:
                return self._read_write(client, request, now_s)

    def _read_write(self, client: Client, request: ModbusPDU, now_s: float) -> ModbusPDU:
        """Function 23: writes, then reads; refused as a whole when either is illegal."""
        assert isinstance(request, ReadWriteMultipleRegistersRequest)
        memory, registers = self.memory, list(request.write_registers)
        memory.read_holding_registers(request.read_address, request.read_count)
        memory.check_write(Area.HOLDING_REGISTER, request.write_address, registers)
        self._write(client, now_s, lambda: memory.write_holding_registers(request.write_address, registers))
        answer = memory.read_holding_registers(request.read_address, request.read_count)
        return ReadWriteMultipleRegistersResponse(registers=answer)

    def _write(self, client: Client, now_s: float, write: Callable[[], bool]) -> None:
        """Writes when the client may; the station hears of it before the client gets its response."""
        took_over = self._claim(client, now_s)
        client.last_write_s = now_s
        if write() or took_over:
            self._on_inputs(self.memory.control)

    def _claim(self, client: Client, now_s: float) -> bool:
        """True when the client becomes the writer now. Raises _Refusal when it may not write."""
        if client in self._writing:
            return False
        if self._writers and not any(_address(client.host) in net for net in self._writers):
            self.refuse(client, "wrote, but is not among the configured writers")
            raise _Refusal(ExcCodes.ILLEGAL_FUNCTION)
        if self._writing:
            writer = max(self._writing, key=lambda client: client.last_write_s)
            if self._shared and client.host == writer.host:
                self._writing.append(client)
                return False
            silent_s = now_s - writer.last_write_s
            if silent_s < self._silence_s:
                self.refuse(client, "wrote, but another client is writing: ", writer.peer)
                raise _Refusal(ExcCodes.DEVICE_BUSY)
            self._replace(f"wrote nothing for {silent_s:.1f} s; {client.peer} writes now", now_s)
        self._writing = [client]
        self._on_link_event(LinkEvent("connected", client.peer, "writes from now on"))
        return True

    def _replace(self, why: str, now_s: float) -> None:
        """Takes the right to write from all who have it; who still reads stays connected."""
        for writer in tuple(self._writing):
            self.disconnected(writer, why)
            if now_s - writer.last_request_s >= self._silence_s:
                writer.close(why)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A station that listens on `::` sees IPv4 clients as `::ffff:192.0.2.1`; here they are what they are."""
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def _is_well_formed(pdu: bytes) -> bool:
    """Whether length, count, byte count and the value of a coil fit together; pymodbus does not look at all of them."""
    function = pdu[0]
    if function <= 6:
        return len(pdu) == 5 and (function != 5 or pdu[3:] in (b"\xff\x00", b"\x00\x00"))
    size_at = 9 if function == 23 else 5
    count = int.from_bytes(pdu[size_at - 2 : size_at], "big")
    size = (count + 7) // 8 if function == 15 else 2 * count
    return len(pdu) == size_at + 1 + size and pdu[size_at] == size
