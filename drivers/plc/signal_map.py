"""Register map, version 3, as data: the one table that the code and the documentation are made from.

Addresses are zero-based. A 32-bit value takes two registers. `Layout` holds what differs between PLCs: which of the
two words comes first, and where the mirrors of the read-only areas lie. `python -m drivers.plc.signal_map` prints the
tables of docs/plc.md.

Numbers: a point either *saturates* (measured values and counters stop at the end of their range; a score that is not a
number shows as the largest float) or is *exact* (ids, codes, checksums: a value that does not fit raises ValueError,
because a clipped id would be the id of something else).
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter, itemgetter

from drivers.plc.protocol import PlcInputs, PlcOutputs

MAP_VERSION = 3
"""2 adds points behind those of version 1 and moves none: ejectors, challenge test, encoder, recipe checksum.
3 adds those of a batch in the same way."""
VERSION_WITHOUT_BATCHES = 2
"""Shown where the PLC begins no batches: a program that asks for this version finds it."""

TEXT_REGISTERS = 16
"""Of a text: 32 letters."""
WHOLE_BITS, WHOLE_REGISTERS = 32, 64
"""What may be read and written in one request, for PLCs that know whole words only: the map, and behind it 0."""

FLOAT32_MAX: float = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]


class Area(Enum):
    """The four areas of a Modbus device."""

    COIL = "coil"
    DISCRETE_INPUT = "discrete input"
    INPUT_REGISTER = "input register"
    HOLDING_REGISTER = "holding register"


class PointType(Enum):
    """How a point's value is laid out."""

    BIT = "bit"
    U16 = "u16"
    U32 = "u32"
    F32 = "f32"
    TEXT = "text"
    """Two letters a register, the first in the high byte whatever the order of words; ends at a 0 or with the point."""

    @property
    def size(self) -> int:
        """Addresses the point takes."""
        return {PointType.U32: 2, PointType.F32: 2, PointType.TEXT: TEXT_REGISTERS}.get(self, 1)


@dataclass(frozen=True, slots=True)
class Point:
    """One line of the register map."""

    area: Area
    address: int
    name: str
    """As in the documentation."""
    attribute: str
    """Field of `PlcInputs` or `PlcOutputs`."""
    type: PointType
    text: str
    saturates: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs between PLCs."""

    high_word_first: bool = True
    """Of a 32-bit value: the register at the lower address holds bits 31..16."""
    low_byte_first: bool = False
    """Of every register, u16 included: the byte that is sent first holds bits 7..0. Modbus sends the high byte first;
    some PLCs copy their little-endian memory as it is."""
    base_address: int = 0
    """Added to every address of the map in server role."""
    mirror_base: int = 1000
    """Input register n is also holding register base + n, discrete input n is also coil base + n."""
    batches: bool = False
    """The PLC writes BatchName; without, those registers lie behind the map and take 0, as in version 2."""

    def ordered(self, registers: Sequence[int]) -> Sequence[int]:
        """Registers with their bytes as this PLC has them. Its own inverse."""
        if not self.low_byte_first:
            return registers
        return [(value & 0xFF) << 8 | value >> 8 for value in registers]


@dataclass(frozen=True, slots=True)
class StatusImage:
    """The status block as it stands in the discrete inputs and the input registers, from address 0."""

    bits: tuple[bool, ...]
    registers: tuple[int, ...]


def _bits(area: Area, *rows: tuple[str, str, str]) -> tuple[Point, ...]:
    return tuple(
        Point(area, address, name, attribute, PointType.BIT, text)
        for address, (name, attribute, text) in enumerate(rows)
    )


_U16, _U32, _F32, _TEXT = PointType.U16, PointType.U32, PointType.F32, PointType.TEXT
_IN, _HOLD = Area.INPUT_REGISTER, Area.HOLDING_REGISTER

CONTROL: tuple[Point, ...] = (
    *_bits(
        Area.COIL,
        ("TriggerEnable", "trigger_enable", "1: the PLC takes part in the handshake. 0: resets it"),
        ("Trigger", "trigger", "rising edge: inspect a part; hold until TriggerAck"),
        ("ResultsAck", "results_ack", "1: the result was read; back to 0 when ResultsValid is 0"),
        ("BufferEnable", "buffer_enable", "1: up to 8 results wait for ResultsAck. 0: the newest replaces the old one"),
        ("Execute", "execute", "rising edge: carry out Command; hold until CommandCompleted or CommandFailed"),
        ("ClearError", "clear_error", "rising edge: acknowledge a fault; clears Overrun and MissedTrigger"),
        ("ClearExposureComplete", "clear_exposure_complete", "rising edge: clears ExposureComplete"),
        ("SetOffline", "set_offline", "1: offline. Back to 0: online"),
        ("RejectConfirmed", "reject_confirmed", "rising edge: a part fell into the bin of ejector 1"),
        ("BinFull", "bin_full", "1: a reject bin is full; stops the line (tracking in the station)"),
        ("ChallengeMode", "challenge_mode", "1: the parts are those of a challenge test; rising edge: start one"),
        ("LatchPartId", "latch_part_id", "rising edge: take PartId, EncoderCount, DeadlineMs for the next trigger"),
        ("RejectConfirmed2", "reject_confirmed2", "rising edge: a part fell into the bin of ejector 2"),
        ("RejectConfirmed3", "reject_confirmed3", "rising edge: a part fell into the bin of ejector 3"),
        ("RejectConfirmed4", "reject_confirmed4", "rising edge: a part fell into the bin of ejector 4"),
        ("PartAtEjector", "part_at_ejector", "rising edge: a part passes the sensor before the first ejector"),
    ),
    Point(_HOLD, 0, "PlcHeartbeat", "plc_heartbeat", _U16, "changes at least once a second"),
    Point(_HOLD, 1, "Command", "command", _U16, "number of the command, see the table of commands"),
    Point(_HOLD, 2, "CommandArgument", "command_argument", _U16, "argument of the command"),
    Point(_HOLD, 3, "PartId", "part_id", _U32, "the PLC's id of the next part"),
    Point(_HOLD, 5, "EncoderCount", "encoder_count", _U32, "position of the next part"),
    Point(_HOLD, 7, "DeadlineMs", "deadline_ms", _U16, "ms from trigger to result; 0: as configured"),
    Point(_HOLD, 8, "EncoderNow", "encoder_now", _U32, "the encoder as it is now, for tracking in the station"),
    Point(_HOLD, 10, "BatchName", "batch_name", _TEXT, "name of the batch that command 9 begins, 1 to 32 letters"),
)

STATUS: tuple[Point, ...] = (
    *_bits(
        Area.DISCRETE_INPUT,
        ("Online", "online", "the station inspects"),
        ("TriggerReady", "trigger_ready", "a trigger is taken now"),
        ("TriggerAck", "trigger_ack", "the trigger was taken; AcquisitionId is valid"),
        ("Busy", "busy", "a part is between trigger and result"),
        ("ExposureComplete", "exposure_complete", "the part may move; stays until cleared or the next trigger"),
        ("InspectionCompleted", "inspection_completed", "toggles with every new result"),
        ("ResultsValid", "results_valid", "a result stands in the registers; waits for ResultsAck"),
        ("Pass", "pass_", "the standing result is a pass"),
        ("Reject", "reject", "1 unless a valid pass stands"),
        ("Review", "review", "the standing result is for a person to decide; Reject is 1 too"),
        ("Overrun", "overrun", "a result or a trigger found no free result slot"),
        ("MissedTrigger", "missed_trigger", "a trigger came while TriggerReady was 0; that part is Reject"),
        ("Executing", "executing", "a command is being carried out"),
        (
            "CommandCompleted",
            "command_completed",
            "the command succeeded; clears with Execute, at the latest after 10 s",
        ),
        ("CommandFailed", "command_failed", "the command failed; clears with Execute, at the latest after 10 s"),
        ("Fault", "fault", "the station has stopped inspecting, see ErrorCode"),
        ("Warning", "warning", "something is degraded, see WarningCode"),
        ("Drift", "drift", "light, sharpness, place or look of the parts has changed, see WarningCode"),
        ("ChallengeDue", "challenge_due", "a challenge test is due"),
        ("PartIdAck", "part_id_ack", "PartId was taken; falls with LatchPartId"),
        ("Ejector1", "ejector1", "1: ejector 1 pushes now (tracking in the station)"),
        ("Ejector2", "ejector2", "1: ejector 2 pushes now"),
        ("Ejector3", "ejector3", "1: ejector 3 pushes now"),
        ("Ejector4", "ejector4", "1: ejector 4 pushes now"),
        (
            "LineStop",
            "line_stop",
            "1: stop the line, see ErrorCode or OfflineReason (tracking in the station)",
        ),
        (
            "ChallengeRunning",
            "challenge_running",
            "the standing result, or with none the next part, is of a challenge test, not of production",
        ),
        (
            "RecipeChanging",
            "recipe_changing",
            "another recipe is being loaded; parts in flight finish first",
        ),
    ),
    Point(_IN, 0, "MapVersion", "map_version", _U16, "version of this map"),
    Point(_IN, 1, "Heartbeat", "heartbeat", _U16, "counts up once a second; standing still: stop or reject"),
    Point(_IN, 2, "State", "state", _U16, "state of OPC 40100-1, see the table of states"),
    Point(_IN, 3, "OfflineReason", "offline_reason", _U16, "why Online is 0"),
    Point(_IN, 4, "ErrorCode", "error_code", _U16, "why Fault is 1"),
    Point(_IN, 5, "WarningCode", "warning_code", _U16, "why Warning is 1"),
    Point(_IN, 6, "FreeResultSlots", "free_result_slots", _U16, "results that can still wait", saturates=True),
    Point(_IN, 7, "Ejectors", "ejectors", _U16, "bits 0 to 3: Ejector1 to Ejector4, for PLCs that read only registers"),
    Point(_IN, 8, "AcquisitionId", "acquisition_id", _U32, "the station's number of the latest trigger taken"),
    Point(_IN, 10, "InspectionId", "inspection_id", _U32, "AcquisitionId of the part that the result belongs to"),
    Point(_IN, 12, "PartId", "part_id_echo", _U32, "PartId of the part that the result belongs to"),
    Point(_IN, 14, "Result", "result", _U16, "0 none, 1 pass, 2 fail, 3 review, 4 error (not inspected)"),
    Point(_IN, 15, "ReasonCode", "reason_code", _U16, "why the result is what it is"),
    Point(
        _IN,
        16,
        "Score",
        "score",
        _F32,
        "anomaly score of the part, 0 to 1: 0.5 is the engine's reject limit",
        saturates=True,
    ),
    Point(_IN, 18, "Threshold", "threshold", _F32, "reject limit of the score: 0.5 unless configured", saturates=True),
    Point(_IN, 20, "DefectArea", "defect_area", _U32, "area of all defects in 0.001 mm²", saturates=True),
    Point(_IN, 22, "Latency", "latency", _U16, "trigger to result in 0.1 ms", saturates=True),
    Point(_IN, 23, "Recipe", "recipe", _U16, "number of the active recipe"),
    Point(_IN, 24, "EngineId", "engine_id", _U32, "first 32 bits of the engine's content hash"),
    Point(_IN, 26, "ConfigChecksum", "config_checksum", _U32, "first 32 bits of the configuration's checksum"),
    Point(_IN, 28, "EncoderCount", "encoder_count_echo", _U32, "EncoderCount of the part that the result belongs to"),
    Point(_IN, 30, "CountTriggers", "count_triggers", _U32, "triggers taken, without challenge tests", saturates=True),
    Point(_IN, 32, "CountPass", "count_pass", _U32, "parts passed", saturates=True),
    Point(_IN, 34, "CountFail", "count_fail", _U32, "parts failed", saturates=True),
    Point(_IN, 36, "CountReview", "count_review", _U32, "parts for review", saturates=True),
    Point(_IN, 38, "CountError", "count_error", _U32, "parts not inspected", saturates=True),
    Point(_IN, 40, "CountMissed", "count_missed", _U32, "triggers that came while TriggerReady was 0", saturates=True),
    Point(_IN, 42, "RecipeChecksum", "recipe_checksum", _U32, "first 32 bits of the active recipe's checksum"),
    Point(_IN, 44, "ChallengeState", "challenge_state", _U16, "0 none, 1 due, 2 running, 3 passed, 4 failed"),
    Point(_IN, 45, "ChallengeStep", "challenge_step", _U16, "number of the master part to put on next; 0: none"),
    Point(_IN, 46, "CountEjected", "count_ejected", _U32, "parts that the station pushed off", saturates=True),
    Point(_IN, 48, "DefectClass", "defect_class", _U16, "number of the kind of defect that is suggested; 0: none"),
    Point(_IN, 49, "CommandResult", "command_result", _U16, "why CommandFailed is 1, see the table of results"),
    Point(_IN, 50, "BatchNumber", "batch_number", _U32, "the station's number of the open batch; 0: none is open"),
)

POINTS: tuple[Point, ...] = CONTROL + STATUS


def points_of(area: Area) -> tuple[Point, ...]:
    return tuple(point for point in POINTS if point.area is area)


def size_of(area: Area) -> int:
    """Addresses 0 .. size - 1 of the area are those of points, or lie between two points and read 0."""
    return max(point.address + point.type.size for point in points_of(area))


def whole_size_of(area: Area) -> int:
    """Addresses 0 .. size - 1 of the area are readable; those behind the last point read 0."""
    return WHOLE_BITS if area in (Area.COIL, Area.DISCRETE_INPUT) else WHOLE_REGISTERS


_REGISTERS = points_of(Area.INPUT_REGISTER)
_REGISTER_COUNT = size_of(Area.INPUT_REGISTER)
_get_bits = attrgetter(*(point.attribute for point in points_of(Area.DISCRETE_INPUT)))
_get_registers = attrgetter(*(point.attribute for point in _REGISTERS))
_FORMATS = {PointType.U16: "H", PointType.U32: "I", PointType.F32: "f"}
_POINTS = struct.Struct(">" + "".join(_FORMATS[point.type] for point in _REGISTERS))
"""All input registers at once; no address between two points is free."""
_WORDS = struct.Struct(f">{_REGISTER_COUNT}H")
_floats = attrgetter(*(point.attribute for point in _REGISTERS if point.type is PointType.F32))
_low_word_first = itemgetter(
    *(address for point in _REGISTERS for address in reversed(range(point.address, point.address + point.type.size)))
)


def encode_status(outputs: PlcOutputs, layout: Layout) -> StatusImage:
    """The status block as bits and registers. Raises ValueError when an exact point (id, code) does not fit."""
    values = _get_registers(outputs)
    try:
        packed = _POINTS.pack(*values)
        fit = all(map(_is_float32, _floats(outputs)))
    except (struct.error, OverflowError):
        fit = False
    if not fit:  # rare, and ten times slower
        packed = _POINTS.pack(*map(_fitting, _REGISTERS, values))
    registers = _WORDS.unpack(packed)
    if not layout.high_word_first:
        registers = _low_word_first(registers)
    return StatusImage(_get_bits(outputs), tuple(layout.ordered(registers)))


def decode_control(coils: Sequence[bool], holding: Sequence[int], layout: Layout) -> PlcInputs:
    """The control block from the coils and holding registers that start at address 0."""
    values: dict[str, bool | int | str] = {}
    holding = layout.ordered(holding)
    for point in CONTROL:
        if point.area is Area.COIL:
            values[point.attribute] = bool(coils[point.address])
        elif point.type is _U16:
            values[point.attribute] = holding[point.address]
        elif point.type is _TEXT:
            values[point.attribute] = _text(holding[point.address : point.address + TEXT_REGISTERS])
        else:
            first, second = holding[point.address : point.address + 2]
            values[point.attribute] = first << 16 | second if layout.high_word_first else second << 16 | first
    return PlcInputs(**values)  # type: ignore[arg-type]


def _text(words: Sequence[int]) -> str:
    """One letter a byte, whatever it is, up to the first 0; whoever takes it looks at what it says."""
    return struct.pack(f">{len(words)}H", *words).partition(b"\0")[0].decode("latin-1")


def _fitting(point: Point, value: float) -> float:
    """The value if it fits, or the end of the range if it saturates; else raises ValueError."""
    if point.type is _F32:
        if _is_float32(value):
            return value
        return FLOAT32_MAX if math.isnan(value) or value > 0 else -FLOAT32_MAX  # NaN: "as anomalous as can be"
    maximum = 0xFFFF if point.type is _U16 else 0xFFFF_FFFF
    if 0 <= value <= maximum:
        return int(value)
    if point.saturates:
        return maximum if value > 0 else 0
    raise ValueError(f"{point.name} = {value} does not fit into {point.type.value} (0..{maximum})")


def _is_float32(value: float) -> bool:
    """False for NaN, too."""
    return -FLOAT32_MAX <= value <= FLOAT32_MAX


_TITLES = {
    Area.COIL: "Control: coils (the PLC writes)",
    Area.HOLDING_REGISTER: "Control: holding registers (the PLC writes)",
    Area.DISCRETE_INPUT: "Status: discrete inputs (the PLC reads; mirrored at coils 1000 + n)",
    Area.INPUT_REGISTER: "Status: input registers (the PLC reads; mirrored at holding registers 1000 + n)",
}


def markdown() -> str:
    """All points as markdown tables, one per area."""
    lines: list[str] = []
    for area, title in _TITLES.items():
        lines += [f"### {title}", "", "| address | name | type | meaning |", "| ---: | --- | --- | --- |"]
        for point in points_of(area):
            last = point.address + point.type.size - 1
            address = f"{point.address}" if last == point.address else f"{point.address}-{last}"
            text = point.text + (" (saturates)" if point.saturates else "")
            lines.append(f"| {address} | {point.name} | {point.type.value} | {text} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(markdown())
