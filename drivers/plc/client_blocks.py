"""The two blocks in client role: everything in holding registers of the PLC, one block to write and one to read.

    status, from `status_address`                     control, from `control_address`
      0..63   input registers of the map                0..3    coils, 16 per register
      64..67  discrete inputs, 16 per register          4..     holding registers of the map; BatchName only where
                                                                the PLC begins batches

Bit n of the map is bit n % 16 of its register n // 16, bit 0 being the least significant. Places that the map does not
use are 0. The order is that of safe reading and writing: what a bit announces is written before the bit and read after
it, for a PLC that takes or gives a block register by register, from the lowest address up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drivers.plc.protocol import PlcInputs
from drivers.plc.signal_map import TEXT_REGISTERS, Area, Layout, StatusImage, decode_control, points_of, size_of

BITS_PER_REGISTER = 16
BIT_REGISTERS = 4
STATUS_BITS_AT = 64
STATUS_SIZE = STATUS_BITS_AT + BIT_REGISTERS
CONTROL_REGISTERS_AT = BIT_REGISTERS
CONTROL_SIZE = CONTROL_REGISTERS_AT + size_of(Area.HOLDING_REGISTER) - TEXT_REGISTERS
CONTROL_SIZE_WITH_BATCHES = CONTROL_SIZE + TEXT_REGISTERS
"""A PLC whose program begins none need not have those registers."""


FEWEST_REGISTERS_PER_WRITE = 8
MOST_REGISTERS_PER_WRITE = 123
"""Of function 16, by the standard."""
_INSIDE_A_VALUE = frozenset(
    [point.address + n for point in points_of(Area.INPUT_REGISTER) for n in range(1, point.type.size)]
    + list(range(STATUS_BITS_AT + 1, STATUS_SIZE))
)
"""Registers before which no write may end: the second half of a value, and the bits, which change together."""


def pieces(first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
    """The registers `first` to `last` of the status block as writes of at most `most`, (first, last) each.

    From the lowest address up, so that the bits come last; no value and not the bits are written in halves.
    """
    while first <= last:
        end = min(last, first + most - 1)
        while end < last and end + 1 in _INSIDE_A_VALUE:
            end -= 1
        yield first, end
        first = end + 1


def pack_status(image: StatusImage, layout: Layout) -> tuple[int, ...]:
    """The status block as STATUS_SIZE registers, from an image made with the same layout."""
    gap = (0,) * (STATUS_BITS_AT - len(image.registers))
    number = sum(bit << index for index, bit in enumerate(image.bits))
    words = [number >> BITS_PER_REGISTER * index & 0xFFFF for index in range(BIT_REGISTERS)]
    return (*image.registers, *gap, *layout.ordered(words))


def control_size(layout: Layout) -> int:
    """Registers of the control block that a PLC of this layout holds."""
    return CONTROL_SIZE_WITH_BATCHES if layout.batches else CONTROL_SIZE


def unpack_control(registers: Sequence[int], layout: Layout) -> PlcInputs:
    """The control block from the `control_size` registers that the PLC holds."""
    words = layout.ordered(registers[:BIT_REGISTERS])
    coils = [bool(words[n // BITS_PER_REGISTER] >> n % BITS_PER_REGISTER & 1) for n in range(size_of(Area.COIL))]
    return decode_control(coils, registers[CONTROL_REGISTERS_AT:], layout)
