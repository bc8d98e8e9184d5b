"""The software camera through harvesters: pixels, triggers, clock, lines, several devices."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from genicam.genapi import AccessException
from numpy.typing import NDArray

from drivers.camera.simtl import Scene
from tests.bench.harvesting import NOTHING_S, HarvestedCamera, camera, connected, fetched, harvester
from tests.bench.waiting import wait_for

WIDTH, HEIGHT = 61, 47
"""Odd, so that nothing works by chance of alignment."""


def picture(seed: int, channels: int = 3) -> NDArray[np.uint8]:
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture(params=[3])
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with Scene(tmp_path / "cam", WIDTH, HEIGHT, request.param) as scene:
        for name, value in scene.environment().items():
            monkeypatch.setenv(name, value)
        yield scene


def in_format(image: NDArray[np.uint8], pixel_format: str) -> NDArray[np.uint8]:
    """What README.md promises for a scene in a pixel format."""
    red, green, blue = np.moveaxis(image if image.ndim == 3 else np.stack([image] * 3, axis=-1), -1, 0)
    if pixel_format == "RGB8":
        return np.stack([red, green, blue], axis=-1)
    if pixel_format == "BayerRG8":
        mosaic = green.copy()
        mosaic[0::2, 0::2] = red[0::2, 0::2]
        mosaic[1::2, 1::2] = blue[1::2, 1::2]
        return mosaic
    if image.ndim == 2:
        return image
    luma = (77 * red.astype(np.uint32) + 150 * green.astype(np.uint32) + 29 * blue.astype(np.uint32) + 128) >> 8
    return luma.astype(np.uint8)


def move_line1(scene: Scene, cam: HarvestedCamera, level: bool) -> None:
    """Sets Line1 and waits until the camera has seen it: the message takes its time on a busy machine."""
    assert scene.set_line1(level)
    cam.set(LineSelector="Line1")
    wait_for(lambda: cam.nodes.LineStatus.value == level, f"Line1 {level}")


# ---- pixels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixel_format", ["Mono8", "RGB8", "BayerRG8"])
@pytest.mark.parametrize("scene", [1, 3], indirect=True, ids=["grey", "colour"])
def test_the_frame_is_the_scene_byte_by_byte(scene: Scene, pixel_format: str) -> None:
    image = picture(1, channels=1 if len(scene.shape) == 2 else 3)
    scene.show(image)
    with camera() as cam:
        cam.set(PixelFormat=pixel_format)
        assert cam.nodes.PayloadSize.value == WIDTH * HEIGHT * (3 if pixel_format == "RGB8" else 1)
        cam.start("Software")
        cam.trigger()
        np.testing.assert_array_equal(fetched(cam).pixels, in_format(image, pixel_format))


def test_width_and_height_cut_the_upper_left_corner(scene: Scene) -> None:
    scene.show(picture(2))
    with camera() as cam:
        assert (cam.nodes.WidthMax.value, cam.nodes.HeightMax.value) == (WIDTH, HEIGHT)
        cam.start("Software", Width=20, Height=11)
        cam.trigger()
        np.testing.assert_array_equal(fetched(cam).pixels, picture(2)[:11, :20])
        with pytest.raises(AccessException):
            cam.set(Width=30)
        with pytest.raises(AccessException):
            cam.set(PixelFormat="Mono8")


@pytest.mark.parametrize("gain_db", [0.0, 6.0, 24.0])
def test_gain_amplifies_in_decibels(scene: Scene, gain_db: float) -> None:
    scene.show(picture(3))
    with camera() as cam:
        cam.start("Software", Gain=gain_db)
        cam.trigger()
        table = [min(255, math.floor(value * 10 ** (gain_db / 20) + 0.5)) for value in range(256)]
        np.testing.assert_array_equal(fetched(cam).pixels, np.array(table, np.uint8)[picture(3)])


def test_a_frame_is_never_made_of_two_scenes(scene: Scene) -> None:
    """One thread changes the scene all the time; every frame has one value in all its pixels."""
    is_over = threading.Event()

    def flicker() -> None:
        value = 0
        while not is_over.is_set():
            value = (value + 1) % 256
            scene.show(np.full((HEIGHT, WIDTH, 3), value, np.uint8), value)

    flickering = threading.Thread(target=flicker)
    with camera() as cam:
        cam.start(AcquisitionFrameRate=1000.0)
        flickering.start()
        try:
            frames = [fetched(cam).pixels for _ in range(300)]
        finally:
            is_over.set()
            flickering.join()
    assert all(frame.min() == frame.max() for frame in frames)
    assert len({int(frame[0, 0, 0]) for frame in frames}) > 1


# ---- triggers ---------------------------------------------------------------------------------------------------


def test_the_part_at_the_trigger_is_the_part_in_the_frame(scene: Scene) -> None:
    with camera() as cam:
        cam.start("Software", ExposureTime=20_000.0)
        scene.show(picture(1), part_number=1)
        cam.trigger()
        scene.show(picture(2), part_number=2)  # while the first is still being exposed
        np.testing.assert_array_equal(fetched(cam).pixels, picture(1))
        assert scene.exposure().part_number == 1


@pytest.mark.parametrize(
    ("activation", "on_rise", "on_fall"),
    [("RisingEdge", True, False), ("FallingEdge", False, True), ("AnyEdge", True, True)],
)
def test_line1_triggers_on_its_edges(scene: Scene, activation: str, on_rise: bool, on_fall: bool) -> None:
    with camera() as cam:
        cam.start("Line1", TriggerActivation=activation)
        for level, triggers in ((True, on_rise), (True, False), (False, on_fall), (False, False)):
            move_line1(scene, cam, level)
            frame = cam.fetch(timeout_s=20.0 if triggers else NOTHING_S)
            assert (frame is not None) == triggers


def test_a_source_that_is_not_selected_does_not_trigger(scene: Scene) -> None:
    with camera() as cam:
        cam.start("Software")
        move_line1(scene, cam, True)
        assert cam.fetch(NOTHING_S) is None
        cam.set(TriggerSource="Line1")
        cam.trigger()
        assert cam.fetch(NOTHING_S) is None
        assert scene.exposure().exposures == 0


def test_a_pulse_before_the_start_is_no_frame_afterwards(scene: Scene) -> None:
    with camera() as cam:
        cam.set(TriggerMode="On", TriggerSource="Line1")
        move_line1(scene, cam, True)
        cam.start("Line1")
        assert cam.fetch(NOTHING_S) is None


def test_the_frame_comes_when_the_exposure_is_over(scene: Scene) -> None:
    with camera() as cam:
        cam.start("Software", ExposureTime=100_000.0)
        before_ns = time.monotonic_ns()
        cam.trigger()
        assert fetched(cam).received_ns - before_ns >= 100_000_000


def test_a_trigger_during_the_exposure_is_missed_and_counted(scene: Scene) -> None:
    with camera() as cam:
        cam.start("Line1", ExposureTime=1_000_000.0)
        assert scene.pulse_line1()
        assert scene.pulse_line1()
        assert fetched(cam).frame_id == 1
        assert cam.fetch(NOTHING_S) is None
        state = scene.exposure()
        assert (state.exposures, state.missed_triggers) == (1, 1)


def test_frame_ids_count_from_one_at_every_start(scene: Scene) -> None:
    with camera() as cam:
        for _ in range(2):
            cam.start("Software")
            ids = []
            for _ in range(12):  # more than there are buffers and frame stores
                cam.trigger()
                ids.append(fetched(cam).frame_id)
            cam.acquirer.stop()
            assert ids == list(range(1, 13))


def test_free_run_keeps_the_frame_rate(scene: Scene) -> None:
    with camera() as cam:
        before_ns = cam.clock_ns()
        cam.start(AcquisitionFrameRate=100.0)
        frames = [fetched(cam) for _ in range(20)]
    ids = [frame.frame_id for frame in frames]
    assert ids == sorted(set(ids))
    for frame in frames:  # never faster; how late, and which are lost for want of a buffer, depends on the machine
        assert frame.timestamp_ns - before_ns >= (frame.frame_id - 1) * 10_000_000


def test_single_frame_mode_takes_one(scene: Scene) -> None:
    with camera() as cam:
        cam.start(AcquisitionMode="SingleFrame", AcquisitionFrameRate=1000.0)
        assert fetched(cam).frame_id == 1
        assert cam.fetch(NOTHING_S) is None
        assert scene.exposure().exposures == 1


# ---- clock and chunk data ---------------------------------------------------------------------------------------


def test_chunk_data_tell_frame_and_time_of_the_trigger(scene: Scene) -> None:
    with camera() as cam:
        cam.start("Line1", ChunkModeActive=True, ExposureTime=1000.0)
        host_ns = time.monotonic_ns()
        offset_ns = cam.clock_ns() - host_ns
        assert offset_ns > 1_000_000_000_000  # the device's clock is not the host's
        for number in (1, 2, 3):
            assert scene.pulse_line1()
            frame = fetched(cam)
            assert frame.chunk_frame_id == frame.frame_id == number
            assert frame.chunk_timestamp_ns == frame.timestamp_ns
            # The latch lies between the two readings of the host's clock, so the offset is a bit too large at most.
            assert 0 <= scene.exposure().trigger_ns + offset_ns - frame.timestamp_ns <= time.monotonic_ns() - host_ns


@pytest.mark.parametrize(("late_s", "stamped"), [(0.5, True), (-60.0, False)])
def test_a_trigger_is_stamped_with_the_time_of_its_edge(
    scene: Scene, tmp_path: Path, late_s: float, stamped: bool
) -> None:
    """However late the camera's process wakes up; but never with a time that is still to come."""
    with camera() as cam, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        cam.start("Line1")
        before_ns = time.monotonic_ns()
        edge_ns = before_ns - round(late_s * 1e9)
        line.sendto(f"line1 1 {edge_ns}".encode(), str(tmp_path / "cam.0.sock"))
        fetched(cam)
        trigger_ns = scene.exposure().trigger_ns
        assert (trigger_ns == edge_ns) == stamped
        assert stamped or before_ns <= trigger_ns <= time.monotonic_ns()


def test_every_device_has_its_own_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMTL_DEVICES", "2")
    monkeypatch.delenv("SIMTL_SCENE", raising=False)
    with harvester() as found, connected(found, 0) as first, connected(found, 1) as second:
        assert second.clock_ns() - first.clock_ns() > 1_000_000_000_000


# ---- lines ------------------------------------------------------------------------------------------------------


def test_outputs_are_seen_from_outside(scene: Scene) -> None:
    with camera() as cam:
        assert scene.output("Line2").level is False
        before_ns = time.monotonic_ns()
        cam.set_output("UserOutput1", True)
        state = scene.output("Line2")
        assert (state.level, state.changes) == (True, 1)
        assert before_ns <= state.changed_ns <= time.monotonic_ns()
        assert scene.output("Line3").changes == 0
        cam.set_output("UserOutput1", True)  # no change
        cam.set_output("UserOutput2", True)
        cam.set_output("UserOutput1", False)
        assert (scene.output("Line2").level, scene.output("Line2").changes) == (False, 2)
        assert (scene.output("Line3").level, scene.output("Line3").changes) == (True, 1)
        for line, mode, status in (("Line1", "Input", False), ("Line2", "Output", False), ("Line3", "Output", True)):
            cam.set(LineSelector=line)
            assert (cam.nodes.LineMode.value, cam.nodes.LineStatus.value) == (mode, status)
    with camera():
        assert scene.output("Line3").level is False  # a camera that starts drives nothing


def test_line_source_connects_outputs(scene: Scene) -> None:
    with camera() as cam:
        cam.set_output("UserOutput1", True)
        cam.set(LineSelector="Line3", LineSource="UserOutput1")
        assert scene.output("Line3").level is True
        cam.set(LineSelector="Line2", LineSource="Off")
        assert scene.output("Line2").level is False
        cam.set(LineSelector="Line1")
        with pytest.raises(AccessException):
            cam.set(LineSource="UserOutput1")


def test_line1_keeps_its_level_while_no_camera_runs(scene: Scene) -> None:
    assert scene.set_line1(True) is False
    with camera() as cam:
        cam.set(LineSelector="Line1")
        assert cam.nodes.LineStatus.value is True
        move_line1(scene, cam, False)


# ---- devices ----------------------------------------------------------------------------------------------------


def test_several_devices_have_their_own_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = tmp_path / "cam"
    with (
        Scene(prefix, WIDTH, HEIGHT, 3, device=0) as first_scene,
        Scene(prefix, WIDTH, HEIGHT, 3, device=1) as second_scene,
    ):
        for name, value in first_scene.environment(devices=2).items():
            monkeypatch.setenv(name, value)
        first_scene.show(picture(1))
        second_scene.show(picture(2))
        with harvester() as found:
            assert [info.serial_number for info in found.device_info_list] == ["SIM0000", "SIM0001"]
            with connected(found, 0) as first, connected(found, 1) as second:
                first.start("Line1")
                second.start("Line1")
                assert second_scene.pulse_line1()
                np.testing.assert_array_equal(fetched(second).pixels, picture(2))
                assert first.fetch(NOTHING_S) is None
                assert first_scene.pulse_line1()
                np.testing.assert_array_equal(fetched(first).pixels, picture(1))


def test_it_starts_again_and_again_in_one_process(scene: Scene) -> None:
    scene.show(picture(4))
    for _ in range(5):
        with camera() as cam:
            assert cam.nodes.DeviceVendorName.value == "SimTL"
            cam.start("Software")
            cam.trigger()
            np.testing.assert_array_equal(fetched(cam).pixels, picture(4))


def test_a_folder_of_images_is_played_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        content = f"P6\n# number {seed}\n{WIDTH} {HEIGHT}\n255\n".encode() + picture(seed).tobytes()
        (tmp_path / f"{seed}.ppm").write_bytes(content)
    (tmp_path / "notes.txt").write_text("no image")
    monkeypatch.delenv("SIMTL_SCENE", raising=False)
    monkeypatch.setenv("SIMTL_IMAGES", str(tmp_path))
    with camera() as cam:
        cam.start(AcquisitionFrameRate=200.0)
        for seed in (0, 1, 2, 0):
            np.testing.assert_array_equal(fetched(cam).pixels, picture(seed))


def test_without_scene_or_images_there_is_a_test_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIMTL_SCENE", raising=False)
    monkeypatch.delenv("SIMTL_IMAGES", raising=False)
    monkeypatch.delenv("SIMTL_DEVICES", raising=False)
    with camera() as cam:
        cam.start("Software")
        for number in range(2):
            cam.trigger()
            y, x = np.mgrid[:480, :640]
            np.testing.assert_array_equal(fetched(cam).pixels, ((x + y + 4 * number) % 256).astype(np.uint8))


@pytest.mark.system
def test_the_producer_needs_nothing_but_libc() -> None:
    """A .cti is one file to copy: no Python symbols, no library of ours beside it."""
    script = (
        "import ctypes, sys; from drivers.camera.simtl import producer_path; "
        "sys.exit(ctypes.CDLL(str(producer_path())).GCInitLib())"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
