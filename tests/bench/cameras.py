"""Software cameras with a scene in front of them, and folders of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.camera.images import write_png
from drivers.camera.simtl import Scene

WIDTH, HEIGHT = 64, 48


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
