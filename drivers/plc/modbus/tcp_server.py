"""Modbus TCP, server role: the PLC connects to the station.

asyncio carries the bytes, pymodbus' `FramerSocket` frames them. Another unit id is answered with exception 0B. A frame
that is not Modbus TCP closes its connection.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from types import TracebackType

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse

from drivers.plc.modbus.device import Client, Device
from drivers.plc.modbus.loop_thread import LoopThread
from drivers.plc.modbus.settings import ModbusServerSettings
from drivers.plc.protocol import OnInputs, OnLinkEvent, PlcOutputs
from drivers.plc.sockets import detect_dead_peer, listen

MAX_ADU = 260
"""Bytes of the longest Modbus TCP frame: 7 of header, 253 of PDU."""
HEADER = 6
"""Transaction, protocol, length: the bytes that the length field does not count."""
ANY_UNIT = (0, 255)
"""Unit ids that mean "this device" over TCP (Modbus Messaging on TCP/IP Implementation Guide V1.0b, 4.4.2.5)."""
READ_SIZE = 64
SWEEP_S = 1.0


class ModbusTcpServerLink:
    """`PlcLink` in server role over TCP."""

    def __init__(self, settings: ModbusServerSettings, on_inputs: OnInputs, on_link_event: OnLinkEvent) -> None:
        """Raises ValueError when `settings.writers` holds something that is no address or network."""
        self._settings = settings
        self._device = Device(
            settings.layout,
            on_inputs,
            on_link_event,
            writers=settings.writers,
            writer_silence_s=settings.writer_silence_s,
            one_writer_per_address=settings.one_writer_per_address,
            identification=settings.identification,
        )
        self._thread = LoopThread(on_link_event)
        self._port = settings.port

    @property
    def port(self) -> int:
        """The port it listens on: the configured one, or the one the system chose for 0."""
        return self._port

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive

    def __enter__(self) -> ModbusTcpServerLink:
        """Listens from here on. Raises PlcError."""
        # Bound here and not on the loop, so that the caller gets the error.
        listener = listen(self._settings.host, self._settings.port)
        self._port = int(listener.getsockname()[1])
        self._thread.start(lambda stop: self._serve(listener, stop))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.stop()

    def publish(self, outputs: PlcOutputs) -> None:
        """Makes the whole status block visible at once. Raises ValueError when an id or code does not fit."""
        self._device.memory.publish(outputs)

    async def _serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        clients: set[_TcpClient] = set()
        server = await loop.create_server(lambda: _TcpClient(self._device, self._settings, clients), sock=listener)
        try:
            while not stop.is_set():
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), SWEEP_S)
                for client in tuple(clients):
                    client.close_if_idle(loop.time())
        finally:
            server.close()
            await asyncio.sleep(0)  # connections accepted just now join the others
            while clients:
                for client in tuple(clients):
                    client.close("the station closes the link")
                await asyncio.sleep(0)


class _TcpClient(Client, asyncio.BufferedProtocol):
    """One connection: cuts the stream into frames.

    However much a client sends, one turn of the loop takes READ_SIZE bytes of it, a handful of requests, before the
    others have their turn.
    """

    def __init__(self, device: Device, settings: ModbusServerSettings, clients: set[_TcpClient]) -> None:
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
        """The client does not read its responses: it gets no more until it does."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  of asyncio
        return memoryview(self._buffer)[self._filled : self._filled + READ_SIZE]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        start = 0
        while self._filled - start >= HEADER:
            protocol, length = _header(self._buffer, start)
            if protocol != 0 or not 2 <= length <= MAX_ADU - HEADER:
                head = bytes(self._buffer[start : start + 8]).hex()
                self._device.refuse(self, "sent what is not Modbus TCP: ", head)
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
