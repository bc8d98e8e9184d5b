"""What Scene refuses, and the producer that is not built."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from drivers.camera import simtl
from drivers.camera.protocol import ProducerError
from drivers.camera.simtl import Scene, SceneError, producer_path


def test_a_producer_that_is_not_built_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simtl, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ProducerError, match=r"setup\.py build_ext --inplace"):
        producer_path()


@pytest.mark.parametrize(("width", "height", "channels"), [(0, 10, 1), (10, 20000, 1), (10, 10, 2)])
def test_sizes_that_cannot_be(tmp_path: Path, width: int, height: int, channels: int) -> None:
    with pytest.raises(SceneError, match="allowed are"):
        Scene(tmp_path / "cam", width, height, channels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "image",
    [np.zeros((20, 10, 3), np.uint8), np.zeros((10, 20), np.uint8), np.zeros((10, 20, 3), np.float32)],
    ids=["turned", "grey", "float"],
)
def test_images_that_do_not_fit(tmp_path: Path, image: np.ndarray) -> None:
    with Scene(tmp_path / "cam", 20, 10, 3) as scene, pytest.raises(SceneError, match=r"takes uint8 \(10, 20, 3\)"):
        scene.show(image)


def test_images_need_not_be_contiguous(tmp_path: Path) -> None:
    with Scene(tmp_path / "cam", 20, 10, 1) as scene:
        scene.show(np.zeros((20, 40), np.uint8)[::2, ::2])


def test_a_prefix_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="use a shorter prefix"):
        Scene(tmp_path / ("x" * 100), 20, 10, 1)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="cannot be made"):
        Scene(tmp_path / "none" / "cam", 20, 10, 1)


def test_only_outputs_can_be_read(tmp_path: Path) -> None:
    with Scene(tmp_path / "cam", 20, 10, 1) as scene, pytest.raises(SceneError, match="Line2 and Line3"):
        scene.output("Line1")


def test_a_writer_that_died_is_an_error_and_no_hang(tmp_path: Path) -> None:
    with Scene(tmp_path / "cam", 20, 10, 1) as scene:
        with (tmp_path / "cam.0.scene").open("r+b") as file:
            file.seek(72)  # state_sequence, see README.md
            file.write(b"\x01")
        with pytest.raises(SceneError, match="died while it wrote"):
            scene.output("Line2")


def test_a_camera_that_is_just_being_closed_hears_nothing(tmp_path: Path) -> None:
    """Its socket is still there and takes no more: the simulated line ended by it in a chaos run."""
    camera = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with camera, Scene(tmp_path / "cam", 20, 10, 1) as scene:
        camera.bind(str(tmp_path / "cam.0.sock"))
        assert scene.pulse_line1()
        camera.shutdown(socket.SHUT_RDWR)
        assert scene.pulse_line1() is False


def test_a_leftover_that_is_no_scene_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "cam.0.scene").write_bytes(b"x" * 5000)
    with Scene(tmp_path / "cam", 20, 10, 1) as scene:
        assert scene.pulse_line1() is False
    assert list(tmp_path.iterdir()) == []
