"""Modbus RTU, server role: the PLC is the client (master) of a serial line, the station one of its devices.

Requests to other units are not answered; those to unit 0 (broadcast) are carried out and not answered. A frame with a
wrong check sum is no frame. A frame ends with a silence, and then it is answered.

One client by nature, so everything that is written is the PLC's. A port that is gone (adapter pulled out) is opened
again as soon as it is back; the PLC's heartbeat stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from types import TracebackType

import serial
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from drivers.plc.modbus.device import Client, Device
from drivers.plc.modbus.loop_thread import LoopThread
from drivers.plc.modbus.rtu_frames import RtuFrames
from drivers.plc.modbus.serial_port import open_port
from drivers.plc.modbus.settings import ModbusRtuServerSettings
from drivers.plc.protocol import LinkEvent, OnInputs, OnLinkEvent, PlcError, PlcOutputs

READ_SIZE = 4096
BROADCAST = 0


class ModbusRtuServerLink:
    """`PlcLink` in server role over a serial line."""

    def __init__(self, settings: ModbusRtuServerSettings, on_inputs: OnInputs, on_link_event: OnLinkEvent) -> None:
        self._settings = settings
        self._device = Device(settings.layout, on_inputs, on_link_event, identification=settings.identification)
        self._on_link_event = on_link_event
        self._thread = LoopThread(on_link_event)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive

    def __enter__(self) -> ModbusRtuServerLink:
        """Listens from here on. Raises PlcError."""
        # Opened here and not on the loop, so that the caller gets the error.
        port = open_port(self._settings.line)
        self._thread.start(lambda stop: self._serve(port, stop))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.stop()

    def publish(self, outputs: PlcOutputs) -> None:
        """Makes the whole status block visible at once. Raises ValueError when an id or code does not fit."""
        self._device.memory.publish(outputs)

    async def _serve(self, port: serial.Serial | None, stop: asyncio.Event) -> None:
        stopped = asyncio.ensure_future(stop.wait())
        while not stop.is_set():
            if port is not None:
                master = _Master(self._device, self._settings, port)
                await asyncio.wait((stopped, master.gone), return_when=asyncio.FIRST_COMPLETED)
                if master.gone.done() and not self._device.is_writer(master):  # the device reports the writer
                    self._on_link_event(LinkEvent("disconnected", master.peer, master.gone.result()))
                master.close(master.gone.result() if master.gone.done() else "the station closes the link")
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), self._settings.reopen_s)
            if not stop.is_set():
                port = self._reopened()

    def _reopened(self) -> serial.Serial | None:
        try:
            return open_port(self._settings.line)
        except PlcError:  # the loss was reported; it is tried again
            return None


class _Master(Client):
    """The client at the other end of one open port."""

    def __init__(self, device: Device, settings: ModbusRtuServerSettings, port: serial.Serial) -> None:
        super().__init__(str(settings.line.port))
        self._device = device
        self._port = port
        self._unit_id = settings.unit_id
        self._gap_s = settings.line.gap_s
        self._frames = RtuFrames(settings.unit_id, settings.line.gap_s)
        self._framer = FramerRTU(DecodePDU(True))
        self._loop = asyncio.get_running_loop()
        self._silence: asyncio.TimerHandle | None = None
        self.gone: asyncio.Future[str] = self._loop.create_future()
        """Done when the port can no longer be used; says why."""
        self._loop.add_reader(port.fileno(), self._received)

    def close(self, why: str) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._loop.remove_reader(self._port.fileno())
        self._port.close()
        self._device.disconnected(self, why)

    def _received(self) -> None:
        try:
            data = os.read(self._port.fileno(), READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if not data:
            self._lose("hung up")
            return
        self._frames.feed(data, self._loop.time())
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._loop.call_later(self._gap_s, self._silent)

    def _silent(self) -> None:
        """Nothing was received for the gap: the frame has ended, and an RS-485 adapter had its time to turn round."""
        now_s = self._loop.time()
        responses = b"".join(self._answer(frame, now_s) for frame in self._frames.silence())
        if responses:
            with suppress(OSError):  # a line that takes no responses: the PLC asks again
                os.write(self._port.fileno(), responses)

    def _answer(self, frame: bytes, now_s: float) -> bytes:
        unit_id, pdu = frame[0], frame[1:]
        if unit_id not in (self._unit_id, BROADCAST):
            return b""
        response = self._device.answer(self, pdu, now_s)
        if unit_id == BROADCAST:
            return b""
        response.dev_id = unit_id
        return self._framer.buildFrame(response)

    def _lose(self, why: str) -> None:
        self._loop.remove_reader(self._port.fileno())
        if not self.gone.done():
            self.gone.set_result(f"serial port {self.peer} is gone ({why}); it is opened again when it is back")
