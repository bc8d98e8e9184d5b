"""A 3-D camera through its process: picture and heights in one slot, and frames without heights that are faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import CameraInfo, GrabbedFrame, HeightMap
from drivers.camera.settings import CameraSettings, DepthSettings
from drivers.camera.simtl import Scene
from engines.inputs.depth import depth_picture
from station.codes import ReasonCode
from station.line.acquisition.depth import DepthFrames, depth_spec
from station.line.acquisition.link import FrameLost, FrameReady
from station.line.acquisition.messages import CameraState, FrameArrived, FrameFailed
from station.line.acquisition.process import hand_over
from station.line.acquisition.ring import FrameRing, picture_and_values, slot_shape
from tests.bench.cameras import HEIGHT, WIDTH, needs_heights
from tests.bench.engines.dented import SCALE_MM, SPEC, plate
from tests.line.acquisition.acquisition_bench import Inbox, acquiring

DEPTH = DepthSettings(range_mm=SPEC.range_mm, slope_range_mm=SPEC.slope_range_mm)
INFO = CameraInfo("SimTL", "SimCam", "SIM0000", WIDTH, HEIGHT, "Coord3D_C16", picture_channels=3)


def grabbed(values: np.ndarray | None, **changes: object) -> GrabbedFrame:
    heights = None if values is None else HeightMap(values, SCALE_MM, 0.0, 0)
    empty = np.empty((0, 0), np.uint8)
    return GrabbedFrame(**{**dict(zip(  # type: ignore[arg-type]
        ("frame_id", "pixels", "complete", "trigger_time_ns", "received_time_ns", "device_timestamp_ns"),
        (1, empty, True, 1, 2, None), strict=True)), "heights": heights, **changes})  # fmt: skip


@contextmanager
def ring(info: CameraInfo = INFO) -> Iterator[FrameRing]:
    import os

    fd = FrameRing.allocate(2, slot_shape(info))
    try:
        yield FrameRing(fd, 2, slot_shape(info))
    finally:
        os.close(fd)


@pytest.mark.parametrize("channels", [("height",), ("height", "slope_x", "slope_y")])
def test_a_slot_holds_the_picture_and_the_values(channels: tuple[str, ...]) -> None:
    depth = DepthSettings(range_mm=1.0, slope_range_mm=0.2, channels=channels)
    info = CameraInfo("", "", "", 31, 17, "Coord3D_C16", picture_channels=depth.picture_channels)  # odd sizes
    values = plate(31, 17, missing=0.1)
    with ring(info) as slots:
        ready = hand_over(grabbed(values), slots, DepthFrames(info, depth))
        assert isinstance(ready, FrameReady)
        assert ready.coordinates == (SCALE_MM, 0.0, 0)
        picture, kept = picture_and_values(slots.take(ready.slot), info)
        np.testing.assert_array_equal(kept, values)
        np.testing.assert_array_equal(picture, depth_picture(values, SCALE_MM, 0.0, 0, depth_spec(depth)))


@pytest.mark.parametrize(
    ("frame", "code", "said"),
    [
        (grabbed(np.zeros((HEIGHT, WIDTH), np.uint16)), ReasonCode.NO_HEIGHT, "all 3072 pixels are invalid"),
        (grabbed(None), ReasonCode.WRONG_SIZE, "no heights"),
        (grabbed(plate(WIDTH, HEIGHT + 1)), ReasonCode.WRONG_SIZE, "expected"),
        (grabbed(None, problem="Mono8 is missing"), ReasonCode.WRONG_SIZE, "Mono8 is missing"),
        (grabbed(plate(WIDTH, HEIGHT), complete=False), ReasonCode.INCOMPLETE_FRAME, ""),
    ],
)
def test_a_frame_without_heights_is_an_error_with_its_reason(frame: GrabbedFrame, code: ReasonCode, said: str) -> None:
    with ring() as slots:
        lost = hand_over(frame, slots, DepthFrames(INFO, DEPTH))
    assert isinstance(lost, FrameLost)
    assert lost.code is code
    assert said in lost.detail


@pytest.mark.system
@needs_heights
def test_frames_and_faults_of_a_3d_camera(inbox: Inbox, tmp_path: Path) -> None:
    settings = CameraSettings(
        producer=producer_from_name("simtl"), trigger="software", exposure_time_us=500.0, depth=DEPTH
    )
    with (
        Scene(tmp_path / "cam", WIDTH, HEIGHT, 3) as scene,
        acquiring(inbox, settings, environment=scene.environment(), ring_slots=2) as acquisition,
    ):
        change = inbox.state(CameraState.STREAMING)
        assert change.info is not None
        assert change.info.shape == (HEIGHT, WIDTH, 3)
        arrived = []
        for seed in range(4):  # more than the ring has slots
            scene.show_heights(plate(WIDTH, HEIGHT, seed=seed, missing=0.02))
            acquisition.fire()
            arrived.append(inbox.next(FrameArrived).frame)
        for seed, frame in enumerate(arrived):  # each its own copy
            assert frame.heights is not None
            values = plate(WIDTH, HEIGHT, seed=seed, missing=0.02)
            np.testing.assert_array_equal(frame.heights.values, values)
            np.testing.assert_array_equal(frame.pixels, depth_picture(values, SCALE_MM, 0.0, 0, SPEC))
            assert (frame.heights.scale_mm, frame.heights.invalid, frame.heights.spec) == (SCALE_MM, 0, SPEC)
        scene.show_heights(np.zeros((HEIGHT, WIDTH), np.uint16))
        acquisition.fire()
        assert inbox.next(FrameFailed).code is ReasonCode.NO_HEIGHT
        scene.change_coordinates(2 * SCALE_MM, 0.0)
        acquisition.fire()
        failed = inbox.next(FrameFailed)
        assert failed.code is ReasonCode.WRONG_SIZE
        assert "do not mean what they did" in failed.detail
        down = inbox.state(CameraState.DOWN)
        assert "do not mean what they did" in down.detail
        inbox.state(CameraState.STREAMING)  # connected anew, with what it means now
        scene.show_heights(plate(WIDTH, HEIGHT))
        acquisition.fire()
        assert inbox.next(FrameArrived).frame.heights is not None
