"""Which images to learn from, and reading them. Everything that is wrong with a folder is reported at once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec
from engines.errors import DatasetError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MIN_IMAGES = 20
MAX_LISTED = 10
"""Names in one error message."""

SHORT_SIDE_PX = 256
ELONGATED_SHORT_SIDE_PX = 288
"""Of images at least twice as long as wide: their defects are smaller beside the long side."""
ELONGATED = 2.0
MAX_ELONGATION = 100.0
VARYING_ASPECT = 1.1
"""Largest over smallest width / height from which the images were cut out around parts of different shapes."""
MAX_INPUT_AREA_PX = 288 * 704
"""Bounds the time of one inference; elongated images get a shorter short side."""
INPUT_MULTIPLE = 32


@dataclass(frozen=True)
class ImageFile:
    """One image that can be read."""

    path: Path
    sha256: str
    width: int
    height: int
    grey: bool


@dataclass(frozen=True)
class Dataset:
    """The good images to learn from, in order of their names."""

    folder: Path
    files: tuple[ImageFile, ...]

    @property
    def sha256(self) -> str:
        """Hash over names and contents."""
        lines = "".join(f"{file.path.name} {file.sha256}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(width, height) of every image."""
        return tuple((file.width, file.height) for file in self.files)


def open_dataset(folder: Path, on_progress: Callable[[int, int], None] = lambda _done, _total: None) -> Dataset:
    """Find, read and check all good images: `folder/train/good` (MVTec layout) or the images in `folder` itself.

    Raises:
        DatasetError: no such folder, unreadable, fewer than 20 (different) images, images that cannot be decoded or
            whose depth is not supported (all of them are named).
    """
    source = folder / "train" / "good" if (folder / "train" / "good").is_dir() else folder
    paths = _list_images(source)
    if len(paths) < MIN_IMAGES:
        raise DatasetError(
            f'"{source}" has {len(paths)} images ({", ".join(sorted(SUFFIXES))}); teaching needs at least {MIN_IMAGES} '
            "images of good parts, 50 or more are better: add images"
        )
    files = []
    problems = []
    for done, path in enumerate(paths, start=1):
        try:
            files.append(inspect_image(path))
        except DatasetError as error:
            problems.append(str(error))
        on_progress(done, len(paths))
    if problems:
        shown = "; ".join(problems[:MAX_LISTED])
        more = f"; and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        raise DatasetError(
            f'{len(problems)} of {len(paths)} images in "{source}" cannot be used: {shown}{more}; '
            "allowed: 8 bit grey or colour; remove or convert them"
        )
    different = len({file.sha256 for file in files})
    if different < MIN_IMAGES:
        raise DatasetError(
            f'only {different} of the {len(files)} images in "{source}" differ from each other; teaching needs '
            f"at least {MIN_IMAGES} different images of good parts: is the camera stuck on one frame?"
        )
    return Dataset(source, tuple(files))


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image: uint8, (height, width) grey or (height, width, 3) RGB; transparency is dropped.

    Raises:
        DatasetError: cannot be read, decoded, or is not 8 bit.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DatasetError(f"{path.name}: {error.strerror}") from error
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error as error:
        raise DatasetError(f"{path.name}: cannot be decoded ({error.err})") from error
    if pixels is None:
        raise DatasetError(f"{path.name}: cannot be decoded")
    if pixels.dtype != np.uint8:
        raise DatasetError(f"{path.name}: {pixels.dtype.itemsize * 8} bit per channel ({pixels.dtype})")
    if pixels.ndim == 2:
        return np.asarray(pixels, np.uint8)
    conversions = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    if pixels.shape[2] not in conversions:
        raise DatasetError(f"{path.name}: {pixels.shape[2]} channels")
    return np.asarray(cv2.cvtColor(pixels, conversions[pixels.shape[2]]), np.uint8)


def choose_input(sizes: Sequence[tuple[int, int]], *, located: bool = False) -> InputSpec:
    """The model input for images of these (width, height): median aspect, a short side of 256 px, area bounded.

    Images of different shapes share no aspect: they are stretched to a square. Larger inputs were measured and did not
    rank better: see docs/decisions/0005-spatial-detector.md.

    Args:
        located: the sizes are those of located parts; these are never stretched.
    """
    aspects = [width / height for width, height in sizes]
    if not located and max(aspects) > VARYING_ASPECT * min(aspects):
        return InputSpec(width=SHORT_SIDE_PX, height=SHORT_SIDE_PX, fit="stretch")
    aspect = median(aspects)
    elongation = max(aspect, 1 / aspect)
    if elongation > MAX_ELONGATION:
        raise DatasetError(
            f"images with width / height of {aspect:.3g}: allowed is 1:{MAX_ELONGATION:g} to {MAX_ELONGATION:g}:1; "
            "cut them into pieces"
        )
    wanted = ELONGATED_SHORT_SIDE_PX if elongation >= ELONGATED else SHORT_SIDE_PX
    short_side = min(wanted, math.sqrt(MAX_INPUT_AREA_PX / elongation))
    width = short_side * max(aspect, 1.0)
    height = short_side * max(1 / aspect, 1.0)
    return InputSpec(width=_to_multiple(width), height=_to_multiple(height))


def _to_multiple(size: float) -> int:
    # At least three cells of the coarsest stream: a map of one or two locates nothing.
    return max(3, round(size / INPUT_MULTIPLE)) * INPUT_MULTIPLE


def _list_images(source: Path) -> list[Path]:
    try:
        return sorted(
            path
            for path in source.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise DatasetError(
            f'image folder "{source}": {error.strerror}; expected a folder of images or the MVTec layout (train/good)'
        ) from error


def inspect_image(path: Path) -> ImageFile:
    """Read and check one image. Raises DatasetError: cannot be read, decoded, or is not 8 bit."""
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    return ImageFile(path, hashlib.sha256(path.read_bytes()).hexdigest(), width, height, grey=_is_grey(pixels))


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    return pixels.ndim == 2
