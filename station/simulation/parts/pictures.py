"""Pictures of real parts, from a folder in MVTec layout, brought onto the sensor of one camera.

    DIR/train/good/*        good parts, to teach the engine
    DIR/test/good/*         good parts, to inspect
    DIR/test/<defect>/*     defective parts, to inspect

A camera delivers one size, the pictures may differ in size: each is scaled to fit (its aspect stays) and the rest of
the sensor is filled with its own mirrored border.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.imagefiles.header import ImageUnreadable
from drivers.imagefiles.listing import is_hidden, list_images
from drivers.imagefiles.reading import read

Pixels = NDArray[np.uint8]

GOOD = "good"
MIN_TRAINING_IMAGES = 20
MIN_SIDE_PX, MAX_SIDE_PX = 64, 1024
_STEP_PX = 4  # sensors have a width increment; ours takes multiples of 4


class ImageFolderError(Exception):
    """A folder of images cannot be used; the message says what is wrong and what is expected."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One file and what is known of the part in it."""

    path: Path
    truth: str
    """`good` or the name of the defect (its folder)."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """The sensor that all pictures are brought onto."""

    width_px: int
    height_px: int
    channels: int
    """1 (Mono8) or 3 (RGB8)."""

    @property
    def pixel_format(self) -> str:
        return "Mono8" if self.channels == 1 else "RGB8"

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.height_px, self.width_px) if self.channels == 1 else (self.height_px, self.width_px, 3)

    def scale(self, width: int, height: int) -> float:
        """By what a picture of this size is scaled."""
        scale = min(self.width_px / width, self.height_px / height)
        return 1.0 if 1.0 <= scale < 1.02 else scale  # nearly the sensor's size: fine detail is not worth resampling

    def share_filled(self, width: int, height: int) -> float:
        """Share of the sensor that a picture of this size leaves to its mirrored border."""
        return 1.0 - self.scale(width, height) ** 2 * width * height / (self.width_px * self.height_px)

    def fit(self, image: Pixels) -> Pixels:
        """Scales `image` (height, width[, 3]) to fit, its aspect kept, and mirrors its border over the rest."""
        if self.channels == 3 and image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        height, width = image.shape[:2]
        if (width, height) == (self.width_px, self.height_px):
            return image
        scale = self.scale(width, height)
        new_width = min(self.width_px, max(1, round(width * scale)))
        new_height = min(self.height_px, max(1, round(height * scale)))
        if (new_width, new_height) != (width, height):
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            image = cv2.resize(image, (new_width, new_height), interpolation=method).astype(np.uint8)
        left, top = (self.width_px - new_width) // 2, (self.height_px - new_height) // 2
        right, bottom = self.width_px - new_width - left, self.height_px - new_height - top
        return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT_101).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class ImageParts:
    """A checked folder: every file in it was decoded once."""

    folder: Path
    training: tuple[LabelledImage, ...]
    test: tuple[LabelledImage, ...]
    canvas: Canvas
    fitted: str
    """In words: what was done to bring the pictures onto the sensor."""

    def pixels(self, image: LabelledImage) -> Pixels:
        """The picture on the sensor, of shape `canvas.shape`."""
        return self.canvas.fit(read_image(image.path))


def read_image(path: Path) -> Pixels:
    """Decodes a file: (height, width) when grey, (height, width, 3) RGB when coloured; 8 bit only."""
    try:
        return read(path).pixels
    except ImageUnreadable as problem:
        raise ImageFolderError(f"{path}: {problem}; replace or remove the file") from problem


def open_folder(folder: Path) -> ImageParts:
    """Reads and checks a folder in MVTec layout. Raises ImageFolderError."""
    if not folder.is_dir():
        raise ImageFolderError(f"{folder}: no such folder; --images takes a folder with train/good and test/<kind>")
    training = _images(folder / "train" / GOOD, GOOD)
    if len(training) < MIN_TRAINING_IMAGES:
        raise ImageFolderError(
            f"{folder / 'train' / GOOD}: {len(training)} good images; an engine needs at least {MIN_TRAINING_IMAGES}"
        )
    kinds = sorted(path for path in (folder / "test").glob("*") if path.is_dir() and not is_hidden(path.name))
    test = tuple(image for kind in kinds for image in _images(kind, kind.name))
    if not test:
        raise ImageFolderError(f"{folder / 'test'}: no images to inspect; put them into test/good and test/<defect>")
    shapes = [read_image(image.path).shape for image in (*training, *test)]
    canvas = _choose_canvas(shapes)
    return ImageParts(folder, training, test, canvas, _describe(shapes, canvas))


def _images(folder: Path, truth: str) -> tuple[LabelledImage, ...]:
    return tuple(LabelledImage(path, truth) for path in list_images(folder).files) if folder.is_dir() else ()


def _choose_canvas(shapes: list[tuple[int, ...]]) -> Canvas:
    """The size that most pictures have, else the median width and height; bounded, in steps of 4 px."""
    sizes = Counter((shape[1], shape[0]) for shape in shapes)
    (width, height), count = sizes.most_common(1)[0]
    if count * 2 < len(shapes):
        width, height = (int(np.median([shape[axis] for shape in shapes])) for axis in (1, 0))
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    width, height = (max(MIN_SIDE_PX, math.ceil(side * scale / _STEP_PX) * _STEP_PX) for side in (width, height))
    return Canvas(width, height, channels=1 if all(len(shape) == 2 for shape in shapes) else 3)


def _describe(shapes: list[tuple[int, ...]], canvas: Canvas) -> str:
    wanted = (canvas.width_px, canvas.height_px)
    fitted = [shape for shape in shapes if (shape[1], shape[0]) != wanted]
    text = f"sensor {canvas.width_px} x {canvas.height_px} {canvas.pixel_format}: "
    if not fitted:
        text += f"all {len(shapes)} images have this size"
    else:
        scales = [canvas.scale(shape[1], shape[0]) for shape in fitted]
        filled = [canvas.share_filled(shape[1], shape[0]) for shape in fitted]
        text += (
            f"{len(fitted)} of {len(shapes)} images have another size and are brought to fit "
            f"(scaled by {min(scales):.2f} to {max(scales):.2f}, aspect kept); the mirrored border fills "
            f"{np.mean(filled):.0%} of the sensor on average, {max(filled):.0%} at most"
        )
    grey = sum(len(shape) == 2 for shape in shapes)
    if canvas.channels == 3 and grey:
        text += f"; {grey} grey images are shown as RGB"
    return text
