"""A trigger test: fires cameras off line, takes their frames, and never touches a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.plc.protocol import PlcInputs
from station.line.acquisition.messages import FrameArrived, FrameFailed
from station.line.signalling.messages import PlcWrote, SetOnline, TriggerTest
from station.line.signalling.view_matching import ViewSettings
from station.results import Frame
from tests.line.signalling.signalling_bench import NS_PER_MS, PIXELS, SignallingOnABench

LINE_CAMERA = (ViewSettings("top", by_station=False),)


def frame(bench: SignallingOnABench, camera: str = "top") -> FrameArrived:
    return FrameArrived(Frame(camera, 1, PIXELS, bench.now_ns, bench.now_ns), 0)


def trial(bench: SignallingOnABench, *fires: str) -> tuple[TriggerTest, list[FrameArrived | FrameFailed]]:
    took: list[FrameArrived | FrameFailed] = []
    test = TriggerTest(("top",), fires, bench.now_ns + 1000 * NS_PER_MS, took.append)
    bench.signalling.handle(test)
    return test, took


@pytest.fixture
def bench(tmp_path: Path) -> SignallingOnABench:
    return SignallingOnABench(tmp_path)


def test_refused_while_on_line_or_while_a_part_is_on_its_way(bench: SignallingOnABench) -> None:
    test, took = trial(bench, "top")
    assert "is on line" in test.reply.get_nowait()
    bench.part_in_inspection()
    fired = len(bench.fired)
    bench.signalling.handle(SetOnline(False))
    test, took = trial(bench, "top")
    assert "a part is on its way" in test.reply.get_nowait()
    assert (took, len(bench.fired)) == ([], fired)


def test_the_frame_goes_to_who_asked_and_counts_for_nothing(bench: SignallingOnABench) -> None:
    bench.signalling.handle(SetOnline(False))
    before = bench.ledger.counters
    test, took = trial(bench, "top")
    assert (test.reply.get_nowait(), bench.fired) == ("", ["top"])
    bench.now_ns += 5 * NS_PER_MS
    bench.signalling.handle(frame(bench))
    assert [message.camera for message in took] == ["top"]
    assert (bench.records, bench.at_engine, bench.ledger.counters) == ([], [], before)
    assert not [event for event in bench.events if event[0].startswith("frame")]


def test_after_its_time_and_on_line_a_frame_is_what_it_always_was(bench: SignallingOnABench) -> None:
    bench.signalling.handle(SetOnline(False))
    _, took = trial(bench, "top")
    bench.now_ns += 1001 * NS_PER_MS
    bench.signalling.handle(frame(bench))
    _, took_too = trial(bench, "top")
    bench.signalling.handle(SetOnline(True))
    bench.signalling.handle(frame(bench))
    assert (took, took_too) == ([], [])
    assert [event[0] for event in bench.events].count("frame_late") == 2


def test_a_frame_of_the_test_is_not_that_of_the_next_part(bench: SignallingOnABench) -> None:
    bench.signalling.handle(SetOnline(False))
    trial(bench, "top")
    late = frame(bench)
    bench.signalling.handle(SetOnline(True))
    bench.now_ns += 50 * NS_PER_MS
    bench.signalling.handle(PlcWrote(PlcInputs(trigger_enable=True, trigger=True), bench.now_ns))
    assert len(bench.ledger.open_parts) == 1
    bench.signalling.handle(late)
    assert bench.at_engine == [], "its trigger was before that of the part"


def test_a_camera_with_a_trigger_line_is_waited_for_and_its_trigger_stays_a_missed_one(tmp_path: Path) -> None:
    bench = SignallingOnABench(tmp_path, cameras=LINE_CAMERA)
    bench.signalling.handle(SetOnline(False))
    before = bench.ledger.counters.missed
    _, took = trial(bench)
    assert bench.fired == []
    bench.signalling.handle(frame(bench))
    assert [message.camera for message in took] == ["top"]
    assert bench.ledger.counters.missed == before + 1
