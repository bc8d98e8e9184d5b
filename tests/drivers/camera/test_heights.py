"""Heights of the software camera through harvesters: alone and beside intensity, and all that makes them worthless."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.camera.folder import FolderCamera
from drivers.camera.genicam import GenicamCamera
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import CameraLost, CameraSettingError, CameraUnreadable, GrabbedFrame
from drivers.camera.settings import DEPTH_FORMAT, CameraSettings, DepthSettings
from drivers.camera.simtl import Scene
from drivers.imagefiles.heights import encode_heights
from tests.bench.cameras import (
    HEIGHT,
    LIES_BYTES,
    WIDTH,
    lies_about,
    needs_heights,
    needs_lies,
)
from tests.bench.harvesting import camera as harvested

pytestmark = needs_heights
DEPTH = DepthSettings(range_mm=1.0, slope_range_mm=0.1)
WITH_INTENSITY = DepthSettings(range_mm=1.0, slope_range_mm=0.1, channels=("height", "slope_x", "intensity"))
SIZE_FILLED, PIXEL_FORMAT, ENDIANNESS, BIG = 9, 20, 26, 2
MONO16 = 0x0110_0007
RNG = np.random.default_rng(11)
VALUES = RNG.integers(1, 65536, (HEIGHT, WIDTH), np.uint16)
INTENSITY = RNG.integers(0, 256, (HEIGHT, WIDTH), np.uint8)


def simtl(depth: DepthSettings | None = DEPTH, **changes: Any) -> CameraSettings:
    settings: dict[str, Any] = {"producer": producer_from_name("simtl"), "trigger": "software", "depth": depth}
    return CameraSettings(**{**settings, "exposure_time_us": 500.0, **changes})


def next_frame(camera: GenicamCamera) -> GrabbedFrame:
    camera.trigger()
    frame = camera.grab(20_000)
    assert frame is not None
    return frame


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A part before a 3-D camera: random heights and intensity."""
    with Scene(tmp_path / "cam", WIDTH, HEIGHT, 3) as scene:
        for name, value in scene.environment().items():
            monkeypatch.setenv(name, value)
        scene.show_heights(VALUES, INTENSITY)
        yield scene


def seen(frame: GrabbedFrame) -> NDArray[np.uint16]:
    assert frame.heights is not None, frame.problem
    assert frame.pixels.size == 0
    return frame.heights.values


@pytest.mark.parametrize("width", [WIDTH, 33])
def test_heights_alone_are_a_plain_image(scene: Scene, width: int) -> None:
    with GenicamCamera(simtl(width=width)) as camera:
        assert camera.info.pixel_format == DEPTH_FORMAT
        assert camera.info.shape == (HEIGHT, width, 3)
        assert camera.info.about == "a step is 0.01 mm, 0 is at 0 mm, 0 is no height"
        camera.start()
        frame = next_frame(camera)
        np.testing.assert_array_equal(seen(frame), VALUES[:, :width])
        assert frame.heights is not None
        assert frame.heights.intensity is None
        assert (frame.heights.scale_mm, frame.heights.offset_mm, frame.heights.invalid) == (0.01, 0.0, 0)


def test_intensity_comes_as_a_second_part(scene: Scene) -> None:
    with GenicamCamera(simtl(WITH_INTENSITY)) as camera:
        camera.start()
        for _ in range(3):
            frame = next_frame(camera)
            np.testing.assert_array_equal(seen(frame), VALUES)
            assert frame.heights is not None
            assert frame.heights.intensity is not None
            np.testing.assert_array_equal(frame.heights.intensity, INTENSITY)


def test_a_second_part_that_is_lost_is_a_frame_without_heights(scene: Scene) -> None:
    with GenicamCamera(simtl(WITH_INTENSITY)) as camera:
        camera.start()
        scene.fail_parts(2)
        for _ in range(2):
            frame = next_frame(camera)
            assert frame.heights is None
            assert frame.problem == "of Coord3D_C16 and Mono8 came Coord3D_C16: Mono8 is missing"
        np.testing.assert_array_equal(seen(next_frame(camera)), VALUES)


def test_an_incomplete_frame_has_no_heights(scene: Scene) -> None:
    with GenicamCamera(simtl()) as camera:
        camera.start()
        scene.fail_incomplete(1)
        frame = next_frame(camera)
        assert not frame.complete
        assert frame.heights is None


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"Scan3dCoordinateScale": 0.5, "Scan3dCoordinateOffset": -20.0}, (0.5, -20.0, 0)),
        ({"Scan3dDistanceUnit": "Inch", "Scan3dCoordinateScale": 0.001}, (0.0254, 0.0, 0)),
        ({"Scan3dInvalidDataValue": 65535.0}, (0.01, 0.0, 65535)),
        ({"Scan3dInvalidDataFlag": False}, (0.01, 0.0, None)),
    ],
)
def test_what_a_value_means_is_read_from_the_camera(
    scene: Scene, features: dict[str, Any], expected: tuple[float, float, int | None]
) -> None:
    with GenicamCamera(simtl(features=features)) as camera:
        camera.start()
        heights = next_frame(camera).heights
        assert heights is not None
        assert (heights.scale_mm, heights.offset_mm, heights.invalid) == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "offset"), [(0.02, 0.0), (0.01, 0.5)])
def test_a_scale_that_changes_while_the_camera_streams_is_seen_at_once(
    scene: Scene, scale: float, offset: float
) -> None:
    with GenicamCamera(simtl()) as camera:
        camera.start()
        seen(next_frame(camera))
        scene.change_coordinates(scale, offset)
        frame = next_frame(camera)
        assert frame.heights is None
        assert "heights do not mean what they did at the connect: Scan3dCoordinate" in frame.problem
        with pytest.raises(CameraLost, match="connected anew"):
            camera.grab(10)


@pytest.mark.parametrize(
    ("depth", "changes", "said"),
    [
        ({"scale_mm": 0.02}, {}, r"Scan3dCoordinateScale is 0\.01 mm, `scale_mm` = 0\.02: heights would be wrong"),
        ({"offset_mm": 1.0}, {}, r"Scan3dCoordinateOffset is 0 mm, `offset_mm` = 1"),
        ({}, {"features": {"Scan3dOutputMode": "UncalibratedC"}}, "UncalibratedC' has no millimetres; allowed: Calibr"),
        ({}, {"features": {"Scan3dInvalidDataValue": 0.5}}, r"Scan3dInvalidDataValue 0\.5 is no value of Coord3D_C16"),
    ],
)
def test_what_contradicts_the_configuration_is_refused_at_the_connect(
    scene: Scene, depth: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    settings = DepthSettings(range_mm=1.0, slope_range_mm=0.1, **depth)
    with pytest.raises(CameraSettingError, match=said), GenicamCamera(simtl(settings, **changes)):
        pass


def test_a_camera_of_heights_without_the_section_is_refused_with_what_to_do(scene: Scene) -> None:
    with (
        pytest.raises(CameraSettingError, match="in its section `depth`"),
        GenicamCamera(simtl(None, pixel_format=DEPTH_FORMAT)),
    ):
        pass


@needs_lies
@pytest.mark.parametrize(
    ("said", "problem"),
    [
        pytest.param({SIZE_FILLED: 100}, "100 bytes are filled, the image needs 6144", id="too few bytes"),
        pytest.param({PIXEL_FORMAT: MONO16}, "of Coord3D_C16 came Mono16: Coord3D_C16 is missing", id="grey"),
        pytest.param({PIXEL_FORMAT: 1}, "pixel format 1 is not taken; allowed: Coord3D_C16", id="no format"),
        pytest.param({ENDIANNESS: BIG}, "high byte first", id="endianness"),
    ],
)
def test_a_frame_of_something_else_is_none_of_heights(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[int, int | None], problem: str
) -> None:
    lies = tmp_path / "lies"
    lies.write_bytes(bytes(LIES_BYTES))
    monkeypatch.setenv("SIMTL_LIES", str(lies))
    with GenicamCamera(simtl()) as camera:
        camera.start()
        with lies.open("r+b") as file:  # the same file: it is mapped
            file.write(lies_about(said))
        frame = next_frame(camera)
        assert frame.heights is None
        assert problem in frame.problem


def test_confidence_is_a_part_of_its_own_and_is_switched_off(scene: Scene) -> None:
    values = VALUES.copy()
    values[:, : WIDTH // 2] = 0
    scene.show_heights(values, INTENSITY)
    with harvested() as plain:
        plain.set(PixelFormat="Mono8")
        for component in ("Range", "Confidence"):
            plain.set(ComponentSelector=component, ComponentEnable=True)
        plain.start("Software")
        plain.trigger()
        buffer = plain.acquirer.try_fetch(timeout=20.0)
        parts = {one.data_format: one.data.reshape(HEIGHT, WIDTH, -1).copy() for one in buffer.payload.components}
        buffer.queue()
        assert set(parts) == {"Coord3D_C16", "Mono8", "Confidence8"}
        np.testing.assert_array_equal(parts["Confidence8"][..., 0], np.where(values == 0, 0, 255))
        np.testing.assert_array_equal(parts["Mono8"][..., 0], INTENSITY)
    with GenicamCamera(simtl(WITH_INTENSITY)) as camera:
        camera._features.set("ComponentSelector", "Confidence")
        assert not camera._features.get("ComponentEnable")


def test_a_folder_of_heights_plays_them(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(encode_heights(VALUES + np.uint16(number), 0.01, 2.0, 7))
    with FolderCamera(CameraSettings(driver="folder", folder=tmp_path, trigger="software", depth=DEPTH)) as camera:
        assert camera.info.pixel_format == DEPTH_FORMAT
        camera.start()
        for number in range(2):
            camera.trigger()
            frame = camera.grab(1000)
            assert frame is not None
            np.testing.assert_array_equal(seen(frame), VALUES + np.uint16(number))
    with pytest.raises(CameraSettingError, match="intensity"):
        FolderCamera(CameraSettings(driver="folder", folder=tmp_path, trigger="software", depth=WITH_INTENSITY))


def test_grey_images_among_heights_are_refused(folder: Path) -> None:
    settings = CameraSettings(driver="folder", folder=folder, trigger="software", depth=DEPTH)
    with pytest.raises(CameraUnreadable, match="heights are grey images of 16 bit"), FolderCamera(settings):
        pass
