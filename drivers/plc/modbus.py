"""Modbus TCP, server role: the only module that imports pymodbus.

pymodbus frames, decodes and encodes (`FramerSocket`, `DecodePDU`, the response classes); asyncio carries the bytes.
pymodbus' own server is not used, because of what it does to a PLC that misbehaves (3.16): it answers only the last of
several requests that arrive together, it keeps buffering after a frame that is not Modbus, it takes any value for a
coil, and it cannot tell one client from another.

Threads: one thread named `modbus` runs the event loop; `on_inputs` and `on_link_event` are called on it and must not
block. `publish` may be called from any one thread and only replaces a reference.

Who may write: the first client that writes, until it disconnects. A client that is gone without a word (cable, power)
loses the right after `writer_silence_s` to the next one that writes. What is written stays written when the writer
leaves: a PLC that comes back with Trigger still raised makes no second edge, and a PLC that stays away lets its
heartbeat freeze, on which the handshake withdraws TriggerReady.

Exceptions, as the Modbus specification has them: 01 function not offered, or this client may never write (`writers`);
02 address outside the map or not for writing; 03 wrong count, length or value; 06 another client is writing;
0B other unit id. A refused request changes nothing. A frame that is not Modbus TCP closes its connection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerSocket
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
from drivers.plc.protocol import LinkEvent, OnInputs, OnLinkEvent, PlcOutputs
from drivers.plc.signal_map import Area, Layout
from drivers.plc.sockets import detect_dead_peer, listen

MAX_ADU = 260
"""Bytes of the longest Modbus TCP frame: 7 of header, 253 of PDU."""
HEADER = 6
"""Transaction, protocol, length: the bytes that the length field does not count."""
ANY_UNIT = (0, 255)
"""Unit ids that mean "this device" over TCP (Modbus Messaging on TCP/IP Implementation Guide V1.0b, 4.4.2.5)."""
SWEEP_S = 1.0
JOIN_S = 5.0

_MOST = {1: 2000, 2: 2000, 3: 125, 4: 125, 5: 1, 6: 1, 15: 1968, 16: 123, 23: 125}
"""Functions offered, and the most values one request may carry (Modbus Application Protocol V1.1b3)."""
_WRITES = (5, 6, 15, 16, 23)


@dataclass(frozen=True, slots=True)
class ModbusServerSettings:
    """How the station listens."""

    host: str = "127.0.0.1"
    port: int = 502
    unit_id: int = 1
    answer_other_units: bool = True
    """Another unit id is answered with exception 0B; False: not at all."""
    writers: tuple[str, ...] = ()
    """Addresses or networks that may write, such as `192.168.0.10` or `10.0.0.0/24`; empty: any."""
    writer_silence_s: float = 5.0
    """The writer may be silent so long before another client may take over."""
    idle_timeout_s: float = 60.0
    """A client without a request for so long is disconnected."""
    max_clients: int = 16
    """One more takes the place of the client that has been silent longest (never of the writer)."""
    layout: Layout = field(default_factory=Layout)


class ModbusTcpServerLink:
    """`PlcLink` in server role."""

    def __init__(self, settings: ModbusServerSettings, on_inputs: OnInputs, on_link_event: OnLinkEvent) -> None:
        """Raises ValueError when `settings.writers` holds something that is no address or network."""
        self._settings = settings
        self._device = _Device(settings, on_inputs, on_link_event)
        self._on_link_event = on_link_event
        self._port = settings.port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._running = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on: the configured one, or the one the system chose for 0."""
        return self._port

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def __enter__(self) -> ModbusTcpServerLink:
        """Listens from here on. Raises PlcError."""
        # Bound here and not on the loop, so that the caller gets the error.
        listener = listen(self._settings.host, self._settings.port)
        self._port = int(listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, args=(listener,), name="modbus")
        self._thread.start()
        self._running.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def publish(self, outputs: PlcOutputs) -> None:
        """Makes the whole status block visible at once. Raises ValueError when an id or code does not fit."""
        self._device.memory.publish(outputs)

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        except Exception as error:  # noqa: BLE001  boundary of the stage: reported, and the PLC sees the link die
            self._on_link_event(LinkEvent("failed", "", f"{type(error).__name__}: {error}"))
        finally:
            self._running.set()

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self._stop = loop, asyncio.Event()
        clients: set[_TcpClient] = set()
        server = await loop.create_server(lambda: _TcpClient(self._device, self._settings, clients), sock=listener)
        self._running.set()
        try:
            while not self._stop.is_set():
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), SWEEP_S)
                for client in tuple(clients):
                    client.close_if_idle(loop.time())
        finally:
            server.close()
            await asyncio.sleep(0)  # connections accepted just now join the others
            while clients:
                for client in tuple(clients):
                    client.close("the station closes the link")
                await asyncio.sleep(0)


class _Refusal(Exception):
    """The request is answered with an exception."""

    def __init__(self, code: ExcCodes) -> None:
        super().__init__(code.name)
        self.code = code


class _Client:
    """What the device knows of one connection."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.last_request_s = 0.0
        self.refused = False

    def close(self, why: str) -> None:
        raise NotImplementedError


class _Device:
    """The Modbus device: one PDU in, one PDU out, whatever the transport. Runs on the loop."""

    def __init__(self, settings: ModbusServerSettings, on_inputs: OnInputs, on_link_event: OnLinkEvent) -> None:
        self.memory = MapMemory(settings.layout)
        self._silence_s = settings.writer_silence_s
        self._writers = tuple(ipaddress.ip_network(entry) for entry in settings.writers)
        self._on_inputs = on_inputs
        self._on_link_event = on_link_event
        self._writer: _Client | None = None
        self._decoder = DecodePDU(True)

    def is_writer(self, client: _Client) -> bool:
        return client is self._writer

    def answer(self, client: _Client, pdu: bytes, now_s: float) -> ModbusPDU:
        """The response to one request, without transaction and unit id."""
        client.last_request_s = now_s
        try:
            return self._execute(client, self._decode(pdu), now_s)
        except IllegalAddress:
            return ExceptionResponse(pdu[0], ExcCodes.ILLEGAL_ADDRESS)
        except _Refusal as refusal:
            return ExceptionResponse(pdu[0], refusal.code)

    def disconnected(self, client: _Client, why: str) -> None:
        if client is self._writer:
            self._writer = None
            self._on_link_event(LinkEvent("disconnected", client.peer, why))

    def refuse(self, client: _Client, why: str) -> None:
        """Reports a client that does what it may not, once."""
        if not client.refused:
            client.refused = True
            self._on_link_event(LinkEvent("refused", client.peer, why))

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

    def _execute(self, client: _Client, request: ModbusPDU, now_s: float) -> ModbusPDU:
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
                memory.check_write(Area.COIL, address, len(bits))
                self._write(client, now_s, lambda: memory.write_coils(address, bits))
                if request.function_code == 5:
                    return WriteSingleCoilResponse(address=address, bits=bits)
                return WriteMultipleCoilsResponse(address=address, count=count)
            case 6 | 16:
                registers = list(request.registers)
                memory.check_write(Area.HOLDING_REGISTER, address, len(registers))
                self._write(client, now_s, lambda: memory.write_holding_registers(address, registers))
                if request.function_code == 6:
                    return WriteSingleRegisterResponse(address=address, registers=registers)
                return WriteMultipleRegistersResponse(address=address, count=count)
            case _:
                return self._read_write(client, request, now_s)

    def _read_write(self, client: _Client, request: ModbusPDU, now_s: float) -> ModbusPDU:
        """Function 23: writes, then reads; refused as a whole when either is illegal."""
        assert isinstance(request, ReadWriteMultipleRegistersRequest)
        memory, registers = self.memory, list(request.write_registers)
        memory.read_holding_registers(request.read_address, request.read_count)
        memory.check_write(Area.HOLDING_REGISTER, request.write_address, len(registers))
        self._write(client, now_s, lambda: memory.write_holding_registers(request.write_address, registers))
        answer = memory.read_holding_registers(request.read_address, request.read_count)
        return ReadWriteMultipleRegistersResponse(registers=answer)

    def _write(self, client: _Client, now_s: float, write: Callable[[], bool]) -> None:
        """Writes when the client may; then the station is told, before the client has its answer."""
        took_over = self._claim(client, now_s)
        if write() or took_over:
            self._on_inputs(self.memory.control)

    def _claim(self, client: _Client, now_s: float) -> bool:
        """True when the client becomes the writer now. Raises _Refusal when it may not write."""
        writer = self._writer
        if client is writer:
            return False
        if self._writers and not any(
            ipaddress.ip_address(client.peer.rpartition(":")[0]) in net for net in self._writers
        ):
            self.refuse(client, "wrote, but is not among the configured writers")
            raise _Refusal(ExcCodes.ILLEGAL_FUNCTION)
        if writer is not None:
            silent_s = now_s - writer.last_request_s
            if silent_s < self._silence_s:
                self.refuse(client, f"wrote, but {writer.peer} is writing")
                raise _Refusal(ExcCodes.DEVICE_BUSY)
            why = f"silent for {silent_s:.1f} s; {client.peer} writes now"
            self.disconnected(writer, why)
            writer.close(why)
        self._writer = client
        self._on_link_event(LinkEvent("connected", client.peer, "writes from now on"))
        return True


def _is_well_formed(pdu: bytes) -> bool:
    """Whether length, count, byte count and the value of a coil fit together; pymodbus does not look at all of them."""
    function = pdu[0]
    if function <= 6:
        return len(pdu) == 5 and (function != 5 or pdu[3:] in (b"\xff\x00", b"\x00\x00"))
    size_at = 9 if function == 23 else 5
    count = int.from_bytes(pdu[size_at - 2 : size_at], "big")
    size = (count + 7) // 8 if function == 15 else 2 * count
    return len(pdu) == size_at + 1 + size and pdu[size_at] == size


class _TcpClient(_Client, asyncio.BufferedProtocol):
    """One connection: cuts the stream into frames.

    The buffer holds one frame of the largest size: however much a client sends, one turn of the loop handles at most
    21 of its requests before the others have theirs.
    """

    def __init__(self, device: _Device, settings: ModbusServerSettings, clients: set[_TcpClient]) -> None:
        super().__init__("")
        self._device = device
        self._settings = settings
        self._clients = clients
        self._framer = FramerSocket(DecodePDU(True))
        self._units = (settings.unit_id, *ANY_UNIT)
        self._buffer = bytearray(MAX_ADU)
        self._filled = 0
        self._why_closed = ""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = (transport.get_extra_info("peername") or ("?", 0))[:2]
        self.peer = f"{host}:{port}"
        self.last_request_s = self._loop.time()
        transport.set_write_buffer_limits(high=16 * MAX_ADU)
        detect_dead_peer(transport.get_extra_info("socket"))
        if len(self._clients) >= self._settings.max_clients:
            others = [client for client in self._clients if not self._device.is_writer(client)]
            if others:
                min(others, key=lambda client: client.last_request_s).close("silent longest of too many clients")
        self._clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.discard(self)
        self._device.disconnected(self, self._why_closed or (str(exc) if exc else "closed by the client"))

    def close(self, why: str) -> None:
        self._why_closed = why
        if self._transport is not None:
            self._transport.abort()

    def close_if_idle(self, now_s: float) -> None:
        if now_s - self.last_request_s > self._settings.idle_timeout_s:
            self.close(f"no request for {self._settings.idle_timeout_s:g} s")

    def pause_writing(self) -> None:
        """The client does not read its answers: it gets no more until it does."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  of asyncio
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        start = 0
        while self._filled - start >= HEADER:
            protocol, length = _header(self._buffer, start)
            if protocol != 0 or not 2 <= length <= MAX_ADU - HEADER:
                self._device.refuse(
                    self, f"sent what is not Modbus TCP: {bytes(self._buffer[start : start + 8]).hex()}"
                )
                self.close("sent what is not Modbus TCP")
                return
            end = start + HEADER + length
            if end > self._filled:
                break
            self._request(bytes(self._buffer[start:end]))
            start = end
        rest = self._filled - start
        self._buffer[:rest] = self._buffer[start : self._filled]
        self._filled = rest

    def _request(self, frame: bytes) -> None:
        _, unit, transaction, pdu = self._framer.decode(frame)
        if unit in self._units:
            response = self._device.answer(self, pdu, self._loop.time())
        elif self._settings.answer_other_units:
            response = ExceptionResponse(pdu[0], ExcCodes.GATEWAY_NO_RESPONSE)
        else:
            return
        response.transaction_id, response.dev_id = transaction, unit
        if self._transport is not None:
            self._transport.write(self._framer.buildFrame(response))


def _header(buffer: bytearray, start: int) -> tuple[int, int]:
    """Protocol id and length of the frame that begins at `start`."""
    return int.from_bytes(buffer[start + 2 : start + 4], "big"), int.from_bytes(buffer[start + 4 : start + 6], "big")


# Bad frames are answered and reported here; pymodbus' own warnings would let one client flood the log.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
