"""Reference pictures beside an engine of a test, written as teaching writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle.reading import read_manifest, read_pictures
from engines.bundle.reference import reference_files, reference_picture
from engines.location.location import Location
from engines.preprocess import prepare


def keep_reference(engine: Path, images: Sequence[NDArray[np.uint8]]) -> Path:
    """Images of good parts as a camera gives them, numbered from 0; returns the engine."""
    manifest = read_manifest(engine)
    location = Location(manifest.location, ignore=manifest.ignore, pictures=read_pictures(engine.resolve(), manifest))
    pictures = [
        reference_picture(number, prepare(image, manifest.input, location).pixels, manifest.input)
        for number, image in enumerate(images)
    ]
    for name, content in reference_files(manifest.engine_id, manifest.input, pictures).items():
        (engine / name).parent.mkdir(exist_ok=True)
        (engine / name).write_bytes(content)
    return engine
