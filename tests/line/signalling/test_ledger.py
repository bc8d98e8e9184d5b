"""The ledger: ids go to the right frames, every part is closed once, the counters balance."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.plc.protocol import PlcInputs
from station.codes import ReasonCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import HandshakeSettings, PartResult, StationState, StationStatus
from station.line.recording.journal import Journal
from station.line.recording.stage import Recorder, RecorderSettings
from station.line.signalling.frame_matching import LATCH_HISTORY
from station.line.signalling.ledger import NOT_INSPECTED_ON_PURPOSE, Ledger
from station.records.parts import parts
from station.records.schema import open_reader
from station.results import Decision, Reason, Verdict
from tests.bench.sample_parts import PartMaker, new_part
from tests.line.signalling.ledger_bench import FAIL, LIMITS, MS, PASS

FAULTY = [
    code
    for code in ReasonCode
    if ReasonCode.NO_FRAME <= code < ReasonCode.NO_VERDICT
    and code not in {*NOT_INSPECTED_ON_PURPOSE, ReasonCode.TEACHING}
]
"""What camera, engine and inspection give as an error; a part taken for teaching is REVIEW."""


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(LIMITS, wall_offset_ns=0)


def test_its_repr_names_the_open_parts(ledger: Ledger) -> None:
    assert repr(ledger) == "<Ledger open: none; next: 1>"
    ledger.frame(20 * MS, lost_before=0, ready=True)
    ledger.open("software", 30 * MS)
    assert repr(ledger) == "<Ledger open: 1, 2 without frame; next: 3>"


def test_an_id_belongs_to_the_next_trigger(ledger: Ledger) -> None:
    ledger.latch(7, 10 * MS, while_ready=True, encoder_count=123, deadline_ms=250)
    match = ledger.frame(20 * MS, lost_before=0, ready=True)
    assert match.part is not None
    part = match.part
    assert (part.part_id, part.encoder_count, part.time_ns) == (7, 123, 20 * MS)
    assert part.deadline_ns == 270 * MS


def test_an_id_latched_at_the_very_time_of_the_trigger_is_its_own(ledger: Ledger) -> None:
    ledger.latch(7, 20 * MS, while_ready=True)
    match = ledger.frame(20 * MS, lost_before=0, ready=True)
    assert match.part is not None
    assert match.part.part_id == 7


def test_an_id_that_falls_out_of_the_history_is_missed(ledger: Ledger) -> None:
    assert sum(ledger.latch(number, number, while_ready=True) for number in range(1, LATCH_HISTORY + 1)) == 0
    assert ledger.latch(1000, 1000, while_ready=True) == 1
    assert ledger.counters.missed == 1


def test_a_frame_that_comes_after_the_next_id_still_gets_its_own(ledger: Ledger) -> None:
    """On a fast line the next part is announced while the frame of this one is still on its way."""
    ledger.latch(1, 10 * MS, while_ready=True)
    ledger.latch(2, 30 * MS, while_ready=True)
    first = ledger.frame(20 * MS, lost_before=0, ready=True)
    second = ledger.frame(40 * MS, lost_before=0, ready=True)
    assert first.part is not None
    assert second.part is not None
    assert (first.part.part_id, second.part.part_id) == (1, 2)
    assert first.without_frame == second.without_frame == ()


def test_an_overtaken_id_is_an_error_part(ledger: Ledger) -> None:
    ledger.latch(1, 10 * MS, while_ready=True)
    ledger.latch(2, 30 * MS, while_ready=True)
    match = ledger.frame(40 * MS, lost_before=1, ready=True)
    assert [part.part_id for part in match.without_frame] == [1]
    assert match.part is not None
    assert match.part.part_id == 2


def test_frames_lost_without_ids_are_parts_too(ledger: Ledger) -> None:
    match = ledger.frame(40 * MS, lost_before=2, ready=True)
    assert len(match.without_frame) == 2
    assert ledger.counters.triggers == 3


def test_an_expired_id_explains_the_gap_that_follows(ledger: Ledger) -> None:
    """One lost frame is one error part, not two: once when its time is over, not again when the gap is seen."""
    ledger.latch(1, 10 * MS, while_ready=True)
    assert [expired.part.part_id for expired in ledger.expire(1010 * MS)] == [1]
    ledger.latch(2, 1020 * MS, while_ready=True)
    match = ledger.frame(1030 * MS, lost_before=1, ready=True)
    assert match.without_frame == ()
    assert ledger.counters.triggers == 2
    assert len(ledger.frame(1040 * MS, lost_before=1, ready=True).without_frame) == 1, "it explains one gap"


def test_a_frame_after_its_id_expired_is_late_and_never_another_part(ledger: Ledger) -> None:
    ledger.latch(1, 10 * MS, while_ready=True)
    ledger.expire(1010 * MS)
    match = ledger.frame(20 * MS, lost_before=0, ready=True)
    assert match.part is None
    assert match.why_not == "late"


def test_a_gap_behind_a_late_frame_is_of_the_id_that_expired_with_it(ledger: Ledger) -> None:
    """Two ids expire; the first one's frame comes late, the second one's never: it was counted, and once is enough."""
    ledger.latch(1, 10 * MS, while_ready=False)
    ledger.latch(2, 60 * MS, while_ready=False)
    ledger.expire(1100 * MS)
    assert ledger.counters.missed == 2
    assert ledger.frame(20 * MS, lost_before=0, ready=True).why_not == "late"
    ledger.latch(3, 1110 * MS, while_ready=True)
    match = ledger.frame(1120 * MS, lost_before=1, ready=True)
    assert match.without_frame == ()
    assert (ledger.counters.triggers, ledger.counters.missed) == (1, 2), "three pulses"


def test_a_second_trigger_of_one_part_has_no_id(ledger: Ledger) -> None:
    ledger.latch(1, 10 * MS, while_ready=True)
    ledger.frame(20 * MS, lost_before=0, ready=True)
    bounce = ledger.frame(25 * MS, lost_before=0, ready=True)
    assert bounce.part is not None
    assert bounce.part.part_id == 0


def test_not_ready_is_missed_unless_announced_while_ready(ledger: Ledger) -> None:
    assert ledger.frame(20 * MS, lost_before=0, ready=False).why_not == "missed"
    ledger.latch(1, 30 * MS, while_ready=True)
    assert ledger.frame(40 * MS, lost_before=0, ready=False).part is not None
    ledger.latch(2, 50 * MS, while_ready=False)
    assert ledger.frame(60 * MS, lost_before=0, ready=False).part is None
    assert (ledger.counters.triggers, ledger.counters.missed) == (1, 2)


def test_drained_waits_for_every_announced_part(ledger: Ledger) -> None:
    """A part that was announced while not ready may come after all: nothing may be changed before."""
    ledger.latch(1, 0, while_ready=False)
    assert ledger.is_empty
    assert not ledger.is_drained
    ledger.expire(1000 * MS)
    assert ledger.is_drained
    assert ledger.counters.missed == 1


def test_challenge_parts_count_apart(ledger: Ledger) -> None:
    production = ledger.open("plc", 0)
    ledger.assign_to_challenge(4)
    master = ledger.open("plc", 1)
    assert (production.challenge, master.challenge) == (0, 4)
    ledger.reset_counters()
    assert (ledger.counters.triggers, ledger.counters.challenge) == (1, 0)
    ledger.close(master.acquisition_id, FAIL)
    ledger.close(production.acquisition_id, PASS)
    assert (ledger.counters.triggers, ledger.counters.passed, ledger.counters.failed) == (1, 1, 0)


def test_a_late_frame_of_a_software_trigger_is_not_the_next_part(ledger: Ledger) -> None:
    first = ledger.open("plc", 10 * MS)
    assert ledger.expire(1010 * MS)[0].code is ReasonCode.NO_FRAME or ledger.expire(1010 * MS)
    ledger.close(first.acquisition_id, Decision.error(ReasonCode.NO_FRAME))
    ledger.open("plc", 1020 * MS)
    assert ledger.frame_for_trigger(12 * MS).why_not == "late"
    assert ledger.frame_for_trigger(1021 * MS).part is not None


def test_a_late_frame_is_not_the_next_part_however_soon_that_follows(ledger: Ledger) -> None:
    """Parts nearer to each other than the clocks of camera and station may differ."""
    for trigger_ms in (10.0, 11.2):
        given_up = ledger.open("plc", round(trigger_ms * MS), deadline_ms=1)
        (expired,) = ledger.expire(round((trigger_ms + 1) * MS))
        assert expired.part == given_up
        ledger.close(given_up.acquisition_id, Decision.error(expired.code))
    part = ledger.open("plc", round(12.4 * MS), deadline_ms=1)
    assert ledger.frame_for_trigger(round(10.5 * MS)).why_not == "late"
    assert ledger.frame_for_trigger(round(11.5 * MS)).why_not == "late"
    found = ledger.frame_for_trigger(round(12.3 * MS)).part  # its own: the clock of the camera is behind
    assert found is not None
    assert found == part


def test_deadline(ledger: Ledger) -> None:
    part = ledger.frame(0, lost_before=0, ready=True).part
    assert part is not None
    assert ledger.next_wakeup_ns() == 500 * MS
    assert ledger.expire(499 * MS) == []
    assert [expired.code for expired in ledger.expire(500 * MS)] == [ReasonCode.DEADLINE]


def test_a_part_is_closed_once(ledger: Ledger) -> None:
    part = ledger.frame(0, lost_before=0, ready=True).part
    assert part is not None
    assert ledger.close(part.acquisition_id, FAIL) is not None
    assert ledger.close(part.acquisition_id, PASS) is None
    assert (ledger.counters.passed, ledger.counters.failed) == (0, 1)


def test_errors_in_a_row_are_a_fault_and_a_result_ends_the_row(ledger: Ledger) -> None:
    for decisions, fault in (
        ([Decision.error(ReasonCode.DEADLINE)] * 2 + [PASS], False),
        ([Decision.error(ReasonCode.DEADLINE)] * 3, True),
    ):
        for decision in decisions:
            part = ledger.frame(0, lost_before=0, ready=True).part
            assert part is not None
            ledger.close(part.acquisition_id, decision)
        assert ledger.fault_due is fault
    ledger.clear_fault()
    assert not ledger.fault_due


def closed_with(ledger: Ledger, code: ReasonCode, parts: int) -> None:
    for _ in range(parts):
        part = ledger.frame(0, lost_before=0, ready=True).part
        assert part is not None
        ledger.close(part.acquisition_id, Decision.error(code))


@pytest.mark.parametrize("verdict", [PASS, FAIL, Decision(Verdict.REVIEW, (Reason(ReasonCode.SCORE_IN_REVIEW_BAND),))])
def test_any_verdict_but_an_error_ends_the_row(ledger: Ledger, verdict: Decision) -> None:
    closed_with(ledger, ReasonCode.DEADLINE, LIMITS.errors_in_a_row_to_fault - 1)
    part = ledger.frame(0, lost_before=0, ready=True).part
    assert part is not None
    ledger.close(part.acquisition_id, verdict)
    closed_with(ledger, ReasonCode.DEADLINE, 1)
    assert not ledger.fault_due


@pytest.mark.parametrize("code", sorted(NOT_INSPECTED_ON_PURPOSE))
def test_errors_on_purpose_are_no_fault(ledger: Ledger, code: ReasonCode) -> None:
    """A line that is taken off, or whose PLC resets, has no broken camera. Nor does such a part end a row of faults."""
    closed_with(ledger, code, 3 * LIMITS.errors_in_a_row_to_fault)
    assert not ledger.fault_due
    closed_with(ledger, ReasonCode.NO_FRAME, LIMITS.errors_in_a_row_to_fault - 1)
    closed_with(ledger, code, 1)
    assert not ledger.fault_due
    closed_with(ledger, ReasonCode.NO_FRAME, 1)
    assert ledger.fault_due


@pytest.mark.parametrize("code", FAULTY)
def test_any_other_error_often_enough_is_a_fault(ledger: Ledger, code: ReasonCode) -> None:
    closed_with(ledger, code, LIMITS.errors_in_a_row_to_fault - 1)
    assert not ledger.fault_due
    closed_with(ledger, code, 1)
    assert ledger.fault_due


def test_ids_go_on_past_32_bits_and_leave_out_what_reads_as_no_part() -> None:
    """PLC: the register wraps and never reads 0. Journal and records: two parts that read alike stay two."""
    ledger = Ledger(LIMITS, wall_offset_ns=0, first_id=2**32 - 2)
    handshake = Handshake(HandshakeSettings(), 0)
    handshake.station_changed(StationStatus(online=True, can_take_part=True, state=StationState.READY), 0)
    handshake.plc_wrote(PlcInputs(trigger_enable=True), 0)
    ids, registers = [], []
    for number in range(4):
        part = ledger.open("plc", number)
        handshake.trigger_accepted(part.acquisition_id, number)
        handshake.result(PartResult(part.acquisition_id, 0, Verdict.PASS, ReasonCode.NONE, 0.1, 0.5, 0, 1.0))
        assert ledger.close(part.acquisition_id, PASS) is not None
        out = handshake.outputs()
        assert out.acquisition_id == out.inspection_id
        ids.append(part.acquisition_id)
        registers.append(out.acquisition_id)
    assert ids == [2**32 - 2, 2**32 - 1, 2**32 + 1, 2**32 + 2]
    assert registers == [2**32 - 2, 2**32 - 1, 1, 2]
    assert ledger.counters.passed == 4


def test_parts_that_read_alike_stay_two_in_journal_and_records(tmp_path: Path) -> None:
    first, second = (replace(new_part(1), acquisition_id=number) for number in (1, 2**32 + 1))
    with Journal(tmp_path / "journal", "s1") as journal:
        assert journal.open_part(first)
        assert journal.open_part(second)
        journal.decide_part(second.acquisition_id, Verdict.PASS, ReasonCode.NONE)
    with Journal(tmp_path / "journal", "s2") as journal:
        left = {part.part.acquisition_id: part.decision.verdict for part in journal.recover()}
    assert left == {1: Verdict.ERROR, 2**32 + 1: Verdict.PASS}

    record = PartMaker().without_frame(1)
    recorder = Recorder(RecorderSettings(tmp_path, pass_image_share=0.0, min_free_mb=0), "s1")
    recorder.start()
    for part in (first, second):
        recorder.record(replace(record, part=part))
    assert recorder.stop(20)
    with closing(open_reader(tmp_path)) as reader:
        assert {row.acquisition_id for row in parts(reader)} == {1, 2**32 + 1}
