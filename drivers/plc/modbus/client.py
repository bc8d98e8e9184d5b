"""Modbus client role, TCP or RTU: the station writes the status block into the PLC and reads its control block.

One thread: it writes what was published as soon as it changes, from the first register that differs to the last (in
one request, or in pieces of `max_registers_per_write`), and reads the control block every `poll_period_s`. Several
publishes during one request are one write: the PLC sees the latest state. `drivers/plc/client_blocks.py` has the layout
of the two blocks.

When the PLC is lost, the station gets the control block as last read with TriggerEnable 0: the handshake is reset,
results not acknowledged are given up, and a Trigger that the PLC raised meanwhile is no part when the link is back
(docs/decisions/0010-plc-links.md). Then it tries again, with pauses that double.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import TracebackType

from drivers.plc.client_blocks import control_size, pack_status, pieces, unpack_control
from drivers.plc.modbus.plc_registers import PlcRegisters, RegistersLost
from drivers.plc.modbus.serial_port import open_port
from drivers.plc.modbus.settings import ModbusClientSettings, SerialLine
from drivers.plc.protocol import LinkEvent, OnInputs, OnLinkEvent, PlcError, PlcInputs, PlcOutputs
from drivers.plc.signal_map import encode_status

JOIN_S = 10.0
_WRITE_SETTINGS = "plc.status_address and plc.max_registers_per_write"


class ModbusClientLink:
    """`PlcLink` in client role."""

    def __init__(self, settings: ModbusClientSettings, on_inputs: OnInputs, on_link_event: OnLinkEvent) -> None:
        self._settings = settings
        self._on_inputs = on_inputs
        self._on_link_event = on_link_event
        self._plc = PlcRegisters(settings.plc, settings.unit_id, settings.response_timeout_s)
        self._published = self._packed(PlcOutputs())
        self._written: tuple[int, ...] | None = None
        """As in the PLC's registers; None: not known."""
        self._refresh_at_s = 0.0
        self._inputs: PlcInputs | None = None
        """As last read; None: not since the link came up."""
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modbus")

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def __enter__(self) -> ModbusClientLink:
        """Connects from here on. A PLC that does not answer yet is no error. Raises PlcError for a bad serial port."""
        if isinstance(self._settings.plc, SerialLine):
            open_port(self._settings.plc).close()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what was published last, then closes."""
        self._stop.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def publish(self, outputs: PlcOutputs) -> None:
        """Has the whole status block written. Raises ValueError when an id or code does not fit."""
        self._published = self._packed(outputs)
        self._changed.set()

    def probe(self) -> None:
        """Reads the control block once and writes nothing; for a link that is not open. Raises PlcError."""
        try:
            self._plc.open()
            self._read_control()
        except RegistersLost as lost:
            raise PlcError(str(lost)) from lost
        finally:
            self._plc.close()

    def _packed(self, outputs: PlcOutputs) -> tuple[int, ...]:
        layout = self._settings.layout
        return pack_status(encode_status(outputs, layout), layout)

    # ---- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._keep_connected()
        except Exception as error:  # noqa: BLE001  boundary of the stage: reported, and the PLC sees the heartbeat freeze
            self._event("failed", f"{type(error).__name__}: {error}")
        finally:
            self._plc.close()

    def _keep_connected(self) -> None:
        pause_s, reported = self._settings.reconnect_min_s, set[str]()
        while not self._stop.is_set():
            try:
                self._plc.open()
                self._exchange()
            except RegistersLost as lost:
                self._plc.close()
                if self._inputs is not None:
                    self._inputs = None
                    pause_s, reported = self._settings.reconnect_min_s, set()
                if str(lost) not in reported:  # once, not with every attempt
                    reported.add(str(lost))
                    self._event("disconnected", str(lost))
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, self._settings.reconnect_max_s)

    def _exchange(self) -> None:
        """Reads and writes until `stop` is set. Raises RegistersLost."""
        self._written = None  # the PLC may be another one, or have been restarted
        self._write_status()  # before anything is asked of it, the PLC shall know how things are
        first = self._read_control()
        each = "; it closes the connection after each answer: every request opens one" * self._plc.closes_after_answer
        self._event("connected", "its registers are read and written from now on" + each)
        try:
            self._deliver(first)
            read_at_s = time.monotonic() + self._settings.poll_period_s
            while not self._stop.is_set():
                self._changed.wait(max(0.0, read_at_s - time.monotonic()))
                self._changed.clear()
                self._write_status()
                if (now_s := time.monotonic()) >= read_at_s:
                    read_at_s = now_s + self._settings.poll_period_s
                    self._deliver(self._read_control())
            self._write_status()
        except RegistersLost:
            if self._inputs is not None:
                self._on_inputs(replace(self._inputs, trigger_enable=False))
            raise

    def _deliver(self, inputs: PlcInputs) -> None:
        if inputs != self._inputs:
            self._inputs = inputs
            self._on_inputs(inputs)

    def _read_control(self) -> PlcInputs:
        registers = self._plc.read(
            self._settings.control_address, control_size(self._settings.layout), "plc.control_address"
        )
        return unpack_control(registers, self._settings.layout)

    def _write_status(self) -> None:
        """Writes what differs from the PLC's registers; all of it once in a while, whatever the PLC did to them."""
        status, written, now_s = self._published, self._written, time.monotonic()
        if written is None or now_s >= self._refresh_at_s:
            first, last = 0, len(status) - 1
            self._refresh_at_s = now_s + self._settings.refresh_s
        else:
            different = [index for index, value in enumerate(status) if value != written[index]]
            if not different:
                return
            first, last = different[0], different[-1]
        for start, end in pieces(first, last, self._settings.max_registers_per_write):
            self._plc.write(self._settings.status_address + start, status[start : end + 1], _WRITE_SETTINGS)
        self._written = status

    def _event(self, kind: str, detail: str) -> None:
        self._on_link_event(LinkEvent(kind, str(self._settings.plc), detail))
