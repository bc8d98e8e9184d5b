"""The whole station with several cameras on one part, by other rules. (Normal times, faults: test_three_cameras.py.)"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from station.results import Verdict
from tests.bench.bench import Bench, Picture, bad, good
from tests.bench.bench_plc import PlcResult
from tests.bench.waiting import wait_for

THREE: dict[str, dict[str, Any]] = {"top": {}, "side": {}, "end": {}}
ALL_GOOD = {name: good() for name in THREE}
PASS, FAIL, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.ERROR
TOLERANCE = {"tolerance_ms": 200.0}
"""Of times that the cameras stamp, so the machine has no part in it."""
APART_S = 0.45
"""More than twice the tolerance, or the parts could not be told apart."""


def three(**settings: Any) -> dict[str, dict[str, Any]]:
    return {name: {**TOLERANCE, **settings} for name in THREE}


def result_of(bench: Bench, pictures: dict[str, Picture]) -> PlcResult:
    """The result of a part that these cameras see."""
    time.sleep(APART_S)  # the pitch of the parts, at least
    return bench.result(bench.send_views(pictures))


def seen(**defects: Picture) -> dict[str, Picture]:
    return {**ALL_GOOD, **defects}


def test_two_of_three_must_agree(tmp_path: Path) -> None:
    with Bench(tmp_path, cameras=three(), station__deadline_ms=3000, views__rule="k_of_n", views__k=2) as bench:
        bench.start()
        assert result_of(bench, seen(side=bad())).passed
        assert result_of(bench, seen(side=bad(), end=bad())).result == FAIL
        dark = result_of(bench, seen(side=good() // 64))
        assert dark.result == FAIL, "a picture that cannot be trusted is not outvoted"
        assert result_of(bench, {"top": good(), "side": good()}).result == ERROR


def test_rules_and_frame_sizes_of_their_own(tmp_path: Path) -> None:
    cameras = {"top": TOLERANCE, "side": {**TOLERANCE, "scale": 2}}
    bright = cv2.resize(bad(), (320, 256))
    tolerant: dict[str, Any] = {"decision.views.side__reject_score": 1.0, "decision.views.side__review_score": 1.0}
    with Bench(tmp_path, cameras=cameras, station__deadline_ms=3000, **tolerant) as bench:
        bench.start()
        assert result_of(bench, {"top": good(), "side": np.asarray(bright, np.uint8)}).passed
        assert result_of(bench, {"top": bad(), "side": np.full((256, 320), 64, np.uint8)}).result == FAIL


def test_the_plc_triggers_all_cameras_at_once(tmp_path: Path) -> None:
    with Bench(tmp_path, cameras=three(trigger="plc"), station__deadline_ms=3000) as bench:
        bench.start()
        for picture, verdict in ((good(), PASS), (bad(), FAIL)):
            part_id = bench.next_part_id()
            bench.plc.latch(part_id)
            bench.scenes["end"].show(picture, part_id)
            for name in ("top", "side"):
                bench.scenes[name].show(good(), part_id)
            bench.plc.set(trigger=True)
            wait_for(lambda: bench.plc.status is not None and bench.plc.status.trigger_ack, "TriggerAck")
            bench.plc.set(trigger=False)
            assert bench.result(part_id).result == verdict
            wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.terminate() == 0
        bench.assert_balanced(2)
        assert [len(row.views) for row in bench.rows()] == [3, 3]


def test_a_camera_down_the_belt(tmp_path: Path) -> None:
    """Several parts between the cameras at a time. Only the second camera sees the defect; it loses a frame, too."""
    cameras = {"top": {}, "side": {"after_ms": 1500.0, "tolerance_ms": 280.0, "no_frame_ms": 3000}}
    with Bench(tmp_path, cameras=cameras, station__deadline_ms=8000) as bench:
        bench.start()
        parts = staggered(bench, [good(), bad(), good(), good()], lost=2, after_s=1.5, pitch_s=0.6)
        assert [bench.result(part_id).result for part_id in parts] == [PASS, FAIL, ERROR, PASS]
        bench.assert_balanced(4)


def staggered(bench: Bench, pictures: list[Picture], *, lost: int, after_s: float, pitch_s: float) -> list[int]:
    """Parts pass the first camera, and `after_s` later the second, which sees these pictures; one trigger is lost."""
    ids: list[int] = []
    edges_ns: list[int] = []

    def pass_second(index: int) -> None:
        bench.scenes["side"].show(pictures[index], ids[index])
        if index != lost:
            bench.scenes["side"].pulse_line1(edges_ns[index] + round(after_s * 1e9))

    timers = []
    for index in range(len(pictures)):
        ids.append(bench.next_part_id())
        bench.plc.latch(ids[-1])
        bench.scene.show(good(), ids[-1])
        edges_ns.append(time.monotonic_ns())
        bench.scene.pulse_line1(edges_ns[-1])
        timers.append(threading.Timer(after_s, pass_second, [index]))
        timers[-1].start()
        time.sleep(pitch_s)  # the pitch of the parts, at least
    for timer in timers:
        timer.join()
    return ids
