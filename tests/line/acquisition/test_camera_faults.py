"""Camera processes that crash, hang, lose their camera or are ended, with real processes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera.producer import producer_from_name
from drivers.camera.settings import CameraSettings
from drivers.camera.simtl import Scene
from station.codes import ReasonCode
from station.line.acquisition.messages import (
    CameraState,
    FrameArrived,
    FrameFailed,
)
from station.line.acquisition.stage import BackOff
from tests.bench.waiting import is_alive, wait_for
from tests.line.acquisition.acquisition_bench import Inbox, acquiring, playing, simtl

pytestmark = pytest.mark.system


# ---- when it goes wrong -----------------------------------------------------------------------------------------


def test_a_killed_camera_process_comes_back(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene) as acquisition:
        for _ in range(2):
            scene.pulse_line1()
            inbox.next(FrameArrived)
            pid = acquisition.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            assert "died of SIGKILL" in inbox.state(CameraState.DOWN).detail
            inbox.state(CameraState.STREAMING)
            assert acquisition.pid != pid
        scene.pulse_line1()
        assert inbox.next(FrameArrived).lost_before == 0  # the camera counts anew: no gap


def test_a_driver_that_crashes_costs_only_the_connection(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene):
        scene.crash_driver()
        # Mostly SIGABRT; SIGSEGV when another thread runs while the process writes down where it was.
        assert "died of SIG" in inbox.state(CameraState.DOWN).detail
        inbox.state(CameraState.STREAMING)
        scene.pulse_line1()
        inbox.next(FrameArrived)


def test_an_unplugged_camera_is_down_until_it_is_plugged_in(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene, "software") as acquisition:
        scene.lose_device()
        assert "CameraLost" in inbox.state(CameraState.DOWN).detail
        assert "CameraNotFound" in inbox.state(CameraState.DOWN).detail
        acquisition.fire()
        assert inbox.next(FrameFailed).code is ReasonCode.CAMERA_DOWN
        scene.restore_device()
        inbox.state(CameraState.STREAMING)
        acquisition.fire()
        inbox.next(FrameArrived)


def test_a_hung_camera_process_is_replaced(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder, hang_timeout_s=1.5) as acquisition:
        pid = acquisition.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        assert "did not answer for 1.5 s" in inbox.state(CameraState.DOWN).detail
        wait_for(lambda: not is_alive(pid), "end of the hung process")
        inbox.state(CameraState.STREAMING)
        acquisition.fire()
        inbox.next(FrameArrived)


def test_an_idle_camera_process_is_not_taken_for_hung(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder, hang_timeout_s=1.5):
        time.sleep(2.0)  # longer than it may be silent
        assert inbox.rest() == []


def test_a_wrong_setting_is_failed_and_tried_again(inbox: Inbox, scene: Scene) -> None:
    settings = CameraSettings(producer=producer_from_name("simtl"), features={"Gian": 1.0})
    with acquiring(inbox, settings, environment=scene.environment()) as acquisition:
        assert 'CameraSettingError: camera "SIM0000": no feature "Gian"' in inbox.state(CameraState.FAILED).detail
        first: int | None = None
        pids = set()

        def tried_again() -> bool:
            pids.add(acquisition.pid)
            return len(pids - {None, first}) >= 2

        wait_for(tried_again, "another try")
        assert inbox.rest() == []  # the same failure is reported once


def test_a_camera_that_is_plugged_in_later_is_found(inbox: Inbox, scene: Scene) -> None:
    scene.lose_device()
    settings = CameraSettings(producer=producer_from_name("simtl"), trigger="line", exposure_time_us=1000.0)
    with acquiring(inbox, settings, environment=scene.environment()):
        assert "CameraNotFound" in inbox.state(CameraState.FAILED).detail
        scene.restore_device()
        inbox.state(CameraState.STREAMING)


def test_a_damaged_image_fails_by_name(inbox: Inbox, folder: Path) -> None:
    (folder / "0.png").write_bytes(b"damaged")
    with acquiring(inbox, CameraSettings(driver="folder", folder=folder, trigger="software")):
        assert "0.png" in inbox.state(CameraState.FAILED).detail


@given(
    min_s=st.floats(0.01, 1.0), factor=st.floats(1.0, 50.0), lives_s=st.lists(st.sampled_from([-math.inf, 0.0, 1e9]))
)
def test_pauses_double_up_to_the_longest_and_begin_again(min_s: float, factor: float, lives_s: list[float]) -> None:
    max_s, expected_s = min_s * factor, min_s
    back_off = BackOff(min_s, max_s)
    for life_s in lives_s:
        if life_s >= max_s:
            expected_s = min_s
        assert back_off.next(life_s) == expected_s
        expected_s = min(2 * expected_s, max_s)


def test_the_daemon_loads_no_genicam() -> None:
    loaded = (
        "import sys, station.line.acquisition.stage, drivers.camera.producer\n"
        "print({'genicam', 'harvesters'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout.strip() == "set()"


# ---- ending -----------------------------------------------------------------------------------------------------


def test_stopping_ends_the_process_and_says_so(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder) as acquisition:
        pid = acquisition.pid
        assert pid is not None
        acquisition.stop(timeout_s=5.0)
        acquisition.stop(timeout_s=5.0)
        assert not is_alive(pid)
        inbox.state(CameraState.STOPPED)
        acquisition.fire()
        assert inbox.next(FrameFailed).code is ReasonCode.CAMERA_DOWN


def test_stopping_ends_a_hung_process(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder, hang_timeout_s=60.0) as acquisition:
        pid = acquisition.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        acquisition.stop(timeout_s=0.5)
        assert not is_alive(pid)


def test_signals_of_the_terminal_do_not_end_the_camera_process(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder) as acquisition:
        pid = acquisition.pid
        assert pid is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        acquisition.fire()
        inbox.next(FrameArrived)


def test_no_shared_memory_and_no_descriptor_is_left(inbox: Inbox, folder: Path) -> None:
    def mapped_rings() -> int:
        return Path("/proc/self/maps").read_text().count("memfd:frame-ring")

    def open_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_descriptors()
    with playing(inbox, folder) as acquisition:
        for _ in range(3):
            assert mapped_rings() == 1
            pid = acquisition.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            inbox.state(CameraState.DOWN)
            inbox.state(CameraState.STREAMING)
    assert mapped_rings() == 0
    assert open_descriptors() == before
    assert not list(Path("/dev/shm").glob("*frame-ring*"))


def test_the_camera_process_ends_with_a_killed_daemon(folder: Path) -> None:
    daemon = f"""
        import time
        from pathlib import Path
        from drivers.camera.settings import CameraSettings
        from station.line.acquisition.messages import CameraChanged, CameraState
        from station.line.acquisition.stage import Acquisition

        def post(message):
            if isinstance(message, CameraChanged) and message.state is CameraState.STREAMING:
                print(acquisition.pid, flush=True)

        settings = CameraSettings(driver="folder", folder=Path({str(folder)!r}), trigger="software")
        acquisition = Acquisition("top", settings, post)
        acquisition.start()
        """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(daemon)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        camera = int(process.stdout.readline())
        assert is_alive(camera)
        process.kill()
    wait_for(lambda: not is_alive(camera), "end of the orphan")
