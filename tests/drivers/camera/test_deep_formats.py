"""Every pixel format of the software camera through harvesters, and what of more than 8 bit the station refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.camera.genicam import GenicamCamera
from drivers.camera.pixel_formats import normalise
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import CameraSettingError, GrabbedFrame
from drivers.camera.settings import PIXEL_FORMATS, CameraSettings
from drivers.camera.simtl import Scene
from tests.bench.cameras import HEIGHT, LIES_BYTES, WIDTH, lies_about, needs_deep_formats, needs_lies, numbered_image

pytestmark = needs_deep_formats
SIZE_FILLED, X_PADDING, PIXEL_FORMAT, ENDIANNESS, BIG = 9, 14, 20, 26, 2
MONO16, MONO12_PACKED, MONO_32 = 0x0110_0007, 0x010C_0006, 0x0138_0001
OF_SIMTL = [name for name in PIXEL_FORMATS if not name.startswith(("BGR", "RGBa"))]


def simtl(**changes: object) -> CameraSettings:
    settings = {"producer": producer_from_name("simtl"), "trigger": "software", "exposure_time_us": 500.0}
    return CameraSettings(**{**settings, **changes})  # type: ignore[arg-type]


def next_frame(camera: GenicamCamera) -> GrabbedFrame:
    camera.trigger()
    frame = camera.grab(20_000)
    assert frame is not None
    return frame


@pytest.fixture
def colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NDArray[np.uint8]]:
    """What is in front of the lens: random colours."""
    image = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    with Scene(tmp_path / "cam", WIDTH, HEIGHT, 3) as scene:
        for name, value in scene.environment().items():
            monkeypatch.setenv(name, value)
        scene.show(image)
        yield image


def seen(image: NDArray[np.uint8], pixel_format: str) -> NDArray[np.uint8]:
    """What the station is to make of the scene: of a Bayer pattern what it makes of 8 bit."""
    red, green, blue = np.moveaxis(image.astype(np.uint32), -1, 0)
    if pixel_format.startswith("Mono"):
        return ((77 * red + 150 * green + 29 * blue + 128) >> 8).astype(np.uint8)
    if pixel_format == "RGB8":
        return image
    pattern = pixel_format[5:7]
    mosaic = image[..., 1].copy()
    row, column = divmod({"RG": 0, "GR": 1, "GB": 2, "BG": 3}[pattern], 2)
    mosaic[row::2, column::2] = image[row::2, column::2, 0]
    mosaic[1 - row :: 2, 1 - column :: 2] = image[1 - row :: 2, 1 - column :: 2, 2]
    return normalise(f"Bayer{pattern}8", mosaic.ravel(), HEIGHT, WIDTH)


@pytest.mark.parametrize("pixel_format", OF_SIMTL)
def test_every_format_shows_what_is_in_front_of_the_lens(colour: NDArray[np.uint8], pixel_format: str) -> None:
    with GenicamCamera(simtl(pixel_format=pixel_format)) as camera:
        assert camera.info.pixel_format == ("Mono8" if pixel_format.startswith("Mono") else "RGB8")
        camera.start()
        frame = next_frame(camera)
        assert frame.pixels.shape == camera.info.shape
        np.testing.assert_array_equal(frame.pixels, seen(colour, pixel_format))


@pytest.mark.parametrize("pixel_format", ["Mono12", "Mono12p", "Mono12Packed"])
def test_fewer_significant_bits_look_into_the_dark(scene: Scene, pixel_format: str) -> None:
    scene.show(np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH).astype(np.uint8))
    shown = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256
    with GenicamCamera(simtl(pixel_format=pixel_format, significant_bits=10)) as camera:
        camera.start()
        expected = np.minimum(((shown << 4) | (shown >> 4)) >> 2, 255)
        np.testing.assert_array_equal(next_frame(camera).pixels, expected)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pixel_format": "Mono12p", "width": 31}, "multiple of 2"),
        ({"pixel_format": "Mono10p", "width": 34}, "multiple of 4"),
        ({"pixel_format": "BayerRG12Packed", "width": 33}, "multiple of 2"),
        ({"pixel_format": "Mono10", "significant_bits": 12}, "a value of Mono10 has 10; allowed: 8 to 10"),
        ({"pixel_format": "Mono8", "significant_bits": 10}, "a value of Mono8 has 8"),
    ],
)
def test_what_cannot_be_read_for_sure_is_refused_at_the_connect(
    scene: Scene, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(CameraSettingError, match=said), GenicamCamera(simtl(**changes)):
        pass


@needs_lies
@pytest.mark.parametrize(
    ("said", "problem"),
    [
        pytest.param({SIZE_FILLED: 100}, "100 bytes are filled, the image needs 4608", id="too few bytes"),
        pytest.param({X_PADDING: 1}, "the image needs 4656", id="rows that are longer"),
        pytest.param({PIXEL_FORMAT: MONO16}, "the image needs 6144", id="larger values"),
        pytest.param({PIXEL_FORMAT: MONO16, SIZE_FILLED: 6144, ENDIANNESS: BIG}, "high byte first", id="endianness"),
        pytest.param({PIXEL_FORMAT: MONO_32}, "0x01380001 is not taken", id="a format that is not taken"),
        pytest.param({10: 63}, "multiple of 2", id="a row that ends within a byte"),
    ],
)
def test_a_size_that_does_not_fit_is_a_frame_without_pixels_and_says_why(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[int, int | None], problem: str
) -> None:
    lies = tmp_path / "lies"
    lies.write_bytes(bytes(LIES_BYTES))
    monkeypatch.setenv("SIMTL_LIES", str(lies))
    with GenicamCamera(simtl(pixel_format="Mono12p")) as camera:
        camera.start()
        with lies.open("r+b") as file:  # the same file: it is mapped
            file.write(lies_about(said))
        frame = next_frame(camera)
        assert frame.pixels.size == 0
        assert problem in frame.problem
        with lies.open("r+b") as file:
            file.write(bytes(LIES_BYTES))
        frame = next_frame(camera)
        assert frame.problem == ""
        np.testing.assert_array_equal(frame.pixels, numbered_image(0))
