"""The software camera fails on request, each time as a real one would."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from genicam.gentl import IoException, ResourceInUseException

from drivers.camera.simtl import Scene, SceneError
from tests.bench.harvesting import NOTHING_S, camera, connected, fetched, harvester
from tests.bench.waiting import wait_for

WIDTH, HEIGHT = 64, 48

OTHER_PROCESS = """
import sys
from tests.bench.harvesting import camera
with camera() as cam:
    cam.start("Line1")
    print("open", flush=True)
    while True:
        frame = cam.fetch(0.05)
        if frame:
            print("frame", frame.frame_id, flush=True)
"""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with Scene(tmp_path / "cam", WIDTH, HEIGHT, 1) as scene:
        for name, value in scene.environment().items():
            monkeypatch.setenv(name, value)
        scene.show(np.full((HEIGHT, WIDTH), 200, np.uint8))
        yield scene


@pytest.fixture
def other_process(scene: Scene) -> Iterator[subprocess.Popen[str]]:
    """A process that has the camera open and prints every frame that the line triggers."""
    process = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def _has_exposed(scene: Scene, exposures: int) -> bool:
    return scene.exposure().exposures == exposures


def test_incomplete_frames_are_reported_as_such(scene: Scene) -> None:
    with camera() as cam:
        cam.start("Software")
        scene.fail_incomplete(2)
        for number in (1, 2):
            cam.trigger()
            assert cam.fetch() is None
            assert cam.incomplete == number
        cam.trigger()
        assert fetched(cam).pixels.min() == 200
        assert cam.incomplete == 2


def test_dropped_frames_leave_a_gap_in_the_frame_ids(scene: Scene) -> None:
    with camera() as cam:
        cam.start("Line1")
        assert scene.pulse_line1()
        assert fetched(cam).frame_id == 1
        scene.fail_dropped(2)
        for exposures in (2, 3):
            assert scene.pulse_line1()
            wait_for(partial(_has_exposed, scene, exposures), "the exposure")
            assert cam.fetch(NOTHING_S) is None
        assert scene.pulse_line1()
        assert fetched(cam).frame_id == 4


def test_late_frames_come_late_and_in_order(scene: Scene) -> None:
    with camera() as cam:
        cam.start("Line1")
        scene.fail_late(1, delay_ms=300)
        assert scene.pulse_line1()
        wait_for(lambda: scene.exposure().exposures == 1, "the exposure")
        triggered_ns = scene.exposure().trigger_ns
        assert scene.pulse_line1()
        first, second = fetched(cam), fetched(cam)
        assert (first.frame_id, second.frame_id) == (1, 2)
        assert first.received_ns - triggered_ns >= 300_000_000
        assert first.timestamp_ns < second.timestamp_ns


def test_a_lost_device_does_not_answer_and_is_not_found(scene: Scene) -> None:
    with harvester() as found:
        with connected(found) as cam:
            cam.start("Line1")
            scene.lose_device()
            scene.pulse_line1()
            assert cam.fetch(NOTHING_S) is None
            with pytest.raises(IoException):
                cam.acquirer.remote_device.port.read(0, 4)
            scene.restore_device()
            with pytest.raises(IoException):  # it started anew: whoever had it open must open it again
                cam.acquirer.remote_device.port.read(0, 4)
            scene.lose_device()
        found.update()
        assert found.device_info_list == []
        scene.restore_device()
        found.update()
        with connected(found) as cam:
            cam.start("Line1")
            assert scene.pulse_line1()
            assert fetched(cam).frame_id == 1


def test_opening_a_device_that_was_just_lost_says_so(scene: Scene) -> None:
    with harvester() as found:
        scene.lose_device()
        with pytest.raises(IoException, match="unplugged"):
            found.create(0)


def test_opening_without_a_scene_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMTL_SCENE", str(tmp_path / "none"))
    with harvester() as found:
        with pytest.raises(IoException, match=r'none\.0\.scene": No such file or directory'):
            found.create(0)
        with Scene(tmp_path / "none", WIDTH, HEIGHT, 1), connected(found) as cam:  # it may come later
            assert cam.nodes.Width.value == WIDTH


@pytest.mark.system
def test_a_crash_of_the_driver_ends_its_process(scene: Scene, other_process: subprocess.Popen[str]) -> None:
    scene.crash_driver()
    assert other_process.wait(timeout=20) == -signal.SIGABRT
    assert scene.pulse_line1() is False
    with pytest.raises(SceneError, match="no camera process listens"):
        scene.fail_dropped(1)
    with camera() as cam:
        cam.start("Line1")
        assert scene.pulse_line1()
        assert fetched(cam).frame_id == 1


@pytest.mark.system
def test_a_killed_process_frees_the_camera(scene: Scene, other_process: subprocess.Popen[str]) -> None:
    assert other_process.stdout is not None
    with harvester() as found, pytest.raises(ResourceInUseException):
        found.create(0)
    assert scene.pulse_line1()
    assert other_process.stdout.readline() == "frame 1\n"
    other_process.kill()
    other_process.wait(timeout=20)
    assert scene.pulse_line1() is False
    with camera() as cam:
        cam.start("Line1")
        assert scene.pulse_line1()
        assert fetched(cam).frame_id == 1


def test_a_simulator_that_starts_again_replugs_the_camera(scene: Scene, tmp_path: Path) -> None:
    with harvester() as found, connected(found) as cam, Scene(tmp_path / "cam", 2 * WIDTH, HEIGHT, 1) as new_scene:
        with pytest.raises(IoException, match="unplugged"):
            cam.acquirer.remote_device.port.read(0, 4)
        scene.close()  # the old one goes last, and leaves the new one alone
        with pytest.raises(SceneError, match="closed"):
            scene.pulse_line1()
        cam.close()
        found.update()
        with connected(found) as again:
            again.start("Line1")
            assert new_scene.pulse_line1()
            assert fetched(again).pixels.shape == (HEIGHT, 2 * WIDTH)


def test_closing_the_scene_pulls_the_plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scene(tmp_path / "cam", WIDTH, HEIGHT, 1) as scene:
        monkeypatch.setenv("SIMTL_SCENE", scene.environment()["SIMTL_SCENE"])
        with camera() as cam:
            scene.close()
            with pytest.raises(IoException, match="unplugged"):
                cam.acquirer.remote_device.port.read(0, 4)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_that_no_camera_takes_is_an_error(scene: Scene) -> None:
    assert scene.pulse_line1() is False
    for request in (partial(scene.fail_incomplete, 1), partial(scene.fail_late, 1, 5), scene.crash_driver):
        with pytest.raises(SceneError, match="no camera process listens"):
            request()
