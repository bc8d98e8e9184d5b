"""The register map as a Modbus client sees it: four areas, mirrors included, read and written by address.

Behind the last point of an area stand zeros up to whole words (32 bits, 64 registers); they take nothing but 0.

Pure: no sockets, no threads of its own. `publish` may be called from one thread while another reads: it replaces the
whole status image by one assignment, so a reader that takes the image once sees one publish and never half of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from drivers.plc.protocol import PlcInputs, PlcOutputs
from drivers.plc.signal_map import (
    TEXT_REGISTERS,
    Area,
    Layout,
    decode_control,
    encode_status,
    size_of,
    whole_size_of,
)

_T = TypeVar("_T")


class IllegalAddress(Exception):
    """The addresses are not all in the map, or are not for writing."""


class MapMemory:
    """Status as last published, control as last written."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._mirror_at = layout.base_address + layout.mirror_base
        self._status = encode_status(PlcOutputs(), layout)
        self._coils = [False] * size_of(Area.COIL)
        self._holding = [0] * (size_of(Area.HOLDING_REGISTER) - (0 if layout.batches else TEXT_REGISTERS))

    def publish(self, outputs: PlcOutputs) -> None:
        """Makes the whole status block visible at once. Raises ValueError when an id or code does not fit."""
        self._status = encode_status(outputs, self._layout)

    @property
    def control(self) -> PlcInputs:
        return decode_control(self._coils, self._holding, self._layout)

    def read_discrete_inputs(self, address: int, count: int) -> list[bool]:
        return _cut(Area.DISCRETE_INPUT, self._status.bits, self._of_map(address), count, padding=False)

    def read_input_registers(self, address: int, count: int) -> list[int]:
        return _cut(Area.INPUT_REGISTER, self._status.registers, self._of_map(address), count, padding=0)

    def read_coils(self, address: int, count: int) -> list[bool]:
        if address >= self._mirror_at:
            return self.read_discrete_inputs(address - self._layout.mirror_base, count)
        return _cut(Area.COIL, self._coils, self._of_map(address), count, padding=False)

    def read_holding_registers(self, address: int, count: int) -> list[int]:
        if address >= self._mirror_at:
            return self.read_input_registers(address - self._layout.mirror_base, count)
        return _cut(Area.HOLDING_REGISTER, self._holding, self._of_map(address), count, padding=0)

    def check_write(self, area: Area, address: int, values: Sequence[int]) -> None:
        """Raises IllegalAddress unless the PLC may write these values there: what it likes in the map, 0 behind it."""
        start = self._of_map(address)
        size = len(self._coils) if area is Area.COIL else len(self._holding)
        if start + len(values) > whole_size_of(area) or any(values[max(0, size - start) :]):
            raise IllegalAddress(f"{area.value}s {address}..{address + len(values) - 1} are not all for writing")

    def write_coils(self, address: int, values: Sequence[bool]) -> bool:
        """True when the control block changed. Raises IllegalAddress and changes nothing."""
        self.check_write(Area.COIL, address, values)
        start, before = self._of_map(address), self._coils[:]
        of_map = values[: max(0, len(before) - start)]
        self._coils[start : start + len(of_map)] = of_map
        return self._coils != before

    def write_holding_registers(self, address: int, values: Sequence[int]) -> bool:
        """True when the control block changed. Raises IllegalAddress and changes nothing."""
        self.check_write(Area.HOLDING_REGISTER, address, values)
        start, before = self._of_map(address), self._holding[:]
        of_map = values[: max(0, len(before) - start)]
        self._holding[start : start + len(of_map)] = of_map
        return self._holding != before

    def _of_map(self, address: int) -> int:
        if address < self._layout.base_address:
            raise IllegalAddress(f"{address} is below the base address {self._layout.base_address}")
        return address - self._layout.base_address


def _cut(area: Area, values: Sequence[_T], address: int, count: int, *, padding: _T) -> list[_T]:
    size = whole_size_of(area)
    if address + count > size:
        raise IllegalAddress(f"{area.value}s {address}..{address + count - 1} are not all in 0..{size - 1}")
    of_map = list(values[address : address + count])
    return of_map + [padding] * (count - len(of_map))
