"""Which images to learn from, and reading them. Everything that is wrong with a folder is reported at once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from drivers.imagefiles.header import ImageUnreadable
from drivers.imagefiles.listing import SUFFIXES, Listing, list_images, some_names
from drivers.imagefiles.png_text import text_in
from drivers.imagefiles.reading import Decoded, read
from engines import said
from engines.bundle.manifest import InputSpec
from engines.errors import DatasetError
from engines.inputs.depth_spec import MARK
from engines.sentences import Template

MIN_IMAGES = 20
MAX_LISTED = 10
"""Names in one error message."""
MASK_ENDING = "_mask"
"""`NAME_mask.png` beside `NAME.png` shows where the defect of a known-bad image is, and is no image to learn from."""

SHORT_SIDE_PX = 256
ELONGATED_SHORT_SIDE_PX = 288
"""Of images at least twice as long as wide: their defects are smaller beside the long side."""
ELONGATED = 2.0
MAX_ELONGATION = 100.0
VARYING_ASPECT = 1.1
"""Largest over smallest width / height from which the images were cut out around parts of different shapes."""
MAJORITY = 0.9
"""Share of images that decide for all what shape the images have; the others are named."""
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
    pages: int = 1
    """More: only the first one is seen."""
    turned: bool = False
    """Stored turned, and seen upright."""
    depth: str = ""
    """How it was made of heights; empty: it was not."""


@dataclass(frozen=True)
class Dataset:
    """The good images to learn from, in order of their names."""

    folder: Path
    files: tuple[ImageFile, ...]
    notes: tuple[str, ...] = ()
    """What was left out of the folder, and which images are not like the others."""

    @property
    def grey(self) -> bool:
        """Most images are grey."""
        return 2 * sum(file.grey for file in self.files) > len(self.files)

    @property
    def depth(self) -> str | None:
        """How images were made of heights, all of them in the same way; None: none was."""
        return next((file.depth for file in self.files if file.depth), None)

    @property
    def alike(self) -> tuple[ImageFile, ...]:
        """The images of the shape that most have; all, where most share none."""
        kept = usual_shape(self.sizes)
        return tuple(file for file, usual in zip(self.files, kept, strict=True) if usual)

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
    found = _list_images(source)
    paths = _without_masks(found.files)
    if len(paths) < MIN_IMAGES:
        raise DatasetError(
            f'"{source}" has {len(paths)} images ({", ".join(sorted(SUFFIXES))}); teaching needs at least {MIN_IMAGES} '
            "images of good parts, 50 or more are better: add images" + "".join(f"; {note}" for note in found.notes)
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
            "allowed: 8 bit grey or colour; remove or convert them; heights of a 3-D camera: station teach --heights-of"
        )
    ways = {file.depth for file in files if file.depth}
    if len(ways) > 1:
        raise DatasetError(
            f'the images in "{source}" were made of heights in {len(ways)} ways: {"; ".join(sorted(ways)[:MAX_LISTED])}'
            "; an engine learns one: take those of one section `depth`"
        )
    different = len({file.sha256 for file in files})
    if different < MIN_IMAGES:
        raise DatasetError(
            f'only {different} of the {len(files)} images in "{source}" differ from each other; teaching needs '
            f"at least {MIN_IMAGES} different images of good parts: is the camera stuck on one frame?"
        )
    dataset = Dataset(source, tuple(files))
    return Dataset(source, tuple(files), (*found.notes, *_notes(dataset)))


def _notes(dataset: Dataset) -> tuple[str, ...]:
    """Which images are not like most of the others: a set is decided by its majority."""

    def those(what: Template, chosen: Callable[[ImageFile], bool]) -> str:
        names = [file.path.name for file in dataset.files if chosen(file)]
        counts = {"count": len(names), "total": len(dataset.files)}
        return said.OF_IMAGES(**counts, what=what(), names=some_names(names)) if names else ""

    alike = frozenset(dataset.alike)
    notes = (
        those(said.ARE_COLOUR if dataset.grey else said.ARE_GREY, lambda file: file.grey != dataset.grey),
        those(said.OTHER_SHAPE, lambda file: file not in alike),
        those(said.SEVERAL_PAGES, lambda file: file.pages > 1),
        those(said.STORED_TURNED, lambda file: file.turned),
    )
    return tuple(note for note in notes if note)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image: uint8, (height, width) grey or (height, width, 3) RGB; transparency is dropped.

    Raises:
        DatasetError: cannot be read, decoded, or is not 8 bit.
    """
    return _read(path).pixels


def _read(path: Path) -> Decoded:
    try:
        return read(path)
    except ImageUnreadable as problem:
        raise DatasetError(f"{path.name}: {problem}") from problem


def usual_shape(sizes: Sequence[tuple[int, int]]) -> list[bool]:
    """Of images of these (width, height), which have the width / height of most; all, where too few share one."""
    aspects = [width / height for width, height in sizes]
    middle, reach = median(aspects), math.sqrt(VARYING_ASPECT)
    usual = [middle / reach <= aspect <= middle * reach for aspect in aspects]
    return usual if sum(usual) >= MAJORITY * len(usual) else [True] * len(usual)


def choose_input(sizes: Sequence[tuple[int, int]], *, located: bool = False) -> InputSpec:
    """The model input for images of these (width, height): median aspect, a short side of 256 px, area bounded.

    Images of different shapes share no aspect: they are stretched to a square. Larger inputs were measured and did not
    rank better: see docs/decisions/0005-spatial-detector.md.

    Args:
        located: the sizes are those of located parts; these are never stretched.
    """
    aspects = [width / height for (width, height), usual in zip(sizes, usual_shape(sizes), strict=True) if usual]
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


def _list_images(source: Path) -> Listing:
    try:
        return list_images(source)
    except OSError as error:
        raise DatasetError(
            f'image folder "{source}": {error.strerror}; expected a folder of images or the MVTec layout (train/good)'
        ) from error


def _without_masks(paths: Sequence[Path]) -> list[Path]:
    stems = {path.stem for path in paths}
    return [path for path in paths if not (path.stem.endswith(MASK_ENDING) and path.stem[: -len(MASK_ENDING)] in stems)]


def inspect_image(path: Path) -> ImageFile:
    """Read and check one image. Raises DatasetError: cannot be read, decoded, or is not 8 bit."""
    found = _read(path)
    height, width = found.pixels.shape[:2]
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    depth = text_in(content, MARK)
    return ImageFile(path, sha256, width, height, found.pixels.ndim == 2, found.pages, found.turned, depth)
