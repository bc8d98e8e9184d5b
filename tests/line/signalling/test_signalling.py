"""The signalling stage step by step: without its thread, with a clock of the test's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.plc.protocol import PlcInputs
from station.codes import ReasonCode, WarningCode
from station.line.acquisition.messages import FrameArrived, FrameFailed
from station.line.inspection.stage import Inspected
from station.line.signalling.ledger import LedgerSettings
from station.line.signalling.messages import Ask, ClearFault, PlcWrote
from station.line.signalling.view_matching import ViewSettings
from station.results import Decision, Frame, Inspection, Verdict
from tests.line.signalling.signalling_bench import DEADLINE_MS, NS_PER_MS, PIXELS, SignallingOnABench

FOUR_IN_FLIGHT = LedgerSettings(deadline_ms=DEADLINE_MS, max_parts_in_flight=4)
PULSE_MS = 1000 / 240
PULSES = ("whole", "whole", "failed", "lost", "lost", "refused")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SignallingOnABench]:
    bench = SignallingOnABench(tmp_path)
    with bench.journal:
        yield bench


def test_an_answer_within_the_deadline_is_the_result(bench: SignallingOnABench) -> None:
    answer = bench.part_in_inspection()
    bench.now_ns += (DEADLINE_MS - 1) * NS_PER_MS
    bench.signalling.handle(answer)
    assert (bench.outputs.result, bench.outputs.pass_) == (Verdict.PASS, True)


def test_an_answer_that_lay_in_the_inbox_over_the_deadline_is_too_late(bench: SignallingOnABench) -> None:
    answer = bench.part_in_inspection()
    bench.now_ns += DEADLINE_MS * NS_PER_MS
    bench.signalling.handle(answer)  # no tick between: the thread was busy, or had no core
    assert (bench.outputs.result, bench.outputs.reason_code) == (Verdict.ERROR, ReasonCode.DEADLINE)
    assert not bench.outputs.pass_
    assert [(record.decision.verdict, record.late) for record in bench.records] == [
        (Verdict.ERROR, False),
        (Verdict.PASS, True),
    ]


def test_an_id_that_lay_in_the_inbox_while_its_part_came_is_that_of_its_frame(tmp_path: Path) -> None:
    bench = SignallingOnABench(tmp_path, cameras=(ViewSettings("top"),))
    with bench.journal:
        latched = PlcWrote(PlcInputs(trigger_enable=True, latch_part_id=True, part_id=7), bench.now_ns)
        triggered_ns = bench.now_ns + 40 * NS_PER_MS
        bench.now_ns += 50 * NS_PER_MS  # the thread was busy, or had no core
        bench.signalling.handle(latched)
        bench.signalling.handle(FrameArrived(Frame("top", 1, PIXELS, triggered_ns, triggered_ns), 0))
        bench.now_ns += 2000 * NS_PER_MS
        bench.signalling.tick()
        assert [record.part.part_id for record in bench.records] == [7], "one pulse, one part"
        assert bench.ledger.counters.triggers == 1


def test_a_part_takes_one_slot_of_the_journal_however_it_ends(bench: SignallingOnABench) -> None:
    free = bench.journal.free_slots
    bench.part_in_inspection()
    bench.now_ns += DEADLINE_MS * NS_PER_MS
    bench.signalling.tick()
    (record,) = bench.records
    assert record.decision.code is ReasonCode.DEADLINE
    bench.journal.commit([(record.session, record.part.acquisition_id)])
    assert bench.journal.free_slots == free


@settings(max_examples=150, deadline=None)
@given(
    pulses=st.lists(
        st.sampled_from(["whole", "whole", "failed", "lost", "lost", "refused"]), min_size=20, max_size=120
    ),
    engine_ms=st.integers(3, 30),
)
def test_every_pulse_of_an_overloaded_line_is_a_part_or_missed(pulses: list[str], engine_ms: int) -> None:
    """240 pulses/s, 4 parts in flight: pulses = triggers + missed + exposures that the camera refused.

    The last frame is a whole one: the gap that lost frames leave is seen with the next frame, and not before.
    """
    with tempfile.TemporaryDirectory() as folder:
        station = SignallingOnABench(
            Path(folder), cameras=(ViewSettings("top"),), ledger=FOUR_IN_FLIGHT, journal_slots=256
        )
        frame_id, lost, free_ns = 0, 0, 0
        for number, pulse in enumerate([*pulses, "whole"]):
            station.now_ns = 10**9 + round(number * PULSE_MS * NS_PER_MS)
            while station.at_engine and station.now_ns >= free_ns:
                part, frame = station.at_engine.pop(0)
                free_ns = station.now_ns + engine_ms * NS_PER_MS
                station.signalling.handle(Inspected(part.acquisition_id, Inspection(frame, Decision(Verdict.PASS))))
            station.signalling.tick()
            if pulse == "refused":
                continue
            frame_id += 1
            now = station.now_ns
            if pulse == "lost":
                lost += 1
                continue
            if pulse == "whole":
                station.signalling.handle(FrameArrived(Frame("top", frame_id, PIXELS, now, now), lost))
            else:
                code = ReasonCode.FRAME_RING_FULL
                station.signalling.handle(FrameFailed("top", frame_id, code, now, now, lost))
            lost = 0
        counts = station.ledger.counters
        assert len(pulses) + 1 == counts.triggers + counts.missed + pulses.count("refused")
        assert counts.missed == station.missed_on_belt == sum(kind == "missed" for kind, *_ in station.events)
        station.journal.close()


def test_plc_and_people_read_the_frozen_heartbeat_at_once(bench: SignallingOnABench) -> None:
    def shown() -> tuple[bool, bool]:
        ask = Ask()
        bench.signalling.handle(ask)
        frozen = WarningCode.PLC_HEARTBEAT_FROZEN
        return bench.outputs.warning_code == frozen, frozen in ask.reply.get_nowait().warnings

    assert shown() == (False, False)
    bench.now_ns += 4 * 10**9
    bench.signalling.tick()
    assert shown() == (True, True)
    assert not bench.outputs.trigger_ready
    bench.signalling.handle(ClearFault())
    assert shown() == (True, True), "it ends when the heartbeat moves"
    bench.signalling.handle(PlcWrote(PlcInputs(trigger_enable=True, plc_heartbeat=1), bench.now_ns))
    assert shown() == (False, False)
    assert [kind for kind, *_ in bench.events if kind.startswith("warning")] == ["warning", "warning_over"]


def test_parts_are_dated_by_the_clock_as_it_is_and_a_step_is_an_event(bench: SignallingOnABench) -> None:
    """A computer without a battery: it starts in 1970, and the clock is set when the network is there."""
    dates = []
    for wall_offset_ns in (0, 1_750_000_000 * 10**9, 1_750_000_000 * 10**9 + 3_000_000):  # set, then drifting by 3 ms
        bench.wall_offset_ns = wall_offset_ns
        bench.signalling.handle(bench.part_in_inspection())
        bench.signalling.handle(PlcWrote(PlcInputs(trigger_enable=True, results_ack=True), bench.now_ns))
        bench.signalling.handle(PlcWrote(PlcInputs(trigger_enable=True), bench.now_ns))
        record = bench.records[-1]
        dates.append(record.part.wall_time - record.part.time_ns / 1e9)
        assert record.decision.verdict is Verdict.PASS
    assert dates == pytest.approx([0.0, 1_750_000_000.0, 1_750_000_000.003], abs=1e-4)
    steps = [event for event in bench.events if event[0] == "clock_set"]
    assert steps == [("clock_set", "warning", "the clock of this computer was set by +1750000000.0 s")]
