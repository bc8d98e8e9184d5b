"""From TriggerEnable to ExposureComplete: which triggers make a part, and what the PLC sees of it."""

from __future__ import annotations

from drivers.plc.protocol import PlcOutputs
from station.commissioning.conformance.plc import Condition, Plc, standing_bits
from station.commissioning.conformance.registry import Need, NotChecked, Violation, require, rule

MOST_EXPOSURES, ENOUGH_LOOKS = 30, 3
"""Parts tried, and looks wanted: a short exposure is seen by luck."""


def taken_and_missed(status: PlcOutputs) -> tuple[int, int]:
    """Counters of triggers."""
    return status.count_triggers, status.count_missed


def no_more_than(taken: int, missed: int) -> Condition:
    """No further trigger is counted."""
    return lambda status: taken_and_missed(status) == (taken, missed)


def wait_counts(plc: Plc, taken: int, missed: int) -> None:
    """Waits until this many triggers are counted, and no more come."""
    what = f"CountTriggers {taken} and CountMissed {missed}, not {plc.status.count_triggers}, {plc.status.count_missed}"
    plc.wait(no_more_than(taken, missed), what)
    plc.stays(no_more_than(taken, missed), f"more was counted than CountTriggers {taken}, CountMissed {missed}")


@rule("trigger-ready-needs-enable", "TriggerReady comes with TriggerEnable and goes with it.")
def ready_needs_enable(plc: Plc) -> None:
    plc.reset()
    if not plc.status.online or plc.status.fault:
        raise NotChecked(f"the station is not online: {plc.seen()}")
    plc.stays(lambda status: not status.trigger_ready, "TriggerReady is 1 while TriggerEnable is 0", 0.1)
    plc.set(trigger_enable=True)
    plc.ready()
    plc.set(trigger_enable=False)
    plc.wait(lambda status: not status.trigger_ready, "TriggerReady to fall with TriggerEnable")


@rule(
    "trigger-sequence",
    "Trigger is answered by TriggerAck; AcquisitionId is valid with it, one more than that of the part before, and the "
    "result carries it as InspectionId.",
    Need.PLC_TRIGGER,
)
def sequence(plc: Plc) -> None:
    plc.begin()
    before = plc.status
    for step in (1, 2, 3):
        acquisition_id = plc.acquire()
        expected = before.acquisition_id + step
        require(acquisition_id == expected, f"AcquisitionId {acquisition_id} with TriggerAck, expected {expected}")
        result = plc.result()
        require(
            result.inspection_id == acquisition_id,
            f"InspectionId {result.inspection_id} for the part with AcquisitionId {acquisition_id}",
        )
        plc.acknowledge()
    counted = plc.scan().count_triggers - before.count_triggers
    require(counted == 3, f"CountTriggers went on by {counted} with 3 triggers")


@rule(
    "trigger-edges-only",
    "Only the rising edge of Trigger counts: a Trigger that stays up makes one part.",
    Need.PLC_TRIGGER,
    plays="never drops Trigger",
)
def edges_only(plc: Plc) -> None:
    plc.begin()
    taken, missed = taken_and_missed(plc.status)
    plc.set(trigger=True)
    plc.result()
    plc.acknowledge()
    wait_counts(plc, taken + 1, missed)
    plc.set(trigger=False)
    plc.ready()


@rule(
    "trigger-ack-falls",
    "TriggerAck stays while Trigger does and falls with it.",
    Need.PLC_TRIGGER,
    plays="holds Trigger for longer than the part takes",
)
def ack_falls(plc: Plc) -> None:
    plc.begin()
    plc.set(trigger=True)
    plc.wait(lambda status: status.trigger_ack, "TriggerAck")
    plc.stays(lambda status: status.trigger_ack, "TriggerAck fell before Trigger")
    plc.set(trigger=False)
    plc.wait(lambda status: not status.trigger_ack, "TriggerAck to fall with Trigger")


@rule(
    "trigger-short-pulse",
    "A Trigger that falls before TriggerAck is seen is one part; TriggerAck does not stay.",
    Need.PLC_TRIGGER,
    plays="pulses Trigger without looking at TriggerAck",
)
def short_pulse(plc: Plc) -> None:
    plc.begin()
    taken, missed = taken_and_missed(plc.status)
    plc.set(trigger=True)
    plc.set(trigger=False)
    plc.result()
    require(not plc.status.trigger_ack, "TriggerAck is still 1 with the result, Trigger is 0")
    plc.acknowledge()
    wait_counts(plc, taken + 1, missed)


@rule(
    "trigger-ready-falls",
    "TriggerReady is 0 from TriggerAck to ExposureComplete.",
    Need.PLC_TRIGGER,
)
def ready_falls(plc: Plc) -> None:
    plc.begin()
    looked = 0

    def exposed(status: PlcOutputs) -> bool:
        nonlocal looked
        if status.trigger_ack and not status.exposure_complete:
            looked += 1
            require(not status.trigger_ready, "TriggerReady is 1 while the part is being exposed")
        return status.trigger_ack and status.exposure_complete

    for _ in range(MOST_EXPOSURES):
        plc.ready()
        plc.set(trigger=True)
        plc.wait(exposed, "TriggerAck and ExposureComplete")
        plc.set(trigger=False)
        plc.result()
        plc.acknowledge()
        if looked >= ENOUGH_LOOKS:
            return
    if not looked:
        raise NotChecked(f"each of {MOST_EXPOSURES} exposures was over when the PLC looked")


@rule(
    "trigger-exposure-complete",
    "ExposureComplete rises with the result at the latest; it falls with ClearExposureComplete or the next part.",
    Need.PLC_TRIGGER,
)
def exposure_complete(plc: Plc) -> None:
    plc.begin()
    plc.part()
    require(plc.status.exposure_complete, "ExposureComplete is 0 after the result")
    plc.stays(lambda status: status.exposure_complete, "ExposureComplete fell by itself")
    plc.set(clear_exposure_complete=True)
    plc.wait(lambda status: not status.exposure_complete, "ExposureComplete to fall with ClearExposureComplete")
    plc.ready()
    plc.set(trigger=True)
    plc.wait(lambda status: status.exposure_complete, "ExposureComplete while ClearExposureComplete stays 1")
    plc.set(trigger=False, clear_exposure_complete=False)
    plc.result()


@rule(
    "trigger-with-enable",
    "Trigger that rises in the same write as TriggerEnable makes no part: TriggerReady was 0. It counts as missed.",
    Need.PLC_TRIGGER,
    plays="raises Trigger and TriggerEnable together",
)
def with_enable(plc: Plc) -> None:
    plc.begin()
    plc.reset()
    taken, missed = taken_and_missed(plc.status)
    plc.set(trigger_enable=True, trigger=True, buffer_enable=True)
    plc.wait(lambda status: status.missed_trigger, "MissedTrigger")
    wait_counts(plc, taken, missed + 1)
    require(not plc.status.trigger_ack, "TriggerAck is 1 for a trigger that was not taken")


@rule(
    "trigger-before-enable",
    "Trigger that was up before TriggerEnable rises makes no part when TriggerEnable rises.",
    Need.PLC_TRIGGER,
    plays="starts with Trigger up",
)
def before_enable(plc: Plc) -> None:
    plc.begin()
    plc.reset()
    taken, missed = taken_and_missed(plc.status)
    plc.set(trigger=True)
    wait_counts(plc, taken, missed + 1)
    plc.set(trigger_enable=True)
    wait_counts(plc, taken, missed + 1)
    require(not plc.status.trigger_ack, "TriggerAck is 1 for a trigger that was not taken")


@rule(
    "trigger-missed",
    "A trigger while TriggerReady is 0 sets MissedTrigger, counts in CountMissed, gives no TriggerAck and no part; "
    "MissedTrigger stays until ClearError.",
    Need.PLC_TRIGGER,
    plays="triggers while the station is off line",
)
def missed(plc: Plc) -> None:
    plc.begin()
    plc.set(set_offline=True)
    status = plc.wait(lambda status: not status.online and not status.trigger_ready, "Online and TriggerReady to fall")
    taken, missed = taken_and_missed(status)
    plc.set(trigger=True)
    plc.wait(lambda status: status.missed_trigger, "MissedTrigger")
    wait_counts(plc, taken, missed + 1)
    require(not plc.status.trigger_ack, "TriggerAck is 1 for a trigger that was missed")
    require(plc.status.reject, "Reject is 0 for a trigger that was missed")
    plc.set(trigger=False, set_offline=False)
    plc.ready()
    plc.stays(lambda status: status.missed_trigger, "MissedTrigger fell by itself", 0.1)
    plc.set(clear_error=True)
    plc.wait(lambda status: not status.missed_trigger, "MissedTrigger to fall with ClearError")


@rule(
    "trigger-missed-in-reset",
    "While TriggerEnable is 0 MissedTrigger stands only as long as Trigger does, so that the reset can end.",
    Need.PLC_TRIGGER,
    plays="triggers without TriggerEnable",
)
def missed_in_reset(plc: Plc) -> None:
    plc.begin()
    plc.reset()
    plc.set(trigger=True)
    plc.wait(lambda status: status.missed_trigger, "MissedTrigger")
    plc.set(trigger=False)
    plc.wait(lambda status: not status.missed_trigger, "MissedTrigger to fall with Trigger")


@rule(
    "trigger-clear-error-edge",
    "ClearError acts on its rising edge: one that stays up does not hide the next missed trigger.",
    Need.PLC_TRIGGER,
    plays="leaves ClearError up",
)
def clear_error_edge(plc: Plc) -> None:
    plc.begin()
    plc.set(clear_error=True, set_offline=True)
    plc.wait(lambda status: not status.online, "Online to fall")
    plc.set(trigger=True)
    plc.wait(lambda status: status.missed_trigger, "MissedTrigger while ClearError stays up")
    plc.set(trigger=False)
    plc.stays(lambda status: status.missed_trigger, "MissedTrigger fell without an edge of ClearError", 0.1)


@rule(
    "trigger-twice",
    "Two triggers at once are counted as two, taken or missed, and each one taken has exactly one result.",
    Need.PLC_TRIGGER,
    plays="triggers again without waiting for TriggerReady",
)
def twice(plc: Plc) -> None:
    plc.begin()
    before = plc.status
    for _ in range(2):
        plc.set(trigger=True)
        plc.set(trigger=False)
    plc.wait(lambda s: sum(taken_and_missed(s)) == sum(taken_and_missed(before)) + 2, "both triggers to be counted")
    parts = plc.status.count_triggers - before.count_triggers
    require(parts >= 1, "neither of two triggers was taken, TriggerReady was 1")
    for part in range(1, parts + 1):
        result = plc.result()
        expected = before.acquisition_id + part
        require(result.inspection_id == expected, f"InspectionId {result.inspection_id}, expected {expected}")
        plc.acknowledge()
    plc.stays(lambda status: not status.results_valid, f"more than {parts} results for {parts} parts")


@rule(
    "trigger-reset",
    "TriggerEnable 0 brings all bits of the mechanism to 0, the standing result and InspectionCompleted among them; "
    "nothing of it comes back.",
    Need.PLC_TRIGGER,
    plays="resets with everything standing",
)
def reset(plc: Plc) -> None:
    plc.begin()
    plc.acquire()
    plc.result()
    if not plc.status.inspection_completed:
        raise Violation("InspectionCompleted is 0 after the first result since the reset")
    plc.set(latch_part_id=True)
    plc.ready()
    plc.set(trigger=True)
    plc.wait(lambda status: status.trigger_ack and status.exposure_complete, "TriggerAck and ExposureComplete")
    plc.set(trigger_enable=False)
    names = ("trigger_ready", "trigger_ack", "exposure_complete", "inspection_completed", "results_valid", "pass_")

    def fallen(status: PlcOutputs) -> bool:
        return not any(getattr(status, name) for name in (*names, "part_id_ack")) and status.reject

    plc.wait(fallen, "all bits to fall at once with TriggerEnable, Trigger and LatchPartId still 1")
    plc.reset()
    plc.stays(lambda status: not status.results_valid, "a result came after the reset")
    plc.set(trigger_enable=True, buffer_enable=True)
    plc.ready()
    plc.stays(lambda status: not status.results_valid, "a result from before the reset came back")


@rule(
    "trigger-reset-in-flight",
    "A part in flight when TriggerEnable falls ends without being shown; Busy falls with it, and the counters balance.",
    Need.PLC_TRIGGER,
    plays="resets between trigger and result",
)
def reset_in_flight(plc: Plc) -> None:
    plc.begin()
    before = plc.status.count_triggers
    plc.set(trigger=True)
    plc.set(trigger_enable=False, trigger=False)
    plc.wait(lambda status: not standing_bits(status), "all bits of the mechanism to be 0 after TriggerEnable 0")
    plc.wait(lambda status: status.count_triggers == before + 1, "CountTriggers to go on by 1")
    plc.stays(lambda status: not status.results_valid, "the part in flight was shown after the reset")
    plc.begin()
    plc.part()
