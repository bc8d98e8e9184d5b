"""Choosing how the part is found, from the good images alone, and finding it in all of them.

`auto` takes `blob` when both hold: in nearly all images one part lies free on an even background, and it lies so
differently that a model of what belongs where would blur it. Else the whole image is looked at: what is always in the
same place needs no location, and every location can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.location_spec import SEARCH_PX, PictureName, Polygon, TemplateLocation
from engines.bundle.manifest import InputSpec
from engines.errors import DatasetError, EngineError, PartNotLocated, TrainingError
from engines.location.blob import Blob, find_blob, measure_contrast, pose_of
from engines.location.location import WHOLE_IMAGE, Location
from engines.location.pose import Pose
from engines.location.template import TemplateLocator, search_image
from engines.preprocess import describe, prepare
from engines.training.images.dataset import MIN_IMAGES, Dataset, ImageFile, choose_input, read_image
from engines.training.location.blob import choose_blob, choose_contrast, describe_blob, spread_of

SAMPLE = 60
"""Images that a choice is made from."""
MIN_LOCATED_SHARE = 0.9
"""With less, `auto` does not choose a location, and one that was asked for is an error."""
MAX_LISTED = 5
"""Reasons in one error message."""

TEMPLATE_MIDDLE = (0.15, 0.15, 0.7, 0.7)
MIN_CORRELATION = 0.3
CORRELATION_SHARE = 0.75
"""Of the median over the training images: less is not the taught picture."""
THUMBNAIL_PX = 32

_Result = TypeVar("_Result")
OnProgress = Callable[[int, int], None]
"""(done, total)."""


@dataclass(frozen=True)
class LocateOptions:
    """What can be chosen."""

    method: str = "auto"
    ignore: tuple[Polygon, ...] = ()
    """Regions that do not count, (x, y) from 0 to 1 of the located part (the whole image without location)."""
    template_box: tuple[float, float, float, float] = TEMPLATE_MIDDLE
    """(x, y, width, height) of the picture to search, shares of the image."""
    template_max_angle_deg: float = 0.0


@dataclass(frozen=True)
class NotLocated:
    """A training image that is left out."""

    file: ImageFile
    reason: str


@dataclass(frozen=True)
class Located:
    """What teaching goes on with."""

    dataset: Dataset
    """The images in which the part was found."""
    location: Location
    input: InputSpec
    """The model's input, in the aspect of what was located."""
    failed: tuple[NotLocated, ...]
    description: str
    """What was found and what the model will see, in words."""


@dataclass(frozen=True)
class _Found:
    location: Location
    poses: Sequence[Pose | str | None]
    """For every image; None: the whole image, a text: why the part was not found."""
    words: str


def locate(
    dataset: Dataset, options: LocateOptions | None = None, on_progress: OnProgress = lambda _done, _total: None
) -> Located:
    """Choose the location for the images of `dataset` and leave out those in which the part is not found.

    Raises:
        TrainingError: unknown method, a box or a region that is none, or the part is found in too few images.
    """
    options = options or LocateOptions()
    if options.method not in METHODS:
        raise TrainingError(f'unknown location "{options.method}"; known: {", ".join(METHODS)}')
    try:
        found = METHODS[options.method](dataset, options, on_progress)
    except EngineError as error:
        raise TrainingError(f"location {options.method}: {error}") from error
    outcomes = list(zip(dataset.files, found.poses, strict=True))
    failed = tuple(NotLocated(file, pose) for file, pose in outcomes if isinstance(pose, str))
    _check_enough(dataset, failed, options.method)
    kept = Dataset(dataset.folder, tuple(file for file, pose in outcomes if not isinstance(pose, str)))
    sizes = [
        (max(1, round(pose.width)), max(1, round(pose.height))) if pose else (file.width, file.height)
        for file, pose in outcomes
        if not isinstance(pose, str)
    ]
    spec = choose_input(sizes, located=found.location is not WHOLE_IMAGE)
    location, words = found.location, found.words
    if options.ignore:
        location = _with_ignored(kept, location, spec, options.ignore)
        words += f"; {len(options.ignore)} regions ignored"
    if failed:
        words += f"; {len(failed)} of {len(outcomes)} images left out: the part was not found in them"
    return Located(
        kept, location, spec, failed, f"{words}; {describe(sizes, spec, located=found.location is not WHOLE_IMAGE)}"
    )


def split_located(
    files: Sequence[ImageFile], location: Location, on_progress: OnProgress = lambda _done, _total: None
) -> tuple[list[int], tuple[NotLocated, ...]]:
    """Of other images for the same engine: the indices of those in which the part is found, and the others."""
    if location.spec.method == "none":
        return list(range(len(files))), ()
    poses = _each(files, location.locate, on_progress)
    located = [index for index, pose in enumerate(poses) if not isinstance(pose, str)]
    failed = tuple(NotLocated(file, pose) for file, pose in zip(files, poses, strict=True) if isinstance(pose, str))
    return located, failed


def _none(dataset: Dataset, _options: LocateOptions, on_progress: OnProgress) -> _Found:
    on_progress(len(dataset.files), len(dataset.files))
    return _whole(dataset, "whole image, no location")


def _whole(dataset: Dataset, words: str) -> _Found:
    return _Found(WHOLE_IMAGE, [None] * len(dataset.files), words)


def _auto(dataset: Dataset, options: LocateOptions, on_progress: OnProgress) -> _Found:
    sample = _sample(dataset.files)
    blobs, _ = _find_blobs(sample, on_progress)
    good = [(blob, file) for blob, file in zip(blobs, sample, strict=True) if isinstance(blob, Blob)]
    if len(good) < MIN_LOCATED_SHARE * len(sample):
        return _whole(
            dataset, f"whole image ({len(good)} of {len(sample)} images show one part free on an even background)"
        )
    spread = spread_of([blob for blob, _ in good], [file for _, file in good])
    if not spread.varies:
        return _whole(dataset, f"whole image (the part always lies alike: it varies in {spread})")
    found = _blob(dataset, options, on_progress)
    left = sum(not isinstance(pose, str) for pose in found.poses)
    if not _is_enough(left, len(dataset.files)):
        return _whole(dataset, f"whole image (the part was found in only {left} of {len(dataset.files)} images)")
    return found


def _blob(dataset: Dataset, _options: LocateOptions, on_progress: OnProgress) -> _Found:
    blobs, contrast = _find_blobs(dataset.files, on_progress)
    good = [(blob, file) for blob, file in zip(blobs, dataset.files, strict=True) if isinstance(blob, Blob)]
    if len(good) < MIN_IMAGES:  # too few to say how they lie; the caller complains
        return _Found(WHOLE_IMAGE, [blob if isinstance(blob, str) else None for blob in blobs], "")
    spread = spread_of([blob for blob, _ in good], [file for _, file in good])
    spec = choose_blob([blob for blob, _ in good], spread, contrast)
    poses: list[Pose | str | None] = []
    for blob in blobs:
        try:
            poses.append(blob if isinstance(blob, str) else pose_of(blob, spec))
        except PartNotLocated as error:
            poses.append(str(error))
    return _Found(Location(spec), poses, describe_blob(spec, spread))


def _find_blobs(files: Sequence[ImageFile], on_progress: OnProgress) -> tuple[list[Blob | str], float]:
    """The part in every image, or why it was not found, and the contrast it was searched with."""
    contrast = choose_contrast(measure_contrast(read_image(file.path)) for file in _sample(files))
    return _each(files, lambda image: find_blob(measure_contrast(image), contrast), on_progress), contrast


def _template(dataset: Dataset, options: LocateOptions, on_progress: OnProgress) -> _Found:
    x, y, box_width, box_height = options.template_box
    if not (0 <= x < x + box_width <= 1 and 0 <= y < y + box_height <= 1):
        raise TrainingError(
            f"template box {options.template_box}: x, y, width, height are shares of the image, the box inside of it"
        )
    sample = _sample(dataset.files)
    images = [read_image(file.path) for file in sample]
    typical = _most_typical(images)
    taught = sample[typical]
    scale = min(1.0, SEARCH_PX / max(taught.width, taught.height))
    width, height = max(16, round(taught.width * scale)), max(16, round(taught.height * scale))
    search = search_image(images[typical], width, height)
    left, top, right, bottom = (
        round(share * size)
        for share, size in ((x, width), (y, height), (x + box_width, width), (y + box_height, height))
    )
    if right - left < 8 or bottom - top < 8:
        raise TrainingError(f"template box {options.template_box} is too small: choose at least 8 of {width}x{height}")
    picture = np.ascontiguousarray(search[top:bottom, left:right])
    spec = TemplateLocation(
        search_width=width,
        search_height=height,
        min_correlation=MIN_CORRELATION,
        max_angle_deg=options.template_max_angle_deg,
    )
    locator = TemplateLocator(spec, picture)
    median = float(np.median([locator.correlation(image) for image in images]))
    least = min(0.95, max(MIN_CORRELATION, CORRELATION_SHARE * median))
    location = Location(spec.model_copy(update={"min_correlation": least}), pictures={"template": picture})
    poses = _each(dataset.files, location.locate, on_progress)
    words = f"taught picture cut from {taught.path.name}, resembled by {median:.2f} (median)"
    centres = [
        (pose.x / file.width, pose.y / file.height, pose.angle_deg)
        for pose, file in zip(poses, dataset.files, strict=True)
        if isinstance(pose, Pose)
    ]
    if centres:
        across, down, angle = np.std(centres, axis=0)
        words += f"; it varies by {across:.1%} of the width, {down:.1%} of the height and {angle:.1f} degrees"
    return _Found(location, poses, words)


METHODS: dict[str, Callable[[Dataset, LocateOptions, OnProgress], _Found]] = {
    "auto": _auto,
    "none": _none,
    "blob": _blob,
    "template": _template,
}


def _each(
    files: Sequence[ImageFile], find: Callable[[NDArray[np.uint8]], _Result], on_progress: OnProgress
) -> list[_Result | str]:
    """What `find` gives for every image, or why it found nothing."""
    results: list[_Result | str] = []
    for done, file in enumerate(files, start=1):
        try:
            results.append(find(read_image(file.path)))
        except PartNotLocated as error:
            results.append(str(error))
        on_progress(done, len(files))
    return results


def _sample(files: Sequence[ImageFile]) -> Sequence[ImageFile]:
    """Evenly spaced over the whole set."""
    if len(files) <= SAMPLE:
        return files
    return [files[index] for index in np.linspace(0, len(files) - 1, SAMPLE).round().astype(int)]


def _is_enough(left: int, count: int) -> bool:
    return left >= max(MIN_IMAGES, MIN_LOCATED_SHARE * count)


def _check_enough(dataset: Dataset, failed: Sequence[NotLocated], method: str) -> None:
    left = len(dataset.files) - len(failed)
    if _is_enough(left, len(dataset.files)):
        return
    shown = "; ".join(f"{entry.file.path.name}: {entry.reason}" for entry in failed[:MAX_LISTED])
    more = f"; and {len(failed) - MAX_LISTED} more" if len(failed) > MAX_LISTED else ""
    raise DatasetError(
        f'location {method}: the part was found in {left} of {len(dataset.files)} images of "{dataset.folder}", at '
        f"least {MIN_LOCATED_SHARE:.0%} and {MIN_IMAGES} are needed ({shown}{more}); remove images without a part, "
        "improve light and background, or choose another location (none always works)"
    )


def _with_ignored(dataset: Dataset, location: Location, spec: InputSpec, ignore: tuple[Polygon, ...]) -> Location:
    """The same location; ignored regions will show what a typical image shows there."""
    for polygon in ignore:
        if len(polygon) < 3 or not all(0 <= value <= 1 for point in polygon for value in point):
            raise TrainingError(f"ignored region {polygon}: at least 3 points (x, y), each from 0 to 1")
    inputs = [prepare(read_image(file.path), spec, location).pixels for file in _sample(dataset.files)]
    pictures: dict[PictureName, NDArray[np.uint8]] = {**location.pictures, "fill": inputs[_most_typical(inputs)]}
    return Location(location.spec, ignore=ignore, pictures=pictures)


def _most_typical(images: Sequence[NDArray[np.uint8]]) -> int:
    """The image nearest to the median of all, seen very small."""
    thumbnails = np.stack([_thumbnail(image) for image in images])
    distances = np.abs(thumbnails - np.median(thumbnails, axis=0)).mean(axis=(1, 2))
    return int(distances.argmin())


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = cv2.resize(image, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small if small.ndim == 2 else small.mean(axis=2), np.float32)
