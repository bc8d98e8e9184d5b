"""An engine that raises, gives no number, is late or never comes back, on the whole station."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.codes import ReasonCode
from station.results import Verdict
from tests.bench.bench import Bench, assert_works, bad, good
from tests.bench.faulty_engine import HANGS, NAN, RAISES, faulty, write_faulty_engine
from tests.bench.gated_station import GATE, slow
from tests.bench.waiting import DEADLINE_S, wait_for

ERROR = int(Verdict.ERROR)


@pytest.fixture(scope="module")
def one_faulty_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(
        tmp_path_factory.mktemp("faulty"),
        with_engine=False,
        station__engine_hang_s=8.0,
        station__errors_in_a_row_to_fault=4,
    ) as bench:
        write_faulty_engine(bench.engine_path, width=160, height=128)
        yield bench


@pytest.fixture
def faulty_bench(one_faulty_station: Bench) -> Bench:
    one_faulty_station.reset()
    return one_faulty_station


def test_engine_raises(faulty_bench: Bench) -> None:
    bench = faulty_bench
    assert_works(bench)
    result = bench.part(faulty(good(), RAISES))
    assert (result.result, result.reason_code, result.reject) == (ERROR, ReasonCode.ENGINE_RAISED, True)
    assert_works(bench)
    assert bench.assert_balanced(5).error == 1


def test_engine_answers_nan(faulty_bench: Bench) -> None:
    bench = faulty_bench
    result = bench.part(faulty(good(), NAN))
    assert (result.result, result.reason_code, result.reject) == (ERROR, ReasonCode.SCORE_NOT_FINITE, True)
    assert_works(bench)
    bench.assert_balanced(3)


def test_engine_that_never_answers_ends_the_daemon(faulty_bench: Bench) -> None:
    bench = faulty_bench
    hung = bench.send(faulty(good(), HANGS))
    assert bench.result(hung).reason_code == ReasonCode.DEADLINE
    assert bench.process is not None
    assert bench.process.wait(DEADLINE_S) == 4
    bench.assert_balanced(1)
    bench.start()  # as systemd does
    assert_works(bench)
    bench.assert_balanced(3)


def test_engine_past_the_deadline(tmp_path: Path) -> None:
    """The late score would have been PASS: it must pass neither its own part nor another."""
    gate = tmp_path / "gate"
    config = str(tmp_path / "station.toml")
    command = (sys.executable, "-m", "tests.bench.gated_station", "run", "--config", config)
    with Bench(tmp_path, command=command, station__engine_hang_s=120.0) as bench:
        bench.start(environment={GATE: str(gate)})
        assert_works(bench)
        late_id = bench.send(slow(good()))
        behind = bench.send(bad())
        result = bench.result(late_id)
        assert (result.result, result.reason_code, result.reject) == (ERROR, ReasonCode.DEADLINE, True)
        gate.touch()
        assert not bench.result(behind).passed
        wait_for(lambda: any(row.late for row in bench.rows()), "the late verdict on record")
        late = next(row for row in bench.rows() if row.part_id == late_id)
        assert (late.verdict, late.late_verdict) == ("ERROR", "PASS")
        assert len(bench.plc.results[late_id]) == 1
        assert_works(bench)
        bench.assert_balanced(6)
