"""`[plc]`: the bridge to the PLC; `[process]`: process values read over Modbus."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field, field_validator, model_validator

from drivers.plc.client_blocks import (
    CONTROL_SIZE,
    CONTROL_SIZE_WITH_BATCHES,
    FEWEST_REGISTERS_PER_WRITE,
    MOST_REGISTERS_PER_WRITE,
    STATUS_SIZE,
)
from station.configuration.section import Port, Section

_TCP_ONLY = ("host", "port")
_RTU_ONLY = ("serial_port", "baud_rate", "parity", "stop_bits")
_SERVER_ONLY = ("writers", "one_writer", "base_address")
_CLIENT_ONLY = (
    "control_address",
    "status_address",
    "poll_period_ms",
    "response_timeout_ms",
    "max_registers_per_write",
)


class ProcessRegisterSection(Section):
    """A process value, `[[process.registers]]`."""

    name: str = Field(min_length=1, max_length=40, description="What it is, as `oven 3`.")
    address: int = Field(ge=0, le=65535, description="Holding register.")
    scale: float = Field(1.0, description="The value is register * scale + offset.")
    offset: float = Field(0.0, description="See `scale`.")
    signed: bool = Field(False, description="The register counts from -32768 to 32767.")

    @field_validator("name")
    @classmethod
    def _in_one_line(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError("letters in one line, no space at the ends")
        return name


class ProcessSection(Section):
    """Process values read over Modbus TCP by `station process run`, a process of its own; the line knows none of it."""

    host: str = Field("", description="Address of the PLC or gateway; empty: no process values.")
    port: Port = Field(502, description="TCP port.")
    unit_id: int = Field(1, ge=0, le=255, description="Modbus unit id.")
    period_s: float = Field(10.0, ge=0.5, le=3600, description="Interval of reading.")
    response_timeout_ms: float = Field(1000.0, ge=20, le=10_000, description="Longest wait for a response.")
    learn_samples: int = Field(
        5000,
        ge=300,
        le=200_000,
        description="Samples from which is learned what goes together; the last third sets the limits.",
    )
    false_alarms_per_year: float = Field(1.0, ge=0.001, le=365, description="As many false alarms are accepted.")
    keep_days: int = Field(90, ge=1, le=3650, description="Older samples are deleted.")
    registers: list[ProcessRegisterSection] = Field(
        default_factory=list, max_length=64, description="Process values, up to 64."
    )

    @model_validator(mode="after")
    def _named_once(self) -> ProcessSection:
        names = [each.name for each in self.registers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f'[[process.registers]] name = "{twice[0]}" stands there twice')
        if self.registers and not self.host:
            raise ValueError("[[process.registers]] without `host`: nothing would be read")
        return self


class PlcSection(Section):
    """The Modbus bridge to the PLC: either side may be the server, over TCP or a serial line."""

    role: Literal["server", "client", "off"] = Field(
        "server",
        description="`server`: the PLC connects to the station. `client`: the station reads and writes holding "
        "registers of the PLC. `off`: no PLC; the station is always enabled.",
    )
    transport: Literal["tcp", "rtu"] = Field("tcp", description="`tcp`: Modbus TCP. `rtu`: Modbus RTU, a serial line.")
    host: str = Field(
        "127.0.0.1",
        description="TCP. Server: address to listen on, default loopback. Client: address of the PLC.",
    )
    port: Port = Field(1502, description="TCP port. 502 is the standard one; listening there needs a privilege.")
    serial_port: str = Field("", description="RTU: the serial port, such as `/dev/serial/by-id/...`.")
    baud_rate: int = Field(19200, ge=300, le=4_000_000, description="RTU: bits per second.")
    parity: Literal["even", "odd", "none"] = Field("even", description="RTU: parity. Data bits are always 8.")
    stop_bits: Literal[1, 2] = Field(1, description='RTU: stop bits. The standard asks for 2 with `parity = "none"`.')
    unit_id: int = Field(
        1,
        ge=0,
        le=255,
        description="Modbus unit id: of the station as server (TCP 0..247, RTU 1..247), else of the PLC.",
    )
    word_order: Literal["high_first", "low_first"] = Field(
        "high_first", description="Which register of a 32-bit value has the lower address: the high or the low word."
    )
    byte_order: Literal["high_first", "low_first"] = Field(
        "high_first",
        description="Which byte of a register is sent first. Modbus: the high one. `low_first` swaps all registers.",
    )
    base_address: int = Field(
        0, ge=0, le=60_000, description="Server: added to every address of the map, that of the mirrors included."
    )
    control_address: int = Field(
        0,
        ge=0,
        le=65536 - CONTROL_SIZE,
        description=f"Client: first of the {CONTROL_SIZE} holding registers of the PLC with the control block, "
        f"{CONTROL_SIZE_WITH_BATCHES} with `batches`.",
    )
    status_address: int = Field(
        100,
        ge=0,
        le=65536 - STATUS_SIZE,
        description=f"Client: first of the {STATUS_SIZE} holding registers of the PLC for the status block.",
    )
    poll_period_ms: float = Field(5.0, ge=1, le=1000, description="Client: interval of reading the control block.")
    response_timeout_ms: float = Field(500.0, ge=20, le=10_000, description="Client: longest wait for a response.")
    max_registers_per_write: int = Field(
        MOST_REGISTERS_PER_WRITE,
        ge=FEWEST_REGISTERS_PER_WRITE,
        le=MOST_REGISTERS_PER_WRITE,
        description="Client: registers that the PLC takes in one request; some take 8 to 100.",
    )
    writers: list[str] = Field(
        default_factory=list,
        description="Server over TCP: addresses or networks that may write; empty: any, one at a time.",
    )
    one_writer: Literal["connection", "address"] = Field(
        "connection",
        description="Server over TCP: who is one writer. `connection`: one connection. `address`: all connections of "
        "one address, for a PLC that uses two.",
    )
    heartbeat_timeout_s: float = Field(
        3.0, ge=0, le=60, description="Longest time PlcHeartbeat may stand still; 0 disables supervision."
    )
    batches: bool = Field(
        False,
        description="The PLC begins and ends batches by commands 9 and 10: map version 3. Without, it reads version 2 "
        "and needs no register more.",
    )

    @field_validator("writers")
    @classmethod
    def _networks(cls, writers: list[str]) -> list[str]:
        for writer in writers:
            ipaddress.ip_network(writer)  # raises ValueError that says what is wrong
        return writers

    @model_validator(mode="after")
    def _consistent(self) -> PlcSection:
        if self.role == "off":
            return self
        useless = _CLIENT_ONLY if self.role == "server" else _SERVER_ONLY
        self._refuse(useless, f'role = "{self.role}"')
        self._refuse(_RTU_ONLY if self.transport == "tcp" else _TCP_ONLY, f'transport = "{self.transport}"')
        if self.transport == "rtu":
            self._refuse(("writers", "one_writer"), 'transport = "rtu": a serial line has one client')
            if not self.serial_port:
                raise ValueError('transport "rtu" needs `serial_port`, such as "/dev/ttyUSB0"')
        self._check_unit_id()
        if self.role == "client":
            self._check_blocks()
        return self

    def _refuse(self, keys: tuple[str, ...], where: str) -> None:
        """A key that means nothing here would be believed to do something."""
        given = [key for key in keys if key in self.model_fields_set]
        if given:
            raise ValueError(f"{', '.join(given)}: without effect with {where}; remove it or change that")

    def _check_unit_id(self) -> None:
        lowest, highest = (
            1 if self.transport == "rtu" else 0,
            255 if (self.role, self.transport) == ("client", "tcp") else 247,
        )
        if not lowest <= self.unit_id <= highest:
            raise ValueError(
                f'unit_id = {self.unit_id}: role "{self.role}" over "{self.transport}" takes {lowest} to {highest}'
            )

    def _check_blocks(self) -> None:
        size = CONTROL_SIZE_WITH_BATCHES if self.batches else CONTROL_SIZE
        control = range(self.control_address, self.control_address + size)
        if control.stop > 65536:
            raise ValueError(f"control_address = {self.control_address}: with `batches` at most {65536 - size}")
        status = range(self.status_address, self.status_address + STATUS_SIZE)
        if max(control.start, status.start) < min(control.stop, status.stop):
            raise ValueError(
                f"the control block (holding registers {control.start} to {control[-1]}) and the status block "
                f"({status.start} to {status[-1]}) overlap: move control_address or status_address"
            )
