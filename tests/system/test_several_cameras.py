"""The whole station with several cameras on one part: three processes, one verdict."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from station.codes import ReasonCode
from station.results import Verdict
from tests.bench.bench import Bench, Picture, PlcResult, bad, good
from tests.bench.waiting import children_of, wait_for

THREE: dict[str, dict[str, Any]] = {"top": {}, "side": {}, "end": {}}
ALL_GOOD = {name: good() for name in THREE}
PASS, FAIL, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.ERROR
TOLERANCE = {"tolerance_ms": 200.0}
"""Of times that the cameras stamp, so the machine has no part in it."""
APART_S = 0.45
"""More than twice the tolerance, or the parts could not be told apart."""


def three(**settings: Any) -> dict[str, dict[str, Any]]:
    return {name: {**TOLERANCE, **settings} for name in THREE}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path, cameras=three(), station__deadline_ms=3000) as bench:
        bench.start()
        yield bench


def result_of(bench: Bench, pictures: dict[str, Picture]) -> PlcResult:
    """The result of a part that these cameras see."""
    time.sleep(APART_S)  # the pitch of the parts, at least
    return bench.result(bench.send_views(pictures))


def seen(**defects: Picture) -> dict[str, Picture]:
    return {**ALL_GOOD, **defects}


def test_one_defect_in_one_view_fails_the_part(bench: Bench) -> None:
    assert result_of(bench, ALL_GOOD).passed
    failed = result_of(bench, seen(side=bad()))
    assert (failed.result, failed.reject, failed.reason_code) == (FAIL, True, ReasonCode.SCORE_ABOVE_LIMIT)
    assert result_of(bench, ALL_GOOD).passed
    assert bench.terminate() == 0
    bench.assert_balanced(3)
    good_part, bad_part, _ = bench.rows()
    assert [view.camera for view in bad_part.views] == ["top", "side", "end"]
    assert [view.verdict for view in bad_part.views] == ["PASS", "FAIL", "PASS"]
    assert bad_part.score == max(view.score or 0.0 for view in bad_part.views)
    assert bad_part.defect_area_mm2 == sum(view.defect_area_mm2 or 0.0 for view in bad_part.views) > 0
    assert 'camera "side"' in str(bad_part.reason_list[0])
    assert all(view.image_path is None for view in good_part.views)
    records = bench.directory / "work" / "records"
    stored = [cv2.imread(str(records / (view.image_path or "")), cv2.IMREAD_GRAYSCALE) for view in bad_part.views]
    assert [None if image is None else int(image.max()) for image in stored] == [64, 220, 64]


def test_a_missing_view_is_an_error(bench: Bench) -> None:
    part_id = bench.send_views({"top": good(), "side": good()})
    missing = bench.result(part_id)
    assert (missing.result, missing.reject, missing.reason_code) == (ERROR, True, ReasonCode.VIEW_MISSING)
    assert result_of(bench, ALL_GOOD).passed
    assert bench.terminate() == 0
    bench.assert_balanced(2)
    row = bench.rows()[0]
    assert [str(reason) for reason in row.reason_list] == ['a view of the part did not come: camera "end"']
    assert [view.camera for view in row.views] == ["top", "side"]
    assert not row.late


def test_a_frame_that_is_lost_on_the_way_costs_its_own_part_alone(bench: Bench) -> None:
    bench.scenes["end"].fail_dropped(1)
    lost = bench.send_views(ALL_GOOD)
    assert bench.result(lost).result == ERROR
    bench.scenes["side"].fail_incomplete(1)
    incomplete = result_of(bench, ALL_GOOD)
    assert (incomplete.result, incomplete.reason_code) == (ERROR, ReasonCode.INCOMPLETE_FRAME)
    assert result_of(bench, ALL_GOOD).passed
    bench.assert_balanced(3)
    assert 'camera "side"' in str(bench.rows()[1].reason_list[0])


def test_a_killed_camera_process_stops_the_line_and_comes_back(bench: Bench) -> None:
    assert bench.process is not None
    assert result_of(bench, ALL_GOOD).passed
    children = children_of(bench.process.pid)
    assert len(children) == 3
    os.kill(children[1], signal.SIGKILL)
    wait_for(lambda: not bench.plc.ready, "TriggerReady to fall")
    wait_for(lambda: bench.plc.ready, "the camera to come back")
    assert result_of(bench, ALL_GOOD).passed
    assert set(bench.status()["cameras"]) == {"top", "side", "end"}


def test_status_names_the_camera_that_is_down(bench: Bench) -> None:
    bench.scenes["end"].lose_device()
    wait_for(lambda: bench.status()["cameras"]["end"]["state"] == "down", "the loss")
    status = bench.status()
    assert status["cameras"]["top"]["state"] == "streaming"
    assert status["offline_reason"].endswith(": end")
    assert not status["ready"]
    bench.scenes["end"].restore_device()
    wait_for(lambda: bench.plc.ready, "TriggerReady")


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
