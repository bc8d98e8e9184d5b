"""PartId and EncoderCount: which part they belong to, and that they come back with its result."""

from __future__ import annotations

from station.commissioning.conformance.plc import Plc
from station.commissioning.conformance.registry import Need, require, rule

ENCODER_COUNT = 0x0A0B_0C0D


@rule("part-id-ack", "PartIdAck rises with LatchPartId and falls with it.")
def ack(plc: Plc) -> None:
    plc.reset()
    plc.set(part_id=plc.new_part_id(), latch_part_id=True)
    plc.wait(lambda status: status.part_id_ack, "PartIdAck")
    plc.stays(lambda status: status.part_id_ack, "PartIdAck fell before LatchPartId", 0.1)
    plc.set(latch_part_id=False)
    plc.wait(lambda status: not status.part_id_ack, "PartIdAck to fall with LatchPartId")


@rule(
    "part-id-echo",
    "PartId and EncoderCount come back with the result of the part they were latched for, words in the right order.",
    Need.PLC_TRIGGER,
)
def echo(plc: Plc) -> None:
    plc.begin()
    for step in range(3):
        part_id, encoder_count = plc.new_part_id(), ENCODER_COUNT + step
        plc.announce(part_id=part_id, encoder_count=encoder_count)
        result = plc.part()
        require(result.part_id_echo == part_id, f"PartId {result.part_id_echo:#x} came back for {part_id:#x}")
        found = result.encoder_count_echo
        require(found == encoder_count, f"EncoderCount {found:#x} came back for {encoder_count:#x}")


@rule(
    "part-id-next-only",
    "A latched PartId belongs to the next trigger and no other: the part after it has PartId 0.",
    Need.PLC_TRIGGER,
    plays="forgets to latch the second part",
)
def next_only(plc: Plc) -> None:
    plc.begin()
    plc.announce(part_id=plc.new_part_id())
    plc.part()
    found = plc.part().part_id_echo
    require(found == 0, f"a part without LatchPartId came back with PartId {found:#x}")


@rule(
    "part-id-missed",
    "A trigger that is missed uses up the latched PartId: the part after it does not get that id.",
    Need.PLC_TRIGGER,
    plays="latches, triggers off line, triggers again",
)
def missed(plc: Plc) -> None:
    plc.begin()
    plc.announce(part_id=plc.new_part_id())
    plc.set(set_offline=True)
    plc.wait(lambda status: not status.trigger_ready, "TriggerReady to fall")
    plc.set(trigger=True)
    plc.wait(lambda status: status.missed_trigger, "MissedTrigger")
    plc.set(trigger=False, set_offline=False)
    found = plc.part().part_id_echo
    require(found == 0, f"the PartId {found:#x} of a missed trigger came back with the next part")


@rule(
    "part-id-latched-twice",
    "Of several ids latched before a trigger the last one counts.",
    Need.PLC_TRIGGER,
    plays="latches twice before it triggers",
)
def latched_twice(plc: Plc) -> None:
    plc.begin()
    plc.announce(part_id=plc.new_part_id())
    last = plc.new_part_id()
    plc.announce(part_id=last)
    found = plc.part().part_id_echo
    require(found == last, f"PartId {found:#x} came back, the last one latched was {last:#x}")


@rule(
    "part-id-edge",
    "PartId is taken at the rising edge of LatchPartId: what is written afterwards belongs to no part.",
    Need.PLC_TRIGGER,
    plays="writes PartId after LatchPartId",
)
def edge(plc: Plc) -> None:
    plc.begin()
    latched = plc.new_part_id()
    plc.set(part_id=latched)
    plc.set(latch_part_id=True)
    plc.wait(lambda status: status.part_id_ack, "PartIdAck")
    plc.set(part_id=plc.new_part_id())
    found = plc.part().part_id_echo
    require(found == latched, f"PartId {found:#x} came back, latched was {latched:#x}")


@rule(
    "part-id-reset",
    "The reset forgets a latched PartId.",
    Need.PLC_TRIGGER,
    plays="latches, resets, triggers",
)
def after_reset(plc: Plc) -> None:
    plc.begin()
    plc.announce(part_id=plc.new_part_id())
    plc.begin()
    found = plc.part().part_id_echo
    require(found == 0, f"the PartId {found:#x} of before the reset came back")
