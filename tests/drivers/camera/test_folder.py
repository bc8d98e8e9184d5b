"""A folder of images as a camera."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from drivers.camera.folder import FolderCamera
from drivers.camera.protocol import CameraSettingError, CameraUnreadable
from drivers.camera.settings import CameraSettings
from tests.bench.cameras import numbered_image


def settings(images: Path, /, **changes: object) -> CameraSettings:
    return CameraSettings(**{"driver": "folder", "folder": images, "trigger": "software", **changes})  # type: ignore[arg-type]


def test_images_come_in_order_and_begin_again(folder: Path) -> None:
    with FolderCamera(settings(folder)) as camera:
        camera.start()
        for number in (0, 1, 2, 3, 4, 0):
            camera.trigger()
            frame = camera.grab(0)
            assert frame is not None
            assert (frame.pixels == numbered_image(number)).all()


def test_without_loop_the_last_image_is_the_last(folder: Path) -> None:
    with FolderCamera(settings(folder, loop=False)) as camera:
        camera.start()
        for _ in range(5):
            camera.trigger()
        with pytest.raises(CameraUnreadable, match="all 5 images are played"):
            camera.trigger()
        assert all(camera.grab(0) is not None for _ in range(5))
        assert camera.grab(0) is None


def test_a_free_folder_keeps_its_rate(folder: Path) -> None:
    with FolderCamera(settings(folder, trigger="off", frame_rate_hz=100.0)) as camera:
        camera.start()
        frames = [frame for frame in (camera.grab(1000) for _ in range(5)) if frame is not None]
    assert len(frames) == 5
    assert frames[-1].trigger_time_ns - frames[0].trigger_time_ns >= 4 * 10_000_000


def test_a_trigger_before_the_start_is_none(folder: Path) -> None:
    with FolderCamera(settings(folder)) as camera:
        camera.trigger()
        camera.start()
        assert camera.grab(0) is None


def test_a_damaged_image_is_told_when_its_turn_comes(folder: Path) -> None:
    (folder / "1.png").write_bytes(b"damaged")
    with FolderCamera(settings(folder)) as camera:
        camera.start()
        camera.trigger()
        assert camera.grab(0) is not None
        camera.trigger()
        with pytest.raises(CameraUnreadable, match=r"1\.png"):
            camera.grab(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trigger": "line"}, 'trigger "line"'),
        ({"frame_rate_hz": 0.0}, "frame_rate_hz"),
        ({"folder": None}, "no folder"),
    ],
)
def test_settings_that_cannot_be_are_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(CameraSettingError, match=message):
        FolderCamera(settings(folder, **changes))


def test_grabbing_waits_no_longer_than_asked_for(folder: Path) -> None:
    with FolderCamera(settings(folder)) as camera:
        camera.start()
        before = time.monotonic()
        assert camera.grab(30) is None
        assert time.monotonic() - before >= 0.03
