"""Results that wait: the buffer of 8, its overrun, and the station without it."""

from __future__ import annotations

from station.commissioning.conformance.plc import Condition, Plc
from station.commissioning.conformance.registry import Need, require, rule

SLOTS = 8


def fill(plc: Plc) -> list[int]:
    """Fills every slot with parts, none acknowledged; returns their AcquisitionIds."""
    ids = []
    for part in range(SLOTS):
        ids.append(plc.acquire())
        plc.wait(lambda status: not status.busy, "Busy to fall")
        free = plc.status.free_result_slots
        require(free == SLOTS - part - 1, f"FreeResultSlots is {free} with {part + 1} results waiting")
    return ids


def drain(plc: Plc) -> list[int]:
    """Acknowledges results until none comes; their InspectionIds."""
    ids = []
    while plc.scan().free_result_slots < SLOTS:
        ids.append(plc.result().inspection_id)
        plc.acknowledge()
    return ids


@rule(
    "buffer-order",
    f"With BufferEnable {SLOTS} results wait and come in the order of their parts; FreeResultSlots counts down, and "
    "TriggerReady falls with the last slot.",
    Need.PLC_TRIGGER,
    plays="acknowledges late",
)
def order(plc: Plc) -> None:
    plc.begin()
    ids = fill(plc)
    plc.wait(lambda status: not status.trigger_ready, "TriggerReady to fall with FreeResultSlots 0")
    require(
        plc.status.inspection_id == ids[0], f"InspectionId {plc.status.inspection_id} stands, the oldest is {ids[0]}"
    )
    found = drain(plc)
    require(found == ids, f"the parts were {ids}, the results {found}")
    plc.ready()


@rule(
    "buffer-overrun",
    "A trigger that finds no slot sets Overrun and MissedTrigger; the waiting results stay as they are. Overrun stays "
    "until ClearError.",
    Need.PLC_TRIGGER,
    plays="does not acknowledge and triggers on",
)
def overrun(plc: Plc) -> None:
    plc.begin()
    ids = fill(plc)
    require(not plc.status.overrun, f"Overrun is 1 with {SLOTS} results")
    missed = plc.status.count_missed
    plc.set(trigger=True)
    status = plc.wait(lambda status: status.overrun and status.missed_trigger, "Overrun and MissedTrigger")
    require(not status.trigger_ack, "TriggerAck is 1 for a trigger without a slot")
    plc.set(trigger=False)
    plc.wait(lambda status: status.count_missed == missed + 1, "CountMissed to go on by 1")
    found = drain(plc)
    require(found == ids, f"the parts were {ids}, the results after the overrun {found}")
    plc.stays(lambda status: status.overrun, "Overrun fell by itself", 0.1)
    plc.set(clear_error=True)
    plc.wait(lambda status: not status.overrun, "Overrun to fall with ClearError")


@rule(
    "buffer-part-ids",
    "Results that wait keep the PartId of their own part.",
    Need.PLC_TRIGGER,
    plays="has three parts inspected before it looks",
)
def part_ids(plc: Plc) -> None:
    plc.begin()
    announced = []
    for _ in range(3):
        part_id = plc.new_part_id()
        plc.announce(part_id=part_id)
        announced.append((plc.acquire(), part_id))
    plc.wait(lambda status: not status.busy, "Busy to fall")
    found = []
    for _ in announced:
        result = plc.result()
        found.append((result.inspection_id, result.part_id_echo))
        plc.acknowledge()
    require(found == announced, f"(InspectionId, PartId) came back as {found}, expected {announced}")


@rule(
    "buffer-slots-reserved",
    "FreeResultSlots counts down with the trigger already: a part in flight has its slot.",
    Need.PLC_TRIGGER,
)
def slots_reserved(plc: Plc) -> None:
    plc.begin()
    plc.set(trigger=True)
    status = plc.wait(lambda status: status.trigger_ack, "TriggerAck")
    require(status.free_result_slots == SLOTS - 1, f"FreeResultSlots is {status.free_result_slots} with TriggerAck")
    plc.set(trigger=False)
    plc.result()
    plc.acknowledge()
    plc.wait(lambda status: status.free_result_slots == SLOTS, f"FreeResultSlots {SLOTS} after the acknowledge")


def shows(acquisition_id: int) -> Condition:
    """The result of this part stands."""
    return lambda status: status.inspection_id == acquisition_id


@rule(
    "unbuffered-newest",
    "Without BufferEnable the newest result replaces the standing one; InspectionCompleted toggles, nothing overruns.",
    Need.PLC_TRIGGER,
    plays="does not acknowledge and has no buffer",
)
def newest(plc: Plc) -> None:
    plc.begin(buffer=False)
    plc.acquire()
    toggle = plc.result().inspection_completed
    for _ in range(2):
        acquisition_id = plc.acquire()
        status = plc.wait(shows(acquisition_id), f"the result of part {acquisition_id} to replace the one before")
        require(status.inspection_completed != toggle, "InspectionCompleted did not toggle with the new result")
        toggle = status.inspection_completed
    require(not plc.status.overrun, "Overrun is 1 without BufferEnable")
    plc.acknowledge()
    plc.stays(lambda status: not status.results_valid, "a result that was replaced came back")
