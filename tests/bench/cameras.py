"""Software cameras with a scene in front of them, and folders of images."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from drivers.camera.images import write_png
from drivers.camera.simtl import Scene, producer_path

WIDTH, HEIGHT = 64, 48
_LIE, _MOST_LIES = struct.Struct("<iIQ"), 16
LIES_BYTES = _LIE.size * _MOST_LIES


def can_lie() -> bool:
    """The software camera that is built knows SIMTL_LIES; an older one would say the truth, and test nothing."""
    return b"SIMTL_LIES" in producer_path().read_bytes()


def has_deep_formats() -> bool:
    """The software camera that is built sends more than 8 bit."""
    return b"Mono12Packed" in producer_path().read_bytes()


def has_heights() -> bool:
    """The software camera that is built can be a 3-D camera."""
    return b"Coord3D_C16" in producer_path().read_bytes()


_OLDER = "the software camera is older than its source: python setup.py build_ext --inplace"
needs_deep_formats = pytest.mark.skipif(not has_deep_formats(), reason=_OLDER)
needs_heights = pytest.mark.skipif(not has_heights(), reason=_OLDER)
needs_lies = pytest.mark.skipif(not can_lie(), reason=_OLDER)


def lies_about(said: Mapping[int, int | None]) -> bytes:
    """The file SIMTL_LIES of the software camera: what it says of its frames by BUFFER_INFO_CMD; None: nothing."""
    lies = b"".join(_LIE.pack(command, 2 if value is None else 1, value or 0) for command, value in said.items())
    return lies.ljust(LIES_BYTES, b"\0")


def numbered_image(number: int) -> np.ndarray:
    """A grey image that tells which one it is."""
    image = np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH) * 7 + number * 31
    return (image % 251).astype(np.uint8)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """The only software camera, with image 0 in front of its lens; its environment is set for this process."""
    with Scene(tmp_path / "cam", WIDTH, HEIGHT, 1) as scene:
        for name, value in scene.environment().items():
            monkeypatch.setenv(name, value)
        scene.show(numbered_image(0))
        yield scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five numbered images."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(5):
        write_png(images / f"{number}.png", numbered_image(number))
    return images
