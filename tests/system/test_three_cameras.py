"""Three cameras on one part, as they are in normal times and in faults. (Other rules: test_several_cameras.py.)"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import cv2
import pytest

from station.codes import ReasonCode
from tests.bench.bench import Bench, bad, good
from tests.bench.waiting import children_of, wait_for
from tests.system.test_several_cameras import ALL_GOOD, APART_S, ERROR, FAIL, result_of, seen, three


@pytest.fixture(scope="module")
def one_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("station"), cameras=three(), station__deadline_ms=3000) as bench:
        yield bench


@pytest.fixture
def bench(one_station: Bench) -> Bench:
    """The station of this file: every test leaves it on line."""
    one_station.reset()
    time.sleep(APART_S)  # of the last part of the test before
    return one_station


def test_one_defect_in_one_view_fails_the_part(bench: Bench) -> None:
    assert result_of(bench, ALL_GOOD).passed
    failed = result_of(bench, seen(side=bad()))
    assert (failed.result, failed.reject, failed.reason_code) == (FAIL, True, ReasonCode.SCORE_ABOVE_LIMIT)
    assert result_of(bench, ALL_GOOD).passed
    bench.assert_balanced(3)
    wait_for(lambda: all(view.image_path for view in bench.rows()[1].views), "the images of the bad part")
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
