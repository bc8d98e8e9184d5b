"""The camera process and its supervision, with real processes and a real GenTL producer."""

from __future__ import annotations

import math
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera.images import write_png
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import GrabbedFrame
from drivers.camera.settings import CameraSettings, Trigger
from drivers.camera.simtl import Scene
from station.codes import ReasonCode
from station.line.acquisition.link import FrameLost, FrameReady
from station.line.acquisition.messages import (
    AcquisitionMessage,
    CameraChanged,
    CameraSaid,
    CameraState,
    FrameArrived,
    FrameFailed,
    OutputFailed,
)
from station.line.acquisition.process import hand_over
from station.line.acquisition.ring import FrameRing
from station.line.acquisition.stage import Acquisition, BackOff
from tests.bench.cameras import numbered_image

pytestmark = pytest.mark.system

PATIENCE_S = 20.0
CLOCK_MAPPING_NS = 100_000
"""The device's clock is mapped to the host's by readings that themselves take microseconds."""
M = TypeVar("M")


class Inbox:
    """Keeps what acquisition posts, in order. `hold` makes the next frame's post wait, as a busy daemon would."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[AcquisitionMessage] = queue.SimpleQueue()
        self.said: list[str] = []
        """Lines of the camera's library, which come when they come."""
        self.flowing = threading.Event()
        self.flowing.set()

    def post(self, message: AcquisitionMessage) -> None:
        if isinstance(message, FrameArrived):
            assert self.flowing.wait(PATIENCE_S)
        if isinstance(message, CameraSaid):
            self.said.append(message.line)
            return
        self._messages.put(message)

    def frame(self) -> FrameArrived | FrameFailed:
        """The next message, which must be about a frame."""
        message = self._messages.get(timeout=PATIENCE_S)
        assert isinstance(message, FrameArrived | FrameFailed), message
        return message

    def next(self, kind: type[M]) -> M:
        """The next message, which must be of this kind."""
        message = self._messages.get(timeout=PATIENCE_S)
        assert isinstance(message, kind), message
        return message

    def state(self, state: CameraState) -> CameraChanged:
        """The next message, which must be this change."""
        change = self.next(CameraChanged)
        assert change.state is state, change
        return change

    def rest(self) -> list[AcquisitionMessage]:
        messages = []
        while not self._messages.empty():
            messages.append(self._messages.get())
        return messages


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@contextmanager
def acquiring(inbox: Inbox, settings: CameraSettings, **options: object) -> Iterator[Acquisition]:
    """An acquisition that streams, unless its camera cannot; stopped at the end, without leaving a process."""
    options = {"reconnect_min_s": 0.05, "reconnect_max_s": 0.4, **options}
    acquisition = Acquisition("top", settings, inbox.post, **options)  # type: ignore[arg-type]
    acquisition.start()
    try:
        inbox.state(CameraState.CONNECTING)
        yield acquisition
    finally:
        inbox.flowing.set()
        acquisition.stop(timeout_s=5.0)
    assert acquisition.pid is None
    assert not [thread for thread in threading.enumerate() if thread.name == "acquisition-top"]


@contextmanager
def simtl(inbox: Inbox, scene: Scene, trigger: Trigger = "line", **options: object) -> Iterator[Acquisition]:
    settings = CameraSettings(
        producer=producer_from_name("simtl"),
        trigger=trigger,
        exposure_time_us=1000.0,
    )
    with acquiring(inbox, settings, environment=scene.environment(), **options) as acquisition:
        inbox.state(CameraState.STREAMING)
        yield acquisition


@contextmanager
def playing(inbox: Inbox, folder: Path, **options: object) -> Iterator[Acquisition]:
    """A camera process without GenICam: starts faster."""
    with acquiring(inbox, CameraSettings(driver="folder", folder=folder, trigger="software"), **options) as acquisition:
        inbox.state(CameraState.STREAMING)
        yield acquisition


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.01)


def expose(scene: Scene) -> None:
    """One exposure: pulses the line until the camera, maybe still busy with the last one, takes the trigger."""
    before = scene.exposure()

    def answered() -> bool:
        now = scene.exposure()
        return now.exposures + now.missed_triggers > before.exposures + before.missed_triggers

    scene.pulse_line1()
    wait_until(answered, "exposure")
    if scene.exposure().exposures == before.exposures:
        expose(scene)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---- frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["line", "software"])
def test_frames_are_those_in_front_of_the_lens(inbox: Inbox, scene: Scene, trigger: Trigger) -> None:
    with simtl(inbox, scene, trigger, ring_slots=3) as acquisition:
        arrived = []
        for number in range(7):  # more than the ring has slots
            scene.show(numbered_image(number))
            before_ns = time.monotonic_ns()
            acquisition.fire() if trigger == "software" else scene.pulse_line1()
            arrived.append(inbox.next(FrameArrived))
            frame = arrived[-1].frame
            assert before_ns - CLOCK_MAPPING_NS <= frame.trigger_time_ns
            assert frame.trigger_time_ns <= frame.received_time_ns <= time.monotonic_ns()
    for number, message in enumerate(arrived):  # each its own copy
        assert (message.frame.pixels == numbered_image(number)).all()
        assert (message.frame.camera, message.lost_before) == ("top", 0)
    ids = [message.frame.frame_id for message in arrived]
    assert ids == list(range(ids[0], ids[0] + 7))


def test_cameras_on_one_barrier_have_one_trigger_time(inbox: Inbox, scene: Scene) -> None:
    """However late the process that stands for the barrier comes to the second camera."""
    with simtl(inbox, scene):
        edge_ns = time.monotonic_ns() - 30_000_000  # as if held up between two cameras
        scene.pulse_line1(edge_ns)
        assert abs(inbox.next(FrameArrived).frame.trigger_time_ns - edge_ns) <= CLOCK_MAPPING_NS


def test_streaming_says_what_the_camera_delivers(inbox: Inbox, folder: Path) -> None:
    with acquiring(inbox, CameraSettings(driver="folder", folder=folder, trigger="software")):
        change = inbox.state(CameraState.STREAMING)
    assert change.info is not None
    assert change.info.shape == numbered_image(0).shape
    assert inbox.state(CameraState.STOPPED).info is None


def test_an_incomplete_frame_is_reported_with_its_time(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene):
        scene.fail_incomplete(1)
        before_ns = time.monotonic_ns()
        scene.pulse_line1()
        failed = inbox.next(FrameFailed)
        assert failed.code is ReasonCode.INCOMPLETE_FRAME
        assert before_ns - CLOCK_MAPPING_NS <= failed.trigger_time_ns <= failed.received_time_ns
        scene.pulse_line1()
        arrived = inbox.next(FrameArrived)
        assert (arrived.frame.frame_id, arrived.lost_before) == (failed.frame_id + 1, 0)


def test_dropped_frames_are_counted(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene):
        scene.pulse_line1()
        inbox.next(FrameArrived)
        scene.fail_dropped(3)
        for _ in range(3):
            expose(scene)
        expose(scene)
        assert inbox.next(FrameArrived).lost_before == 3


def test_a_late_frame_keeps_the_time_of_its_trigger(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene):
        scene.fail_late(1, delay_ms=300)
        before_ns = time.monotonic_ns()
        scene.pulse_line1()
        frame = inbox.next(FrameArrived).frame
    assert frame.received_time_ns - before_ns >= 300_000_000
    assert frame.trigger_time_ns - before_ns < 300_000_000


def test_a_stalled_daemon_hears_of_every_frame_once(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder, ring_slots=2) as acquisition:
        inbox.flowing.clear()  # the daemon stalls while it holds the first frame
        for _ in range(6):
            acquisition.fire()
        time.sleep(0.5)
        inbox.flowing.set()
        heard = [inbox.frame() for _ in range(6)]
        ids = [message.frame_id if isinstance(message, FrameFailed) else message.frame.frame_id for message in heard]
        assert ids == [1, 2, 3, 4, 5, 6]
        assert all(message.lost_before == 0 for message in heard)
        assert {message.code for message in heard if isinstance(message, FrameFailed)} <= {ReasonCode.FRAME_RING_FULL}
        for message in heard:
            if isinstance(message, FrameArrived):
                assert (message.frame.pixels == numbered_image((message.frame.frame_id - 1) % 5)).all()
        acquisition.fire()
        assert (inbox.next(FrameArrived).frame.pixels == numbered_image(6 % 5)).all()


def test_a_full_ring_is_told(folder: Path) -> None:
    fd = FrameRing.allocate(1, numbered_image(0).shape)
    ring = FrameRing(fd, 1, numbered_image(0).shape)
    os.close(fd)
    grabbed = GrabbedFrame(7, numbered_image(0), True, 10, 20, None)
    stored = hand_over(grabbed, ring)
    assert stored == FrameReady(slot=0, frame_id=7, trigger_time_ns=10, received_time_ns=20)
    full = hand_over(replace(grabbed, frame_id=8), ring)
    assert full == FrameLost(ReasonCode.FRAME_RING_FULL, "", frame_id=8, trigger_time_ns=10, received_time_ns=20)
    ring.release(0)
    assert isinstance(hand_over(replace(grabbed, frame_id=9), ring), FrameReady)
    ring.close()


def test_a_frame_of_another_size_is_reported(inbox: Inbox, folder: Path) -> None:
    write_png(folder / "1.png", numbered_image(1)[:, :20])
    with playing(inbox, folder) as acquisition:
        for _ in range(3):
            acquisition.fire()
        assert inbox.next(FrameArrived).frame.frame_id == 1
        failed = inbox.next(FrameFailed)
        assert (failed.frame_id, failed.code) == (2, ReasonCode.WRONG_SIZE)
        assert "(48, 20)" in failed.detail
        assert inbox.next(FrameArrived).frame.frame_id == 3


# ---- commands ---------------------------------------------------------------------------------------------------


def test_output_lines_can_be_set(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene) as acquisition:
        acquisition.set_output("Line2", True)
        wait_until(lambda: scene.output("Line2").level, "output line")
        acquisition.set_output("Line9", True)
        failed = inbox.next(OutputFailed)
        assert (failed.line, failed.value) == ("Line9", True)
        assert "Line2" in failed.detail


def test_a_software_trigger_on_a_line_triggered_camera_is_reported(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene, "line") as acquisition:
        acquisition.fire()
        failed = inbox.next(FrameFailed)
        assert failed.code is ReasonCode.NO_FRAME
        assert "software trigger" in failed.detail
        scene.pulse_line1()
        inbox.next(FrameArrived)


def test_commands_to_a_camera_that_is_not_there_are_reported(inbox: Inbox, folder: Path) -> None:
    acquisition = Acquisition("top", CameraSettings(driver="folder", folder=folder, trigger="software"), inbox.post)
    acquisition.fire()
    assert inbox.next(FrameFailed).code is ReasonCode.CAMERA_DOWN
    acquisition.set_output("Line2", True)
    assert "not streaming" in inbox.next(OutputFailed).detail


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
        wait_until(lambda: not is_running(pid), "end of the hung process")
        inbox.state(CameraState.STREAMING)
        acquisition.fire()
        inbox.next(FrameArrived)


def test_an_idle_camera_process_is_not_taken_for_hung(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder, hang_timeout_s=1.5):
        time.sleep(2.0)
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

        wait_until(tried_again, "another try")
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
        assert not is_running(pid)
        inbox.state(CameraState.STOPPED)
        acquisition.fire()
        assert inbox.next(FrameFailed).code is ReasonCode.CAMERA_DOWN


def test_stopping_ends_a_hung_process(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder, hang_timeout_s=60.0) as acquisition:
        pid = acquisition.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        acquisition.stop(timeout_s=0.5)
        assert not is_running(pid)


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
        assert is_running(camera)
        process.kill()
    wait_until(lambda: not is_running(camera), "end of the orphan")
