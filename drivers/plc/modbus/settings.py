"""Settings of the four links."""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.plc.modbus.identification import ANONYMOUS, Identification
from drivers.plc.signal_map import Layout

START_BIT, DATA_BITS = 1, 8
SHORTEST_GAP_S = 0.00175
"""The silence between two frames is 3.5 characters, and this long above 19200 baud (Modbus over Serial Line V1.02)."""


@dataclass(frozen=True, slots=True)
class ModbusServerSettings:
    """How the station listens on TCP."""

    host: str = "127.0.0.1"
    port: int = 502
    unit_id: int = 1
    answer_other_units: bool = True
    """Another unit id is answered with exception 0B; False: not at all."""
    writers: tuple[str, ...] = ()
    """Addresses or networks that may write, such as `192.168.0.10` or `10.0.0.0/24`; empty: any."""
    writer_silence_s: float = 5.0
    """Longest time without a write of the writer before another client may take over."""
    one_writer_per_address: bool = False
    """All connections of one address are one writer, for PLCs that read and write over two."""
    idle_timeout_s: float = 60.0
    """Longest time without a request before a client is disconnected."""
    max_clients: int = 16
    """One more takes the place of the client that has been silent longest (never of the writer)."""
    layout: Layout = field(default_factory=Layout)
    identification: Identification = ANONYMOUS


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial port with 8 data bits, as RTU has them."""

    port: str
    baud_rate: int = 19200
    parity: str = "E"
    """`N`, `E` or `O`."""
    stop_bits: int = 1

    @property
    def gap_s(self) -> float:
        """The silence that separates two frames."""
        bits = START_BIT + DATA_BITS + (self.parity != "N") + self.stop_bits
        return max(3.5 * bits / self.baud_rate, SHORTEST_GAP_S)

    def __str__(self) -> str:
        return f"{self.port} ({self.baud_rate} baud, 8{self.parity}{self.stop_bits})"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Where a Modbus TCP server listens."""

    host: str
    port: int = 502

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ModbusRtuServerSettings:
    """How the station listens on a serial line."""

    line: SerialLine
    unit_id: int = 1
    reopen_s: float = 1.0
    """Pause between attempts to open a port that is gone."""
    layout: Layout = field(default_factory=Layout)
    identification: Identification = ANONYMOUS


@dataclass(frozen=True, slots=True)
class ModbusClientSettings:
    """Where the PLC is, and where in its holding registers the two blocks lie."""

    plc: TcpAddress | SerialLine
    unit_id: int = 1
    control_address: int = 0
    status_address: int = 100
    poll_period_s: float = 0.005
    """From the start of one reading of the control block to the next; a slow line takes longer."""
    response_timeout_s: float = 0.5
    """An answer that takes longer is repeated (RTU only, twice); then the PLC counts as lost."""
    max_registers_per_write: int = 123
    """What the PLC takes in one request; many take fewer than the standard allows. From 8."""
    refresh_s: float = 1.0
    """The whole status block is written at least so often, whatever the PLC did to its registers."""
    reconnect_min_s: float = 0.2
    """First pause after a loss; doubles up to the longest."""
    reconnect_max_s: float = 5.0
    layout: Layout = field(default_factory=Layout)
