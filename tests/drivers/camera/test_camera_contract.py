"""What every camera driver promises (drivers/camera/protocol.py), asked of each of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from drivers.camera.open import open_camera
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import Camera, CameraSettingError, GrabbedFrame
from drivers.camera.settings import CameraSettings, Trigger
from drivers.camera.simtl import Scene

KINDS = (
    "simtl, software trigger",
    "simtl, line",
    "simtl, free",
    "viky, free",
    "folder, software trigger",
    "folder, free",
)

TRIGGERS: dict[str, Trigger] = {"software trigger": "software", "line": "line", "free": "off"}


@dataclass(frozen=True)
class Rig:
    """A camera and what makes it expose."""

    settings: CameraSettings
    expose: Callable[[Camera], object]

    @property
    def free(self) -> bool:
        return self.settings.trigger == "off"


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, scene: Scene, folder: Path) -> Rig:
    driver, _, how = request.param.partition(", ")
    trigger = TRIGGERS[how]
    if driver == "folder":
        settings = CameraSettings(driver="folder", folder=folder, trigger=trigger)
    elif driver == "viky":
        settings = CameraSettings(producer=producer_from_name("viky"), serial_number="1", trigger=trigger)
    else:
        settings = CameraSettings(producer=producer_from_name("simtl"), trigger=trigger, exposure_time_us=500.0)
    expose: dict[Trigger, Callable[[Camera], object]] = {
        "software": lambda camera: camera.trigger(),
        "line": lambda camera: scene.pulse_line1(),
        "off": lambda camera: None,
    }
    return Rig(settings, expose[trigger])


def next_frame(camera: Camera, timeout_s: float = 5.0) -> GrabbedFrame:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        frame = camera.grab(20)
        if frame is not None:
            return frame
    raise AssertionError(f"no frame in {timeout_s} s")


def test_frames_are_as_announced(rig: Rig) -> None:
    with open_camera(rig.settings) as camera:
        info = camera.info
        assert info.pixel_format in ("Mono8", "RGB8")
        assert info.serial_number
        camera.start()
        rig.expose(camera)
        frame = next_frame(camera)
        assert frame.complete
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.shape == info.shape
        assert frame.pixels.any()


def test_every_exposure_is_one_frame_and_ids_count_them(rig: Rig) -> None:
    ids = []
    with open_camera(rig.settings) as camera:
        camera.start()
        for _ in range(4):
            rig.expose(camera)
            ids.append(next_frame(camera).frame_id)
    assert np.diff(ids).tolist() == [1, 1, 1]


def test_times_are_on_the_hosts_clock(rig: Rig) -> None:
    with open_camera(rig.settings) as camera:
        camera.start()
        rig.expose(camera)
        next_frame(camera)
        before_ns = time.monotonic_ns()
        rig.expose(camera)
        frame = next_frame(camera)
        after_ns = time.monotonic_ns()
    assert frame.trigger_time_ns <= frame.received_time_ns <= after_ns
    if not rig.free:  # a free camera may have begun before
        assert before_ns <= frame.trigger_time_ns


@pytest.mark.parametrize("rig", [kind for kind in KINDS if not kind.endswith("free")], indirect=True)
def test_without_exposure_there_is_no_frame(rig: Rig) -> None:
    with open_camera(rig.settings) as camera:
        camera.start()
        assert camera.grab(50) is None


def test_a_camera_connects_again_after_it_was_closed(rig: Rig) -> None:
    for _ in range(3):
        with open_camera(rig.settings) as camera:
            camera.start()
            rig.expose(camera)
            assert next_frame(camera).complete


def test_a_software_trigger_needs_that_trigger_source(rig: Rig) -> None:
    with open_camera(rig.settings) as camera:
        camera.start()
        if rig.settings.trigger == "software":
            camera.trigger()
            assert next_frame(camera).complete
        else:
            with pytest.raises(CameraSettingError, match="software trigger"):
                camera.trigger()


def test_a_line_that_is_not_there_cannot_be_set(rig: Rig) -> None:
    with open_camera(rig.settings) as camera, pytest.raises(CameraSettingError, match=r"Line99|LineSelector"):
        camera.set_output("Line99", True)
