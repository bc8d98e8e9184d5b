"""A camera that gets other settings while the station runs: all of them, or it stays as it was."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import CameraError, CameraLost, CameraSettingError
from drivers.camera.settings import CameraSettings
from drivers.camera.simtl import Scene
from station.line.acquisition.messages import CameraState, FrameArrived
from tests.bench.cameras import HEIGHT, WIDTH, numbered_image
from tests.line.acquisition.acquisition_bench import PATIENCE_S, Inbox, acquiring

pytestmark = pytest.mark.system

BEFORE = CameraSettings(producer=producer_from_name("simtl"), width=WIDTH, exposure_time_us=1000.0)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def frame_shape(inbox: Inbox, scene: Scene) -> tuple[int, ...]:
    scene.pulse_line1()
    return inbox.next(FrameArrived).frame.pixels.shape


def test_other_settings_are_taken_and_kept_for_the_next_connect(inbox: Inbox, scene: Scene) -> None:
    with acquiring(inbox, BEFORE, environment=scene.environment()) as acquisition:
        inbox.state(CameraState.STREAMING)
        assert frame_shape(inbox, scene) == (HEIGHT, WIDTH)
        pid = acquisition.pid
        info = acquisition.configure(replace(BEFORE, width=WIDTH // 2), PATIENCE_S)
        assert info.width == WIDTH // 2
        assert acquisition.pid == pid  # the same process: the next picture needs no start of Python
        assert frame_shape(inbox, scene) == (HEIGHT, WIDTH // 2)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        inbox.state(CameraState.DOWN)
        changed = inbox.state(CameraState.STREAMING)
        assert changed.info is not None
        assert changed.info.width == WIDTH // 2


@pytest.mark.parametrize(
    ("features", "message"),
    [({"Gian": 1.0}, 'no feature "Gian"'), ({"Gain": 1e6}, "Gain = 1000000.0 refused: allowed")],
)
def test_refused_settings_leave_the_camera_as_it_was(
    inbox: Inbox, scene: Scene, features: dict[str, float], message: str
) -> None:
    with acquiring(inbox, BEFORE, environment=scene.environment()) as acquisition:
        inbox.state(CameraState.STREAMING)
        with pytest.raises(CameraSettingError, match=message):
            acquisition.configure(replace(BEFORE, width=WIDTH // 2, features=features), PATIENCE_S)
        # It streams again when the refusal is reported: no trigger in between is lost in silence.
        assert frame_shape(inbox, scene) == (HEIGHT, WIDTH)
        scene.show(numbered_image(3))
        assert acquisition.configure(replace(BEFORE, exposure_time_us=500.0), PATIENCE_S).width == WIDTH
        assert frame_shape(inbox, scene) == (HEIGHT, WIDTH)
        assert inbox.rest() == []


def test_a_camera_that_is_lost_meanwhile_comes_back_as_it_was(inbox: Inbox, scene: Scene) -> None:
    with acquiring(inbox, BEFORE, environment=scene.environment()) as acquisition:
        inbox.state(CameraState.STREAMING)
        pid = acquisition.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # hangs
        with pytest.raises(CameraLost, match="took no settings within"):
            acquisition.configure(replace(BEFORE, width=WIDTH // 2), timeout_s=0.2)
        inbox.state(CameraState.DOWN)
        inbox.state(CameraState.STREAMING)
        assert frame_shape(inbox, scene) == (HEIGHT, WIDTH)


def test_a_camera_that_is_not_there_cannot_be_set(inbox: Inbox, scene: Scene) -> None:
    wrong = replace(BEFORE, serial_number="none")
    with acquiring(inbox, wrong, environment=scene.environment()) as acquisition:
        inbox.state(CameraState.FAILED)
        with pytest.raises(CameraError, match="not streaming"):
            acquisition.configure(BEFORE, PATIENCE_S)
