"""The register map: complete, without overlaps, at the documented addresses, and encoded as documented."""

from __future__ import annotations

import dataclasses
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.plc.map_memory import IllegalAddress, MapMemory
from drivers.plc.protocol import PlcInputs, PlcOutputs
from drivers.plc.signal_map import (
    CONTROL,
    FLOAT32_MAX,
    POINTS,
    STATUS,
    Area,
    Layout,
    Point,
    PointType,
    decode_control,
    encode_status,
    points_of,
    size_of,
)

FIELD_TYPES = {"bit": "bool", "f32": "float", "text": "str"}
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)

# Map version 3, written down a second time on purpose: an address in use by PLC programs must never move.
VERSION_3 = {
    Area.COIL: "TriggerEnable Trigger ResultsAck BufferEnable Execute ClearError ClearExposureComplete SetOffline "
    "RejectConfirmed BinFull ChallengeMode LatchPartId "
    "RejectConfirmed2 RejectConfirmed3 RejectConfirmed4 PartAtEjector",
    Area.HOLDING_REGISTER: "PlcHeartbeat Command CommandArgument PartId - EncoderCount - DeadlineMs EncoderNow - "
    "BatchName" + 15 * " -",
    Area.DISCRETE_INPUT: "Online TriggerReady TriggerAck Busy ExposureComplete InspectionCompleted ResultsValid Pass "
    "Reject Review Overrun MissedTrigger Executing CommandCompleted CommandFailed Fault Warning Drift ChallengeDue "
    "PartIdAck Ejector1 Ejector2 Ejector3 Ejector4 LineStop ChallengeRunning RecipeChanging",
    Area.INPUT_REGISTER: "MapVersion Heartbeat State OfflineReason ErrorCode WarningCode FreeResultSlots Ejectors "
    "AcquisitionId - InspectionId - PartId - Result ReasonCode Score - Threshold - DefectArea - Latency Recipe "
    "EngineId - ConfigChecksum - EncoderCount - CountTriggers - CountPass - CountFail - CountReview - CountError - "
    "CountMissed - RecipeChecksum - ChallengeState ChallengeStep CountEjected - DefectClass "
    "CommandResult BatchNumber -",
}


@pytest.mark.parametrize("area", list(Area))
def test_points_stand_where_version_3_has_them(area: Area) -> None:
    names = VERSION_3[area].split()
    expected = {name: address for address, name in enumerate(names) if name != "-"}
    assert {point.name: point.address for point in points_of(area)} == expected
    assert size_of(area) == len(names)


@pytest.mark.parametrize(("points", "block"), [(CONTROL, PlcInputs), (STATUS, PlcOutputs)])
def test_every_field_has_one_point_and_every_point_a_field(points: tuple[Point, ...], block: type) -> None:
    attributes = [point.attribute for point in points]
    assert sorted(attributes) == sorted(field.name for field in dataclasses.fields(block))


@pytest.mark.parametrize("area", list(Area))
def test_points_do_not_overlap(area: Area) -> None:
    taken = [point.address + offset for point in points_of(area) for offset in range(point.type.size)]
    assert len(taken) == len(set(taken))


def test_types_of_points_fit_their_area_and_field() -> None:
    fields = {field.name: field.type for block in (PlcInputs, PlcOutputs) for field in dataclasses.fields(block)}
    for point in POINTS:
        bits = point.area in (Area.COIL, Area.DISCRETE_INPUT)
        assert (point.type is PointType.BIT) == bits, point
        assert fields[point.attribute] == FIELD_TYPES.get(point.type.value, "int"), point
        assert point.text
        assert "|" not in point.text, "would break the table in the documentation"


def test_names_are_unique_in_each_block_and_follow_the_fields() -> None:
    for block in (CONTROL, STATUS):
        names = [point.name for point in block]
        assert len(names) == len(set(names))
    for point in POINTS:
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in point.name).lstrip("_")
        assert point.attribute.removesuffix("_").removesuffix("_echo") == snake


def test_default_status_is_reject_and_nothing_else() -> None:
    image = encode_status(PlcOutputs(), Layout())
    assert [point.name for point in points_of(Area.DISCRETE_INPUT) if image.bits[point.address]] == ["Reject"]
    assert image.registers[:3] == (2, 0, 1)
    assert not any(image.registers[3:])


@given(value=U32, high_first=st.booleans())
def test_32_bit_values_take_two_registers_in_the_layouts_order(value: int, high_first: bool) -> None:
    registers = encode_status(PlcOutputs(acquisition_id=value), Layout(high_word_first=high_first)).registers
    words = struct.unpack(">HH", struct.pack(">I", value))
    assert registers[8:10] == (words if high_first else words[::-1])


@given(score=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_arrive_bit_by_bit(score: float) -> None:
    registers = encode_status(PlcOutputs(score=score), Layout()).registers
    assert struct.unpack(">f", struct.pack(">HH", *registers[16:18]))[0] == score


@pytest.mark.parametrize(
    ("score", "shown"),
    [(math.nan, FLOAT32_MAX), (math.inf, FLOAT32_MAX), (1e300, FLOAT32_MAX), (-math.inf, -FLOAT32_MAX)],
)
def test_scores_that_no_float32_holds_show_as_the_largest(score: float, shown: float) -> None:
    registers = encode_status(PlcOutputs(score=score), Layout()).registers
    assert struct.unpack(">f", struct.pack(">HH", *registers[16:18]))[0] == shown


def test_measured_values_and_counters_saturate() -> None:
    image = encode_status(PlcOutputs(latency=70_000, count_pass=2**32 + 5, defect_area=-1), Layout())
    assert image.registers[22] == 0xFFFF
    assert image.registers[32:34] == (0xFFFF, 0xFFFF)
    assert image.registers[20:22] == (0, 0)


@pytest.mark.parametrize("point", [p for p in STATUS if p.type is not PointType.BIT and not p.saturates], ids=str)
@pytest.mark.parametrize("excess", [-1, 2**32])
def test_ids_and_codes_that_do_not_fit_are_refused(point: Point, excess: int) -> None:
    changed: dict[str, Any] = {point.attribute: excess}
    outputs = dataclasses.replace(PlcOutputs(), **changed)
    with pytest.raises(ValueError, match=rf"{point.name} = {excess} does not fit into {point.type.value} \(0\.\."):
        encode_status(outputs, Layout())


@given(
    coils=st.lists(st.booleans(), min_size=16, max_size=16),
    heartbeat=U16,
    part_id=U32,
    encoder=U32,
    deadline=U16,
    high_first=st.booleans(),
)
def test_control_block_is_decoded_point_by_point(
    *, coils: list[bool], heartbeat: int, part_id: int, encoder: int, deadline: int, high_first: bool
) -> None:
    def words(value: int) -> list[int]:
        high_low = [value >> 16, value & 0xFFFF]
        return high_low if high_first else high_low[::-1]

    holding = [heartbeat, 2, 3, *words(part_id), *words(encoder), deadline, *words(part_id)]
    inputs = decode_control(coils, holding, Layout(high_word_first=high_first))
    assert [getattr(inputs, point.attribute) for point in points_of(Area.COIL)] == coils
    assert (inputs.plc_heartbeat, inputs.command, inputs.command_argument) == (heartbeat, 2, 3)
    assert (inputs.part_id, inputs.encoder_count, inputs.deadline_ms) == (part_id, encoder, deadline)
    assert inputs.encoder_now == part_id


def test_each_status_bit_has_its_own_address() -> None:
    for point in points_of(Area.DISCRETE_INPUT):
        low = encode_status(dataclasses.replace(PlcOutputs(), **{point.attribute: False}), Layout()).bits
        high = encode_status(dataclasses.replace(PlcOutputs(), **{point.attribute: True}), Layout()).bits
        assert [address for address in range(len(low)) if low[address] != high[address]] == [point.address]


@given(letters=st.binary(max_size=32), low_first=st.booleans(), words_swapped=st.booleans())
def test_a_text_is_what_stands_before_the_first_zero(letters: bytes, low_first: bool, words_swapped: bool) -> None:
    layout = Layout(high_word_first=not words_swapped, low_byte_first=low_first)
    words = struct.unpack("<16H" if low_first else ">16H", letters.ljust(32, b"\0"))
    inputs = decode_control([False] * 16, [0] * 10 + list(words), layout)
    assert inputs.batch_name.encode("latin-1") == letters.partition(b"\0")[0]


def test_a_plc_without_the_registers_of_the_name_begins_none() -> None:
    assert decode_control([False] * 16, [0] * 10, Layout()).batch_name == ""
    memory = MapMemory(Layout())
    with pytest.raises(IllegalAddress):
        memory.write_holding_registers(10, [1])
    assert MapMemory(Layout(batches=True)).write_holding_registers(10, [1])
