"""A frame of which a producer says something odd is a frame without pixels; the next one is as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.camera.genicam import GenicamCamera
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import GrabbedFrame
from drivers.camera.settings import CameraSettings
from drivers.camera.simtl import Scene
from tests.bench.cameras import HEIGHT, LIES_BYTES, WIDTH, lies_about, needs_lies, numbered_image

pytestmark = needs_lies
SIZE_FILLED, FRAME_WIDTH, FRAME_HEIGHT, X_PADDING = 9, 10, 11, 14
IMAGE_PRESENT, IMAGE_OFFSET, PAYLOAD_TYPE, PIXEL_FORMAT = 17, 18, 19, 20
UNKNOWN, CHUNK_ONLY, JPEG, MULTI_PART = 0, 5, 6, 10
MONO12_PACKED, BGR8 = 0x010C_0006, 0x0218_0015


@pytest.fixture
def lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "lies"
    path.write_bytes(bytes(LIES_BYTES))
    monkeypatch.setenv("SIMTL_LIES", str(path))
    return path


@pytest.fixture
def camera(scene: Scene, lies: Path) -> Iterator[GenicamCamera]:
    settings = CameraSettings(producer=producer_from_name("simtl"), trigger="software", exposure_time_us=500.0)
    with GenicamCamera(settings) as camera:
        camera.start()
        yield camera


def next_frame(camera: GenicamCamera) -> GrabbedFrame:
    camera.trigger()
    frame = camera.grab(20_000)
    assert frame is not None
    return frame


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({PAYLOAD_TYPE: None}, id="no word about what it is, and no image in it"),
        pytest.param({PAYLOAD_TYPE: CHUNK_ONLY, PIXEL_FORMAT: None, IMAGE_PRESENT: 0}, id="only chunk data"),
        pytest.param({PAYLOAD_TYPE: JPEG}, id="JPEG"),
        pytest.param({PAYLOAD_TYPE: UNKNOWN, PIXEL_FORMAT: None}, id="unknown"),
        pytest.param({SIZE_FILLED: 100}, id="too few bytes"),
        pytest.param({FRAME_HEIGHT: 1 << 62}, id="a height that no memory has"),
        pytest.param({FRAME_WIDTH: (1 << 64) - 1}, id="a width that no memory has"),
        pytest.param({X_PADDING: 1 << 40}, id="rows that end behind the memory"),
        pytest.param({IMAGE_OFFSET: 64}, id="an image that ends behind the memory"),
        pytest.param({PIXEL_FORMAT: MONO12_PACKED}, id="a format that is not taken"),
        pytest.param({PIXEL_FORMAT: BGR8, FRAME_WIDTH: 0, X_PADDING: 3}, id="colour without a width"),
    ],
)
def test_an_odd_frame_has_no_pixels_and_the_camera_goes_on(
    camera: GenicamCamera, lies: Path, said: dict[int, int | None]
) -> None:
    with lies.open("r+b") as file:  # the same file: it is mapped
        file.write(lies_about(said))
    assert next_frame(camera).pixels.size == 0
    with lies.open("r+b") as file:
        file.write(bytes(LIES_BYTES))
    np.testing.assert_array_equal(next_frame(camera).pixels, numbered_image(0))


def test_an_image_that_begins_later_in_its_buffer_is_not_read_from_its_beginning(
    camera: GenicamCamera, lies: Path
) -> None:
    """Half the height, one row later: what comes back is the image from its second row on."""
    with lies.open("r+b") as file:
        file.write(lies_about({IMAGE_OFFSET: WIDTH, FRAME_HEIGHT: HEIGHT // 2}))
    np.testing.assert_array_equal(next_frame(camera).pixels, numbered_image(0)[1 : 1 + HEIGHT // 2])
