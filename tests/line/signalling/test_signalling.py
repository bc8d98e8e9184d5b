"""The signalling stage step by step: without its thread, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.results import Verdict
from tests.line.signalling.signalling_bench import DEADLINE_MS, NS_PER_MS, SignallingOnABench


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


def test_a_part_takes_one_slot_of_the_journal_however_it_ends(bench: SignallingOnABench) -> None:
    free = bench.journal.free_slots
    bench.part_in_inspection()
    bench.now_ns += DEADLINE_MS * NS_PER_MS
    bench.signalling.tick()
    (record,) = bench.records
    assert record.decision.code is ReasonCode.DEADLINE
    bench.journal.commit([(record.session, record.part.acquisition_id)])
    assert bench.journal.free_slots == free
