"""The standing result: when it comes, what it says, how it goes."""

from __future__ import annotations

import time

from drivers.plc.protocol import PlcOutputs
from station.commissioning.conformance.plc import ERROR, PASS, Condition, Plc
from station.commissioning.conformance.registry import Need, Violation, require, rule

SHORTEST_DEADLINE_MS = 1
"""Hardly a station keeps it: a part that ends as an error."""
RESULT_FIELDS = (
    "inspection_id",
    "part_id_echo",
    "result",
    "reason_code",
    "score",
    "threshold",
    "defect_area",
    "latency",
    "encoder_count_echo",
)


def content(status: PlcOutputs) -> tuple[object, ...]:
    """What is said of the part."""
    return tuple(getattr(status, name) for name in (*RESULT_FIELDS, "pass_", "review"))


@rule("result-reject-without", "Without a result Reject is 1, Pass 0, and Result, InspectionId and PartId are 0.")
def reject_without(plc: Plc) -> None:
    plc.reset()
    status = plc.scan()
    require(status.reject and not status.pass_, f"Reject is {status.reject:d}, Pass {status.pass_:d}; no result stands")
    shown = (status.result, status.inspection_id, status.part_id_echo)
    require(shown == (0, 0, 0), f"Result, InspectionId, PartId are {shown}; no result stands")


@rule(
    "result-acknowledge",
    "ResultsAck takes the result off: ResultsValid, Pass 0, Reject 1, Result 0. InspectionCompleted stays.",
    Need.PART,
)
def acknowledge(plc: Plc) -> None:
    plc.begin()
    plc.acquire()
    toggle = plc.result().inspection_completed
    plc.set(results_ack=True)
    status = plc.wait(lambda status: not status.results_valid, "ResultsValid to fall with ResultsAck")
    require(status.reject and not status.pass_ and not status.review, "Pass or Review stays after ResultsAck")
    require(status.result == 0, f"Result is {status.result} after ResultsAck")
    require(status.inspection_completed == toggle, "InspectionCompleted toggled with ResultsAck")
    plc.set(results_ack=False)


@rule("result-waits-for-ack", "A result stands until it is acknowledged, and what it says does not change.", Need.PART)
def waits_for_ack(plc: Plc) -> None:
    plc.begin()
    plc.acquire()
    first = content(plc.result())
    plc.stays(lambda status: content(status) == first, f"the result changed while it stood; first it was {first}")
    plc.acknowledge()


@rule(
    "result-registers-first",
    "When ResultsValid is read as 1, the registers read after it hold the result: bits first, then registers.",
    Need.PLC_TRIGGER,
)
def registers_first(plc: Plc) -> None:
    plc.begin()
    for _ in range(5):
        part_id = plc.new_part_id()
        plc.announce(part_id=part_id)
        plc.ready()
        plc.set(trigger=True)
        status = _as_a_plc_reads(plc)
        found = (status.inspection_id, status.part_id_echo, status.result != 0, status.pass_ == (status.result == PASS))
        expected = (status.acquisition_id, part_id, True, True)
        require(
            found == expected,
            f"with ResultsValid: InspectionId {status.inspection_id}, PartId {status.part_id_echo:#x}, Result "
            f"{status.result}, Pass {status.pass_:d}; the part is {status.acquisition_id}, PartId {part_id:#x}",
        )
        plc.set(trigger=False)
        plc.acknowledge()


def _as_a_plc_reads(plc: Plc) -> PlcOutputs:
    """Bits, then registers, until ResultsValid is 1; without the second look of `scan`."""
    end = time.monotonic() + plc.times.answer_s
    while time.monotonic() < end:
        status = plc.decode(plc.link.read_bits_first())
        if status.results_valid:
            return status
    raise Violation(f"waited {plc.times.answer_s:g} s for ResultsValid; {plc.seen()}")


def toggle_is(value: bool) -> Condition:
    return lambda status: status.inspection_completed == value


@rule("result-toggle", "InspectionCompleted toggles exactly once with every result.", Need.PLC_TRIGGER)
def toggle(plc: Plc) -> None:
    plc.begin()
    before = plc.status.inspection_completed
    for _ in range(3):
        plc.acquire()
        status = plc.result()
        require(status.inspection_completed != before, "InspectionCompleted did not toggle with a new result")
        before = status.inspection_completed
        plc.stays(toggle_is(before), "InspectionCompleted toggled again with the same result", 0.1)
        plc.acknowledge()
        require(plc.scan().inspection_completed == before, "InspectionCompleted toggled with the acknowledge")


@rule(
    "result-one-per-part",
    "A part has one result: after its acknowledge it does not come again.",
    Need.PLC_TRIGGER,
)
def one_per_part(plc: Plc) -> None:
    plc.begin()
    plc.part()
    plc.stays(lambda status: not status.results_valid, "a second result for one trigger")


@rule(
    "result-ack-without",
    "ResultsAck without a result does nothing by itself; a result that comes meanwhile is shown when it falls.",
    Need.PLC_TRIGGER,
    plays="raises ResultsAck when no result stands",
)
def ack_without(plc: Plc) -> None:
    plc.begin()
    plc.set(results_ack=True)
    acquisition_id = plc.trigger()
    plc.wait(lambda status: not status.busy, "Busy to fall")
    plc.stays(lambda status: not status.results_valid, "a result is shown while ResultsAck is 1")
    require(plc.status.reject, "Reject is 0 while ResultsAck is 1")
    plc.set(results_ack=False)
    result = plc.result()
    require(result.inspection_id == acquisition_id, f"InspectionId {result.inspection_id}, expected {acquisition_id}")
    plc.acknowledge()


@rule(
    "result-ack-held",
    "One ResultsAck takes one result off: the next one is shown when ResultsAck is back at 0, not before.",
    Need.PLC_TRIGGER,
    plays="leaves ResultsAck up",
)
def ack_held(plc: Plc) -> None:
    plc.begin()
    first, second = plc.acquire(), plc.acquire()
    plc.wait(lambda status: not status.busy, "Busy to fall")
    require(plc.result().inspection_id == first, f"InspectionId {plc.status.inspection_id}, expected {first}")
    plc.set(results_ack=True)
    plc.wait(lambda status: not status.results_valid, "ResultsValid to fall with ResultsAck")
    plc.stays(lambda status: not status.results_valid, "the next result is shown while ResultsAck is still 1")
    plc.set(results_ack=False)
    require(plc.result().inspection_id == second, f"InspectionId {plc.status.inspection_id}, expected {second}")
    plc.acknowledge()


@rule(
    "result-double-ack",
    "ResultsAck raised again without a result takes nothing off.",
    Need.PLC_TRIGGER,
    plays="acknowledges twice",
)
def double_ack(plc: Plc) -> None:
    plc.begin()
    plc.part()
    plc.acknowledge()
    free = plc.scan().free_result_slots
    acquisition_id = plc.acquire()
    result = plc.result()
    require(result.inspection_id == acquisition_id, f"InspectionId {result.inspection_id}, expected {acquisition_id}")
    require(result.free_result_slots == free - 1, f"FreeResultSlots {result.free_result_slots}, expected {free - 1}")
    plc.acknowledge()


@rule(
    "result-latency",
    "Latency is the time from trigger to result: more than 0 and not more than the PLC itself measured.",
    Need.PLC_TRIGGER,
)
def latency(plc: Plc) -> None:
    plc.begin()
    plc.ready()
    start_s = time.monotonic()
    plc.set(trigger=True)
    result = plc.result()
    measured_ms = (time.monotonic() - start_s) * 1000
    plc.set(trigger=False)
    require(result.latency > 0, "Latency is 0")
    require(
        result.latency / 10 <= measured_ms + 1, f"Latency {result.latency / 10:g} ms, measured {measured_ms:.1f} ms"
    )


@rule("result-reason", "A result that is no pass has a ReasonCode that says why; a pass has 0.", Need.PART)
def reason(plc: Plc) -> None:
    plc.begin()
    for _ in range(3):
        result = plc.part()
        with_reason = result.reason_code != 0
        require(with_reason == (result.result != PASS), f"Result {result.result} with ReasonCode {result.reason_code}")


@rule(
    "result-counters",
    "Every part counts once in CountTriggers and once in the counter of its verdict; nothing else counts.",
    Need.PLC_TRIGGER,
)
def counters(plc: Plc) -> None:
    plc.begin()
    before = _counts(plc.status)
    seen = [0, 0, 0, 0]
    for deadline_ms in (0, 0, 0, SHORTEST_DEADLINE_MS):
        plc.announce(deadline_ms=deadline_ms)
        seen[plc.part().result - PASS] += 1
    counted = [now - then for now, then in zip(_counts(plc.scan()), before, strict=True)]
    require(
        counted == [4, *seen, 0],
        f"CountTriggers, Pass, Fail, Review, Error, Missed went on by {counted}; the results were {[4, *seen, 0]}",
    )


def _counts(status: PlcOutputs) -> list[int]:
    return [
        status.count_triggers,
        status.count_pass,
        status.count_fail,
        status.count_review,
        status.count_error,
        status.count_missed,
    ]


@rule("result-identity", "EngineId, ConfigChecksum and Recipe stand and do not change from part to part.", Need.PART)
def identity(plc: Plc) -> None:
    plc.begin()
    first = _identity(plc.status)
    require(bool(plc.status.config_checksum), "ConfigChecksum is 0")
    result = plc.part()
    require(result.result == ERROR or bool(result.engine_id), "EngineId is 0 with a part that was inspected")
    require(_identity(result) == first, f"went from {first} to {_identity(result)}")


def _identity(status: PlcOutputs) -> tuple[int, ...]:
    return status.engine_id, status.config_checksum, status.recipe, status.recipe_checksum
