"""GenICam through harvesters: settings, faults and what the binding does behind one's back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drivers.camera.discovery import list_cameras
from drivers.camera.genicam import GenicamCamera
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import CameraLost, CameraNotFound, CameraSettingError, ProducerError
from drivers.camera.settings import CameraSettings
from drivers.camera.simtl import Scene
from tests.bench.cameras import HEIGHT, WIDTH, numbered_image
from tests.drivers.camera.test_camera_contract import next_frame


def simtl(**changes: object) -> CameraSettings:
    settings = {"producer": producer_from_name("simtl"), "trigger": "software", "exposure_time_us": 500.0}
    return CameraSettings(**{**settings, **changes})  # type: ignore[arg-type]


def refusal(settings: CameraSettings) -> str:
    with pytest.raises(CameraSettingError) as caught, GenicamCamera(settings):
        pass
    return str(caught.value)


# ---- producers and cameras --------------------------------------------------------------------------------------


def test_viky_lists_three_cameras() -> None:
    assert [camera.serial_number for camera in list_cameras(producer_from_name("viky"))] == ["0", "1", "2"]


def test_a_missing_producer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProducerError, match=r'none\.cti" does not exist'):
        list_cameras(tmp_path / "none.cti")


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.cti").write_text("not a library")
    with pytest.raises(ProducerError, match="cannot be loaded"):
        list_cameras(tmp_path / "text.cti")


def test_a_library_that_is_no_producer_is_refused() -> None:
    import _ctypes  # any shared library

    with pytest.raises(ProducerError, match="no GenTL producer"):
        list_cameras(Path(_ctypes.__file__))


def test_an_unknown_short_name_is_refused() -> None:
    with pytest.raises(ProducerError, match="allowed: simtl, viky or the path"):
        producer_from_name("basler")


def test_a_relative_path_belongs_to_its_configuration(tmp_path: Path) -> None:
    assert producer_from_name("vendor/x.cti", tmp_path) == tmp_path / "vendor/x.cti"


def test_an_unknown_serial_number_lists_those_found() -> None:
    settings = CameraSettings(producer=producer_from_name("viky"), serial_number="22351", trigger="off")
    with pytest.raises(CameraNotFound, match=r'"22351".*found "0", "1", "2"'), GenicamCamera(settings):
        pass


def test_one_of_several_cameras_must_be_named() -> None:
    settings = CameraSettings(producer=producer_from_name("viky"), trigger="off")
    with pytest.raises(CameraNotFound, match="3 cameras and no serial number"), GenicamCamera(settings):
        pass


def test_an_unplugged_camera_is_not_found(scene: Scene) -> None:
    scene.lose_device()
    with pytest.raises(CameraNotFound, match="found none"), GenicamCamera(simtl()):
        pass


# ---- settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": {"Widht": 32}}, 'no feature "Widht"; similar: Width'),
        ({"width": 100_000}, f"Width = 100000 refused: allowed: 1 to {WIDTH}"),
        ({"exposure_time_us": 1e12}, "ExposureTime = 1000000000000.0 refused: allowed: "),
        ({"exposure_time_us": float("nan")}, "ExposureTime = nan refused: allowed: "),
        ({"gain_db": 1000.0}, "Gain = 1000.0 refused: allowed: "),
        ({"pixel_format": "BGR8"}, "camera and station both know: Mono8, RGB8, BayerRG8"),
        ({"trigger": "line", "trigger_line": "Line7"}, "TriggerSource = 'Line7' refused: allowed: Software, Line1"),
        (
            {"trigger": "line", "trigger_activation": "Never"},
            "TriggerActivation = 'Never' refused: allowed: RisingEdge",
        ),
        ({"features": {"ExposureTime": "long"}}, "ExposureTime = 'long' refused: a value of type float is needed"),
        ({"features": {"Height": True}}, "Height = True refused: a value of type int is needed"),
        ({"features": {"DeviceSerialNumber": "1"}}, "read-only or locked"),
    ],
)
def test_a_setting_that_cannot_be_says_what_can(scene: Scene, changes: dict[str, object], message: str) -> None:
    assert message in refusal(simtl(**changes))


def test_a_camera_without_trigger_cannot_be_triggered() -> None:
    settings = CameraSettings(producer=producer_from_name("viky"), serial_number="0", trigger="software")
    assert "no TriggerMode" in refusal(settings)


def test_size_and_features_take_effect(scene: Scene) -> None:
    with GenicamCamera(simtl(width=32, features={"Height": 16})) as camera:
        assert (camera.info.width, camera.info.height) == (32, 16)
        camera.start()
        camera.trigger()
        assert next_frame(camera).pixels.shape == (16, 32)


@pytest.mark.parametrize(("pixel_format", "delivered"), [("Mono8", "Mono8"), ("RGB8", "RGB8"), ("BayerRG8", "RGB8")])
def test_pixel_formats_are_normalised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixel_format: str, delivered: str
) -> None:
    with Scene(tmp_path / "colour", WIDTH, HEIGHT, 3) as scene:
        for name, value in scene.environment().items():
            monkeypatch.setenv(name, value)
        scene.show(np.full((HEIGHT, WIDTH, 3), (200, 100, 40), np.uint8))
        with GenicamCamera(simtl(pixel_format=pixel_format)) as camera:
            assert camera.info.pixel_format == delivered
            camera.start()
            camera.trigger()
            pixels = next_frame(camera).pixels.copy()
    if delivered == "RGB8":
        assert (pixels == (200, 100, 40)).all()
    else:
        assert pixels.shape == (HEIGHT, WIDTH)


def test_the_trigger_of_the_last_user_does_not_stay(scene: Scene) -> None:
    for trigger, expose in (("line", scene.pulse_line1), ("software", None), ("line", scene.pulse_line1)):
        with GenicamCamera(simtl(trigger=trigger)) as camera:
            camera.start()
            cause: Callable[[], object] = expose or camera.trigger
            cause()
            assert next_frame(camera).complete


def test_the_handler_of_sigint_stays(scene: Scene) -> None:
    before = signal.getsignal(signal.SIGINT)
    with GenicamCamera(simtl()):
        assert signal.getsignal(signal.SIGINT) is before


# ---- frames and faults ------------------------------------------------------------------------------------------


def test_pixels_are_those_in_front_of_the_lens(scene: Scene) -> None:
    with GenicamCamera(simtl()) as camera:
        camera.start()
        for number in range(12):  # more than there are buffers
            scene.show(numbered_image(number))
            camera.trigger()
            assert (next_frame(camera).pixels == numbered_image(number)).all()


def test_the_trigger_time_is_the_cameras_own(scene: Scene) -> None:
    with GenicamCamera(simtl(trigger="line", exposure_time_us=20_000.0)) as camera:
        camera.start()
        scene.pulse_line1()
        frame = next_frame(camera)
        assert frame.device_timestamp_ns is not None
        # A millisecond is what a busy machine may take between two looks at its clock.
        assert frame.trigger_time_ns == pytest.approx(scene.exposure().trigger_ns, abs=1_000_000)


def test_an_incomplete_frame_has_its_id_and_time(scene: Scene) -> None:
    with GenicamCamera(simtl(trigger="line")) as camera:
        camera.start()
        scene.fail_incomplete(1)
        frames = []
        for _ in range(2):
            before_ns = time.monotonic_ns()
            scene.pulse_line1()
            frames.append(next_frame(camera))
            assert before_ns <= frames[-1].trigger_time_ns <= frames[-1].received_time_ns
    assert [frame.complete for frame in frames] == [False, True]
    assert frames[1].frame_id == frames[0].frame_id + 1


def test_a_dropped_frame_is_a_gap_of_the_ids(scene: Scene) -> None:
    with GenicamCamera(simtl(trigger="line")) as camera:
        camera.start()
        scene.pulse_line1()
        first = next_frame(camera).frame_id
        scene.fail_dropped(2)
        for _ in range(2):
            scene.pulse_line1()
            assert camera.grab(100) is None
        scene.pulse_line1()
        assert next_frame(camera).frame_id == first + 3


def test_a_lost_device_is_noticed_without_a_trigger_and_can_be_opened_again(scene: Scene) -> None:
    with GenicamCamera(simtl(trigger="line")) as camera:
        camera.start()
        scene.lose_device()
        with pytest.raises(CameraLost, match="does not answer"):
            next_frame(camera)
    scene.restore_device()
    with GenicamCamera(simtl()) as camera:
        camera.start()
        camera.trigger()
        assert next_frame(camera).complete


def test_an_output_line_follows(scene: Scene) -> None:
    with GenicamCamera(simtl()) as camera:
        camera.start()
        for level in (True, False, True):
            camera.set_output("Line2", level)
            assert scene.output("Line2").level is level
        assert scene.output("Line3").changes == 0
