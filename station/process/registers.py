"""Process values from holding registers: few requests, neighbours together. On the thread of whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.plc.modbus.plc_registers import PlcRegisters, RegistersLost
from drivers.plc.modbus.settings import TcpAddress
from station.configuration.plc import ProcessRegisterSection, ProcessSection

MOST_AT_ONCE = 100
GAP = 8
"""Registers that nobody asked for and that are read all the same, to save a request."""


class ProcessLost(Exception):
    """No value could be read; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that are read by one request."""

    first: int
    count: int


def blocks_of(addresses: Sequence[int]) -> list[Block]:
    """As few requests as there are groups."""
    found: list[Block] = []
    for address in sorted(set(addresses)):
        if found and address - (found[-1].first + found[-1].count) <= GAP:
            longer = address - found[-1].first + 1
            if longer <= MOST_AT_ONCE:
                found[-1] = Block(found[-1].first, longer)
                continue
        found.append(Block(address, 1))
    return found


class Registers:
    """Owns the connection; opens it when it is needed, and again after it was lost."""

    def __init__(self, section: ProcessSection) -> None:
        address = TcpAddress(section.host, section.port)
        self._section = section
        self._plc = PlcRegisters(address, section.unit_id, section.response_timeout_ms / 1000)
        self._blocks = blocks_of([each.address for each in section.registers])
        self._is_open = False

    def read(self) -> dict[str, float]:
        """The values by name. Raises ProcessLost."""
        raw: dict[int, int] = {}
        try:
            if not self._is_open:
                self._plc.open()
                self._is_open = True
            for block in self._blocks:
                values = self._plc.read(block.first, block.count, "[[process.registers]] address")
                raw.update(zip(range(block.first, block.first + block.count), values, strict=True))
        except RegistersLost as lost:
            self.close()
            raise ProcessLost(str(lost)) from lost
        return {each.name: value_of(each, raw[each.address]) for each in self._section.registers}

    def close(self) -> None:
        """Harmless when not open."""
        self._plc.close()
        self._is_open = False


def value_of(register: ProcessRegisterSection, raw: int) -> float:
    """What the register stands for."""
    number = raw - 0x10000 if register.signed and raw >= 0x8000 else raw
    return number * register.scale + register.offset
