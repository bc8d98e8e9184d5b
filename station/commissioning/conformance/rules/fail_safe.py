"""What must not end in a pass: off line, faults, dead PLCs, late answers."""

from __future__ import annotations

import time

from drivers.plc.protocol import PlcOutputs
from station.commissioning.conformance.plc import ERROR, PASS, Plc
from station.commissioning.conformance.registry import Need, NotChecked, Violation, require, rule

BY_PLC = 2
HEARTBEAT_FROZEN = 1
DEADLINE = 42
DEADLINE_MS = 1
"""The shortest there is; hardly an engine answers within it."""
LATENESS_MS = 1.0
ERRORS_TO_FAULT = 3
SHORTEST_FREEZE = 0.5
"""Of the time-out: TriggerReady must not fall before."""
FREEZE_MARGIN_S = 2.0


@rule("offline-by-switch", "SetOffline takes the station off line: Online, TriggerReady 0, Reject 1, OfflineReason 2.")
def by_switch(plc: Plc) -> None:
    plc.begin()
    plc.set(set_offline=True)
    status = plc.wait(lambda status: not status.online, "Online to fall with SetOffline")
    require(not status.trigger_ready, "TriggerReady is 1 off line")
    require(status.reject, "Reject is 0 off line")
    require(status.offline_reason == BY_PLC, f"OfflineReason is {status.offline_reason}, should be {BY_PLC}")
    plc.set(set_offline=False)
    plc.wait(lambda status: status.online and status.trigger_ready, "Online and TriggerReady to come back")


@rule(
    "offline-withdraws-pass",
    "Off line the passes that were not acknowledged are withdrawn, and they do not come back on line.",
    Need.PLC_TRIGGER,
    plays="goes off line before it acknowledges",
)
def offline_withdraws_pass(plc: Plc) -> None:
    plc.begin()
    passed = plc.standing_pass()
    plc.set(set_offline=True)
    plc.wait(lambda status: status.reject and not status.pass_, "Pass to fall off line")
    plc.set(set_offline=False)
    plc.ready()
    stays_withdrawn(plc, passed, "on line")


def stays_withdrawn(plc: Plc, passed: PlcOutputs, when: str) -> None:
    """The pass of that part is not shown any more."""

    def gone(status: PlcOutputs) -> bool:
        return not (status.pass_ or status.result == PASS or status.inspection_id == passed.inspection_id)

    plc.stays(gone, f"the pass of part {passed.inspection_id}, withdrawn before, came back {when}")


def freeze(plc: Plc) -> float:
    """The heartbeat stops; the seconds until TriggerReady falls. Raises Violation when it does not."""
    plc.beating = False
    start_s = time.monotonic()
    limit_s = plc.times.heartbeat_timeout_s + FREEZE_MARGIN_S
    plc.wait(lambda status: not status.trigger_ready, "TriggerReady to fall: PlcHeartbeat stands still", limit_s)
    return time.monotonic() - start_s


@rule(
    "heartbeat-frozen",
    "When PlcHeartbeat stands still for the configured time, TriggerReady falls and WarningCode is 1; a trigger is "
    "missed then. Both end when it moves.",
    Need.PLC_TRIGGER,
    Need.HEARTBEAT,
    plays="stops its heartbeat",
)
def frozen(plc: Plc) -> None:
    plc.begin()
    seconds = freeze(plc)
    earliest_s = plc.times.heartbeat_timeout_s * SHORTEST_FREEZE
    require(seconds > earliest_s, f"TriggerReady fell {seconds:.1f} s after PlcHeartbeat stopped")
    plc.wait(lambda status: status.warning_code == HEARTBEAT_FROZEN, f"WarningCode {HEARTBEAT_FROZEN}")
    plc.set(trigger=True)
    plc.wait(lambda status: status.missed_trigger, "MissedTrigger while PlcHeartbeat stands still")
    plc.set(trigger=False)
    plc.beating = True
    plc.ready()
    plc.wait(lambda status: status.warning_code != HEARTBEAT_FROZEN, "the warning to end when PlcHeartbeat moves")


@rule(
    "heartbeat-withdraws-pass",
    "When PlcHeartbeat stands still, the passes that were not acknowledged are withdrawn for good.",
    Need.PLC_TRIGGER,
    Need.HEARTBEAT,
    plays="stops its heartbeat before it acknowledges",
)
def heartbeat_withdraws_pass(plc: Plc) -> None:
    plc.begin()
    passed = plc.standing_pass()
    freeze(plc)
    plc.wait(lambda status: status.reject and not status.pass_, "Pass to fall when PlcHeartbeat stands still")
    plc.beating = True
    plc.ready()
    stays_withdrawn(plc, passed, "with the heartbeat")


@rule(
    "heartbeat-never-moved",
    "PlcHeartbeat is supervised from TriggerEnable on, whether it ever moved or not.",
    Need.PLC_TRIGGER,
    Need.HEARTBEAT,
    plays="has no heartbeat",
)
def never_moved(plc: Plc) -> None:
    plc.begin()
    plc.beating = False
    plc.reset()
    plc.set(trigger_enable=True, buffer_enable=True)
    plc.ready()
    freeze(plc)


@rule(
    "deadline",
    f"No result within DeadlineMs is Result 4 with reason {DEADLINE}; a later answer is applied to nothing.",
    Need.PLC_TRIGGER,
)
def deadline(plc: Plc) -> None:
    plc.begin()
    result = hurried_part(plc, DEADLINE_MS)
    is_late = result.result != ERROR and result.latency / 10 > DEADLINE_MS + LATENESS_MS
    if is_late:  # a single one may have come between the look at the clock and the signal
        result = hurried_part(plc, DEADLINE_MS)
        is_late = result.result != ERROR and result.latency / 10 > DEADLINE_MS + LATENESS_MS
    require(
        not is_late,
        f"Result {result.result} after {result.latency / 10:g} ms; the part had a deadline of {DEADLINE_MS} ms",
    )
    if result.result != ERROR:
        raise NotChecked(f"the station answers within {DEADLINE_MS} ms")
    require(result.reason_code == DEADLINE, f"ReasonCode is {result.reason_code}, should be {DEADLINE}")
    plc.stays(lambda status: not status.results_valid, "a second result for a part that was late")
    part_id = plc.new_part_id()
    plc.announce(part_id=part_id)
    after = plc.part()
    require(after.part_id_echo == part_id, f"PartId {after.part_id_echo:#x} came back for {part_id:#x}")


def hurried_part(plc: Plc, deadline_ms: int) -> PlcOutputs:
    """A part with its own deadline; its result."""
    plc.announce(part_id=plc.new_part_id(), deadline_ms=deadline_ms)
    return plc.part()


@rule(
    "fault-after-errors",
    f"{ERRORS_TO_FAULT} parts in a row that were not inspected are a fault: Fault 1, TriggerReady 0, passes withdrawn. "
    "ClearError ends it.",
    Need.PLC_TRIGGER,
)
def fault(plc: Plc) -> None:
    plc.begin()
    passed = plc.standing_pass()
    bring_into_fault(plc, DEADLINE_MS)
    status = plc.wait(lambda status: not status.trigger_ready and not status.pass_, "TriggerReady and Pass to fall")
    require(status.reject and status.error_code != 0, f"Reject {status.reject:d}, ErrorCode {status.error_code}")
    plc.set(clear_error=True)
    plc.wait(lambda status: not status.fault and status.online, "the fault to end with ClearError")
    plc.set(clear_error=False)
    plc.ready()
    stays_withdrawn(plc, passed, "after the fault")


def bring_into_fault(plc: Plc, deadline_ms: int) -> None:
    """Parts with a deadline that cannot be kept, until Fault. Raises NotChecked when the station is faster."""
    errors = 0
    for _ in range(2 * ERRORS_TO_FAULT):
        plc.announce(part_id=plc.new_part_id(), deadline_ms=deadline_ms)
        before = plc.status.count_error
        plc.acquire()
        status = plc.wait(lambda status: not status.busy, "Busy to fall")
        errors = errors + 1 if status.count_error > before else 0
        if status.fault:
            return
        if errors >= ERRORS_TO_FAULT:
            raise Violation(f"no Fault after {errors} parts in a row that were not inspected")
    raise NotChecked(f"the station answers within {deadline_ms} ms, so no part misses its deadline")


@rule(
    "no-pass-off-line",
    "A part in flight when the station goes off line is never shown as a pass.",
    Need.PLC_TRIGGER,
    plays="goes off line between trigger and result",
)
def no_pass_off_line(plc: Plc) -> None:
    plc.begin()
    for _ in range(3):
        plc.ready()
        plc.set(trigger=True)
        plc.set(trigger=False, set_offline=True)
        plc.wait(lambda status: not status.busy and not status.online, "the part to end off line")
        plc.stays(lambda status: not status.pass_ and status.result != PASS, "a pass is shown off line", 0.1)
        if plc.status.results_valid:
            plc.acknowledge()
        plc.set(set_offline=False)
