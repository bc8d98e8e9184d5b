"""The handshake step by step, as docs/plc.md describes it."""

from __future__ import annotations

import dataclasses

import pytest

from station.codes import OfflineReason, ReasonCode, WarningCode
from station.line.handshake.messages import (
    ClearErrorRequested,
    PartIdLatched,
    PartResult,
    PlcHeartbeatLost,
    PlcHeartbeatRestored,
    ResultAcknowledged,
    ResultOutcome,
    ResultsWithdrawn,
    StationStatus,
    TriggerMissed,
    TriggerRequested,
)
from station.line.signalling.ledger import Counters
from station.results import Verdict
from tests.line.handshake.handshake_bench import FAULT, OFFLINE, ONLINE, Bench, S, shows

# ---- trigger --------------------------------------------------------------------------------------------------------


def test_one_part_from_trigger_to_acknowledged_result(bench: Bench) -> None:
    assert bench.out.trigger_ready
    assert bench.write(part_id=70_001, encoder_count=5, deadline_ms=80) == []
    assert bench.write(latch_part_id=True) == [PartIdLatched(70_001, 5, 80, bench.now)]
    assert bench.out.part_id_ack
    bench.write(latch_part_id=False, part_id=0)
    assert not bench.out.part_id_ack
    assert bench.write(trigger=True) == [TriggerRequested(70_001, 5, 80)]
    assert not bench.out.trigger_ack
    assert not bench.out.trigger_ready, "one trigger at a time"

    bench.handshake.trigger_accepted(41, bench.now)
    shows(bench.out, trigger_ack=True, acquisition_id=41, busy=True)
    assert not bench.out.trigger_ready
    bench.write(trigger=False)
    assert not bench.out.trigger_ack
    bench.handshake.exposure_completed(41)
    assert bench.out.exposure_complete
    assert bench.out.trigger_ready
    bench.write(clear_exposure_complete=True)
    assert not bench.out.exposure_complete
    shows(bench.out, results_valid=False, reject=True, threshold=0.5)

    assert bench.decide(41, Verdict.PASS, part_id=70_001) is ResultOutcome.SIGNALLED
    out = bench.out
    shows(out, results_valid=True, pass_=True, reject=False, review=False)
    shows(out, inspection_completed=True, busy=False)
    shows(out, inspection_id=41, part_id_echo=70_001, result=1, reason_code=0)
    shows(out, score=0.25, threshold=0.5, defect_area=1234, latency=313, defect_class=7)

    assert bench.write(results_ack=True) == [ResultAcknowledged(41)]
    out = bench.out
    shows(out, results_valid=False, pass_=False, reject=True, result=0, inspection_id=0)
    assert out.inspection_completed, "toggles with results only"
    assert out.acquisition_id == 41
    bench.write(results_ack=False)
    assert not bench.out.results_valid


def test_only_the_rising_edge_counts(bench: Bench) -> None:
    assert bench.write(trigger=True) == [TriggerRequested(0, 0, 0)]
    bench.expose(1)
    assert bench.write(plc_heartbeat=1) == []
    assert bench.write(trigger=True) == []
    bench.write(trigger=False)
    assert bench.write(trigger=True) == [TriggerRequested(0, 0, 0)]


def test_a_trigger_while_not_ready_is_missed_and_latches(bench: Bench) -> None:
    bench.handshake.station_changed(dataclasses.replace(ONLINE, can_take_part=False), bench.now)
    bench.write(part_id=5, latch_part_id=True)
    assert bench.write(trigger=True) == [TriggerMissed(5)]
    shows(bench.out, missed_trigger=True, trigger_ack=False, reject=True)
    bench.handshake.station_changed(ONLINE, bench.now)
    bench.write(trigger=False)
    assert bench.write(trigger=True) == [TriggerRequested(0, 0, 0)], "the id went with the missed part"
    assert bench.out.missed_trigger
    assert ClearErrorRequested() in bench.write(clear_error=True)
    assert not bench.out.missed_trigger


def test_trigger_enable_and_trigger_in_one_write_is_no_trigger_that_was_ready_for() -> None:
    bench = Bench()
    assert bench.write(trigger_enable=True, trigger=True) == [TriggerMissed(0)]
    assert bench.out.missed_trigger


def test_a_trigger_in_reset_shows_as_missed_while_it_stands() -> None:
    bench = Bench()
    assert bench.write(trigger=True) == [TriggerMissed(0)]
    assert bench.out.missed_trigger
    bench.write(trigger=False)
    assert not bench.out.missed_trigger
    bench.handshake.trigger_missed()
    assert not bench.out.missed_trigger, "a light barrier that pulses must not hold up the reset sequence"


def test_a_trigger_that_the_station_turns_down_is_missed(bench: Bench) -> None:
    bench.write(trigger=True)
    bench.handshake.trigger_missed()
    shows(bench.out, missed_trigger=True, trigger_ack=False)
    assert bench.out.trigger_ready


def test_trigger_ack_needs_trigger(bench: Bench) -> None:
    bench.write(trigger=True)
    bench.write(trigger=False)
    bench.handshake.trigger_accepted(1, bench.now)
    assert not bench.out.trigger_ack


def test_exposure_complete_of_one_part_does_not_stand_for_the_next(bench: Bench) -> None:
    bench.expose(1)
    assert bench.out.exposure_complete
    bench.handshake.trigger_accepted(2, bench.now)
    assert not bench.out.exposure_complete
    bench.decide(2, Verdict.ERROR)
    assert bench.out.exposure_complete, "a part without a picture may move when it has its result"
    assert bench.out.trigger_ready


def test_an_id_latched_after_a_line_trigger_stays_for_the_next(bench: Bench) -> None:
    triggered = bench.now
    bench.pass_time(0.1)
    bench.write(part_id=8, latch_part_id=True)
    bench.handshake.trigger_accepted(1, triggered)
    bench.handshake.exposure_completed(1)
    assert bench.write(trigger=True) == [TriggerRequested(8, 0, 0)]


# ---- result ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.REVIEW, Verdict.ERROR])
def test_everything_but_pass_is_reject(bench: Bench, verdict: Verdict) -> None:
    bench.inspect(1, verdict)
    out = bench.out
    shows(out, results_valid=True, pass_=False, reject=True, result=verdict)
    assert out.review == (verdict is Verdict.REVIEW)


def test_results_wait_in_order_and_the_ninth_overruns(bench: Bench) -> None:
    for acquisition_id in range(1, 9):
        assert bench.out.free_result_slots == 9 - acquisition_id
        assert bench.out.trigger_ready
        assert bench.inspect(acquisition_id) is ResultOutcome.SIGNALLED
    assert bench.out.free_result_slots == 0
    assert not bench.out.trigger_ready, "no free slot, no trigger"
    assert bench.handshake.refusal(Verdict.FAIL, 9) is ReasonCode.RESULT_OVERRUN
    assert bench.inspect(9) is ResultOutcome.OVERRUN
    assert bench.out.overrun
    for acquisition_id in range(1, 9):
        assert bench.out.inspection_id == acquisition_id
        toggle = bench.out.inspection_completed
        assert toggle == (acquisition_id % 2 == 1)
        assert bench.write(results_ack=True) == [ResultAcknowledged(acquisition_id)]
        assert not bench.out.results_valid, "the next one waits for ResultsAck to fall"
        bench.write(results_ack=False)
    assert not bench.out.results_valid
    assert bench.out.trigger_ready
    assert bench.out.overrun
    bench.write(clear_error=True)
    assert not bench.out.overrun


def test_parts_in_flight_have_their_slot_reserved(bench: Bench) -> None:
    for acquisition_id in range(1, 9):
        bench.expose(acquisition_id)
    assert not bench.out.trigger_ready
    assert bench.write(trigger=True) == [TriggerMissed(0)]
    assert bench.out.overrun, "missed, and says that the buffer is why"


def test_without_buffer_the_newest_replaces_the_old_one() -> None:
    bench = Bench()
    bench.write(trigger_enable=True)
    for acquisition_id in range(1, 13):
        expected = ResultOutcome.SIGNALLED if acquisition_id == 1 else ResultOutcome.REPLACED
        assert bench.inspect(acquisition_id) is expected
        assert bench.out.inspection_id == acquisition_id
        assert bench.out.inspection_completed == (acquisition_id % 2 == 1)
        assert bench.out.trigger_ready
    assert not bench.out.overrun
    assert bench.write(results_ack=True) == [ResultAcknowledged(12)]
    assert not bench.out.results_valid


def test_no_result_is_shown_while_results_ack_stands(bench: Bench) -> None:
    bench.write(results_ack=True)
    bench.inspect(1)
    shows(bench.out, results_valid=False, reject=True, inspection_completed=False)
    bench.write(results_ack=False)
    shows(bench.out, results_valid=True, pass_=True)


def test_a_part_has_one_result(bench: Bench) -> None:
    bench.inspect(1, Verdict.FAIL)
    assert bench.decide(1, Verdict.PASS) is ResultOutcome.DISCARDED
    assert bench.out.result == Verdict.FAIL
    assert bench.decide(99, Verdict.PASS) is ResultOutcome.DISCARDED, "of a part that was never announced"


def test_an_error_is_shown_of_a_part_whose_trigger_was_never_seen(bench: Bench) -> None:
    assert bench.decide(7, Verdict.ERROR) is ResultOutcome.SIGNALLED
    shows(bench.out, result=Verdict.ERROR, inspection_id=7)


def test_long_latencies_saturate_in_the_map_not_here(bench: Bench) -> None:
    bench.expose(1)
    bench.handshake.result(PartResult(1, 0, Verdict.FAIL, ReasonCode.DEADLINE, 0, 0, 0, 1e5))
    assert bench.out.latency == 1_000_000


# ---- reset ----------------------------------------------------------------------------------------------------------


def test_trigger_enable_0_resets_everything_and_gives_up_what_is_in_flight(bench: Bench) -> None:
    bench.inspect(1)
    bench.inspect(2, Verdict.FAIL)
    bench.handshake.trigger_missed()
    bench.handshake.trigger_accepted(3, bench.now)
    bench.write(latch_part_id=True, part_id=9)
    assert bench.write(trigger_enable=False) == [ResultsWithdrawn((1, 2))]
    out = bench.out
    shows(out, results_valid=False, pass_=False, missed_trigger=False, inspection_completed=False, part_id_ack=False)
    shows(out, exposure_complete=False, trigger_ready=False, trigger_ack=False, overrun=False)
    shows(out, reject=True, busy=True, result=0)
    bench.write(trigger_enable=True)
    assert not bench.out.trigger_ready, "the camera is still exposing part 3"
    bench.handshake.exposure_completed(3)
    assert not bench.out.exposure_complete, "part 3 is nobody's any more"
    assert bench.out.trigger_ready
    assert bench.handshake.refusal(Verdict.PASS, 3) is ReasonCode.HANDSHAKE_RESET
    assert bench.decide(3) is ResultOutcome.DISCARDED
    shows(bench.out, results_valid=False, busy=False)
    assert bench.write(trigger=True) == [TriggerRequested(0, 0, 0)], "the id latched before the reset is gone"


def test_parts_triggered_in_reset_are_not_shown_later() -> None:
    bench = Bench()
    bench.expose(1)
    bench.write(trigger_enable=True)
    assert bench.handshake.refusal(Verdict.PASS, 1) is ReasonCode.HANDSHAKE_RESET
    assert bench.decide(1) is ResultOutcome.DISCARDED


# ---- fail-safe ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [OFFLINE, FAULT], ids=["offline", "fault"])
def test_offline_or_fault_withdraws_passes_for_good(bench: Bench, status: StationStatus) -> None:
    for acquisition_id, verdict in enumerate([Verdict.PASS, Verdict.FAIL, Verdict.PASS, Verdict.REVIEW], 1):
        bench.inspect(acquisition_id, verdict)
    bench.expose(5)
    assert bench.out.pass_
    assert bench.handshake.station_changed(status, bench.now) == [ResultsWithdrawn((1, 3))]
    shows(bench.out, inspection_id=2, result=Verdict.FAIL, reject=True)
    assert bench.out.fault == (status is FAULT)
    assert not bench.out.trigger_ready
    assert bench.handshake.refusal(Verdict.PASS, 5) is ReasonCode.OFFLINE
    assert bench.decide(5) is ResultOutcome.WITHHELD
    assert bench.handshake.station_changed(ONLINE, bench.now) == []
    shown = []
    while bench.out.results_valid:
        shown.append((bench.out.inspection_id, bench.out.result, bench.out.reason_code))
        bench.write(results_ack=True)
        bench.write(results_ack=False)
    assert shown == [
        (2, 2, ReasonCode.SCORE_ABOVE_LIMIT),
        (4, 3, ReasonCode.SCORE_ABOVE_LIMIT),
        (5, 4, ReasonCode.OFFLINE),
    ]


def test_heartbeat_of_the_station_counts_and_wraps() -> None:
    bench = Bench(heartbeat_period_s=1.0)
    assert bench.handshake.next_wakeup_ns() == S
    bench.pass_time(0.999)
    assert bench.out.heartbeat == 0
    bench.pass_time(0.001)
    assert bench.out.heartbeat == 1
    for _ in range(65_535):
        bench.pass_time(1)
    assert bench.out.heartbeat == 0


def test_frozen_plc_heartbeat_drops_ready_and_passes_until_it_moves(bench: Bench) -> None:
    bench.pass_time(2)
    bench.write(plc_heartbeat=1)
    bench.inspect(1)
    bench.expose(2)
    bench.pass_time(2.5)
    assert bench.handshake.next_wakeup_ns() == 5 * S
    assert bench.pass_time(0.499) == []
    shows(bench.out, trigger_ready=True, pass_=True, warning=False)
    assert bench.pass_time(0.001) == [PlcHeartbeatLost(), ResultsWithdrawn((1,))]
    out = bench.out
    shows(out, trigger_ready=False, results_valid=False, reject=True)
    shows(out, warning=True, warning_code=WarningCode.PLC_HEARTBEAT_FROZEN)
    assert bench.handshake.refusal(Verdict.PASS, 2) is ReasonCode.PLC_LOST
    assert bench.decide(2) is ResultOutcome.WITHHELD
    assert bench.pass_time(100) == []
    assert bench.write(results_ack=False) == [], "other writes are no heartbeat"
    assert bench.write(plc_heartbeat=2) == [PlcHeartbeatRestored()]
    out = bench.out
    shows(out, trigger_ready=True, pass_=False, warning=False)
    shows(out, inspection_id=2, result=Verdict.ERROR, reason_code=ReasonCode.PLC_LOST)


def test_a_plc_whose_heartbeat_never_moved_is_lost_too() -> None:
    bench = Bench()
    bench.pass_time(60)
    bench.write(trigger_enable=True)
    assert bench.out.trigger_ready
    assert bench.pass_time(3) == [PlcHeartbeatLost()]
    assert not bench.out.trigger_ready
    assert bench.write(trigger_enable=False) == [PlcHeartbeatRestored()], "the PLC starts over"
    assert bench.pass_time(60) == [], "not supervised in reset"


def test_heartbeat_timeout_0_is_no_supervision() -> None:
    bench = Bench(plc_heartbeat_timeout_s=0)
    bench.write(trigger_enable=True)
    assert bench.pass_time(3600) == []
    assert bench.out.trigger_ready


def test_plc_gone_mid_handshake_and_back_makes_no_second_edge(bench: Bench) -> None:
    assert len(bench.write(trigger=True)) == 1
    bench.expose(1)
    bench.decide(1)
    bench.pass_time(3)
    assert not bench.out.results_valid
    assert bench.write(plc_heartbeat=7) == [PlcHeartbeatRestored()], "Trigger still stands: no edge"
    assert bench.out.trigger_ack
    assert not bench.out.results_valid, "the pass of before does not come back"
    assert bench.write(trigger=False) == []
    assert bench.write(trigger=True) == [TriggerRequested(0, 0, 0)]


# ---- the rest -------------------------------------------------------------------------------------------------------


def test_state_and_counters_go_through(bench: Bench) -> None:
    status = dataclasses.replace(
        FAULT,
        warning_code=WarningCode.DISK_FULL,
        offline_reason=OfflineReason.FAULT,
        recipe=3,
        engine_id=0xDEADBEEF,
        config_checksum=77,
        drift=True,
        challenge_due=True,
        busy=True,
    )
    bench.handshake.station_changed(status, bench.now)
    bench.handshake.counted(Counters(triggers=10, passed=4, failed=3, review=2, error=1, missed=5))
    out = bench.out
    shows(out, state=3, offline_reason=6, error_code=3, warning_code=3)
    shows(out, fault=True, warning=True, drift=True, challenge_due=True, busy=True)
    shows(out, recipe=3, engine_id=0xDEADBEEF, config_checksum=77, map_version=2)
    shows(out, count_triggers=10, count_pass=4, count_fail=3, count_review=2, count_error=1, count_missed=5)


def test_ids_wrap_at_32_bits(bench: Bench) -> None:
    bench.inspect(2**32 + 7)
    shows(bench.out, acquisition_id=7, inspection_id=7)


def test_properties_for_the_owner(bench: Bench) -> None:
    assert bench.handshake.inputs == bench.inputs
    assert bench.handshake.enabled
    assert bench.handshake.has_slot
    assert not bench.handshake.has_results
    bench.inspect(1)
    assert bench.handshake.has_results


def test_its_repr_names_the_bits_that_are_up(bench: Bench) -> None:
    assert repr(bench.handshake) == "<Handshake up: online, trigger_ready, reject; results: 0>"
    bench.write(trigger_enable=False)
    assert repr(bench.handshake) == "<Handshake up: online, reject; results: 0>"
