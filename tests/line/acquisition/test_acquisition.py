"""The frames and commands of a camera process, with a real GenTL producer."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivers.camera.images import write_png
from drivers.camera.pixel_formats import normalise
from drivers.camera.protocol import GrabbedFrame
from drivers.camera.settings import CameraSettings, Trigger
from drivers.camera.simtl import Scene
from station.codes import ReasonCode
from station.line.acquisition.link import FrameLost, FrameReady
from station.line.acquisition.messages import (
    CameraState,
    FrameArrived,
    FrameFailed,
    OutputFailed,
)
from station.line.acquisition.process import hand_over
from station.line.acquisition.ring import FrameRing
from station.line.acquisition.stage import Acquisition
from tests.bench.cameras import needs_deep_formats, numbered_image
from tests.bench.waiting import wait_for
from tests.line.acquisition.acquisition_bench import CLOCK_MAPPING_NS, Inbox, acquiring, expose, playing, simtl

pytestmark = pytest.mark.system


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
        edge_ns = time.monotonic_ns()
        scene.pulse_line1(edge_ns)
        frame = inbox.next(FrameArrived).frame
    assert frame.received_time_ns - edge_ns >= 300_000_000
    assert abs(frame.trigger_time_ns - edge_ns) <= CLOCK_MAPPING_NS


def test_a_stalled_daemon_hears_of_every_frame_once(inbox: Inbox, folder: Path) -> None:
    with playing(inbox, folder, ring_slots=2) as acquisition:
        inbox.flowing.clear()  # the daemon stalls while it holds the first frame
        for _ in range(6):
            acquisition.fire()
        time.sleep(0.5)  # the stall; the fewer triggers the camera process sees in it, the more frames arrive
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


@needs_deep_formats
@pytest.mark.parametrize("pixel_format", ["Mono16", "Mono10p", "Mono12Packed", "BayerGB12p"])
def test_more_than_8_bit_come_out_of_the_camera_process_as_8(inbox: Inbox, scene: Scene, pixel_format: str) -> None:
    image = numbered_image(4)
    scene.show(image)
    with simtl(inbox, scene, "line", pixel_format=pixel_format):
        scene.pulse_line1()
        pixels = inbox.next(FrameArrived).frame.pixels
    expected = image if pixel_format.startswith("Mono") else normalise("BayerGB8", image.ravel(), *image.shape)
    assert (pixels == expected).all()


def test_why_a_frame_has_no_pixels_is_told(folder: Path) -> None:
    fd = FrameRing.allocate(1, numbered_image(0).shape)
    ring = FrameRing(fd, 1, numbered_image(0).shape)
    os.close(fd)
    grabbed = GrabbedFrame(7, np.empty((0, 0), np.uint8), True, 10, 20, None, problem="100 bytes are filled")
    assert hand_over(grabbed, ring) == FrameLost(ReasonCode.WRONG_SIZE, "100 bytes are filled", 7, 10, 20)
    ring.close()


# ---- commands ---------------------------------------------------------------------------------------------------


def test_output_lines_can_be_set(inbox: Inbox, scene: Scene) -> None:
    with simtl(inbox, scene) as acquisition:
        acquisition.set_output("Line2", True)
        wait_for(lambda: scene.output("Line2").level, "output line")
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
