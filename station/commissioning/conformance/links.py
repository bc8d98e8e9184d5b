"""How the played PLC reaches the station: the two roles seen from the PLC's side, by one Protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from drivers.plc.signal_map import Area
from station.commissioning.conformance.plc_memory import PlcMemory, PlcServer
from station.commissioning.plc_client import LinkError, ModbusClient, Refused, length_of

MOST_READINGS = 20
RECONNECT_S = 30.0
"""For a station in client role to come back: on a serial line it repeats what is not answered, with its time-out."""
BUSY, BUSY_S = 6, 1.0
COILS, CONTROL_REGISTERS = length_of(Area.COIL), length_of(Area.HOLDING_REGISTER)
INPUTS, STATUS_REGISTERS = length_of(Area.DISCRETE_INPUT), length_of(Area.INPUT_REGISTER)


@dataclass(frozen=True, slots=True)
class Image:
    """The status block as it was read."""

    bits: tuple[bool, ...]
    registers: tuple[int, ...]


class Link(Protocol):
    """All methods raise LinkError."""

    @property
    def name(self) -> str:
        """For people: what is at the other end."""
        ...

    def read(self) -> Image:
        """Bits and registers of one moment."""
        ...

    def read_bits_first(self) -> Image:
        """The bits, then the registers: as a PLC reads them."""
        ...

    def write(self, coils: tuple[bool, ...], registers: tuple[int, ...]) -> None:
        """The whole control block, registers before coils; the station has seen it when this returns."""
        ...

    def reconnect(self) -> None:
        """Drops the connection and has a new one."""
        ...

    def close(self) -> None: ...


class StationAsServer:
    """The station is the Modbus server, on TCP or RTU."""

    def __init__(self, client: ModbusClient, another: Callable[[], ModbusClient] | None) -> None:
        """`another` makes one more client; None where there can be only one (a serial line)."""
        self.client = client
        self.another = another
        self._coils: tuple[bool, ...] = ()
        self._registers: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return self.client.transport.name

    def read(self) -> Image:
        bits = self._bits()
        for _ in range(MOST_READINGS):
            registers = self.client.read_registers(Area.INPUT_REGISTER, 0, STATUS_REGISTERS)
            before, bits = bits, self._bits()
            if bits == before:
                return Image(bits, tuple(registers))
        raise LinkError(f"{self.name}: the bits changed during each of {MOST_READINGS} readings")

    def read_bits_first(self) -> Image:
        bits = self._bits()
        return Image(bits, tuple(self.client.read_registers(Area.INPUT_REGISTER, 0, STATUS_REGISTERS)))

    def write(self, coils: tuple[bool, ...], registers: tuple[int, ...]) -> None:
        end = time.monotonic() + BUSY_S
        while True:
            try:
                if registers != self._registers:
                    self.client.write_registers(0, registers)
                    self._registers = registers
                if coils != self._coils:
                    self.client.write_coils(0, coils)
                    self._coils = coils
            except Refused as refusal:
                # after a reconnect the station may not have noticed yet that the writer before is gone
                if refusal.code == BUSY and time.monotonic() < end:
                    time.sleep(0.01)
                    continue
                raise LinkError(f"{self.name} refuses a write: {refusal}; only one client may write") from refusal
            return

    def reconnect(self) -> None:
        if self.another is not None:  # a serial line has no connections
            self.client.transport.close()
        self._coils = self._registers = ()

    def close(self) -> None:
        self.client.transport.close()

    def _bits(self) -> tuple[bool, ...]:
        return tuple(self.client.read_bits(Area.DISCRETE_INPUT, 0, INPUTS))


class StationAsClient:
    """The station is the Modbus client; the two blocks lie in holding registers of the played PLC."""

    def __init__(self, memory: PlcMemory, server: PlcServer, timeout_s: float = RECONNECT_S) -> None:
        self._memory = memory
        self._server = server
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        return f"the station that polls {self._server.name}"

    def read(self) -> Image:
        bits, registers = self._memory.status()
        return Image(bits, registers)

    def read_bits_first(self) -> Image:
        return self.read()

    def write(self, coils: tuple[bool, ...], registers: tuple[int, ...]) -> None:
        polls = self._memory.set_control(coils, registers)
        self._wait(lambda: self._memory.polls > polls, "to poll the control block")

    def reconnect(self) -> None:
        polls, writes = self._memory.polls, self._memory.writes
        self._server.drop_connection()
        self._wait(lambda: self._memory.polls > polls and self._memory.writes > writes, "to come back")

    def close(self) -> None:
        with suppress(OSError):
            self._server.close()

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + self._timeout_s
        while not holds():
            if time.monotonic() > end:
                raise LinkError(f"{self._server.name}: waited {self._timeout_s:g} s for the station {what}")
            time.sleep(0.001)
