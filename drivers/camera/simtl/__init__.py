"""The software camera: a real GenTL producer (`simtl.cti`, C) and the scene in front of its lens (Python).

`producer_path` gives the file that harvesters loads like any vendor's producer. `Scene` is what the line simulator
holds: it shows parts, moves the light barrier, causes faults and reads the camera's outputs. See README.md.
"""

from __future__ import annotations

from pathlib import Path

from drivers.camera.protocol import ProducerError
from drivers.camera.simtl.scene import ExposureState, OutputState, Scene, SceneError, height_scene

__all__ = ["ExposureState", "OutputState", "Scene", "SceneError", "height_scene", "producer_path"]


def producer_path() -> Path:
    """The built producer. Raises ProducerError, with the command that builds it, when it is missing."""
    path = Path(__file__).with_name("simtl.cti")
    if not path.is_file():
        raise ProducerError(
            f'the software camera is not built: "{path}" is missing; build it in the root of the repository with '
            '"python setup.py build_ext --inplace" or "pip install -e ." (needs a C compiler)'
        )
    return path
