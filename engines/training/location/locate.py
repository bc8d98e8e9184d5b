"""Choosing how the part is found, from the good images alone, and finding it in all of them.

`auto` takes `blob` when all three hold: in nearly all images one part lies free on the background, it lies so
differently that a model of what belongs where would blur it, and what is cut out is more alike than the whole images
(`engines.training.location.cuts`). Else the whole image is looked at: what is always in the same place needs no
location, and every location can fail. Where that was a near thing, `NearMiss` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from engines import said
from engines.bundle.location_spec import SEARCH_PX, BlobLocation, PictureName, Polygon, TemplateLocation
from engines.bundle.manifest import InputSpec
from engines.errors import DatasetError, EngineError, PartNotLocated, TrainingError
from engines.location.contrast import shrunk
from engines.location.location import WHOLE_IMAGE, Location
from engines.location.pose import Pose
from engines.location.template import TemplateLocator, search_image
from engines.preprocess import describe, prepare
from engines.training.images.dataset import MIN_IMAGES, Dataset, ImageFile, choose_input, read_image
from engines.training.location.blob import describe_blob
from engines.training.location.cuts import Tried, plain_contrast, try_cuts, unexplained_share, whole_images

SAMPLE = 60
"""Images that a choice is made from."""
MIN_LOCATED_SHARE = 0.9
"""With less, `auto` does not choose a location, and a taught picture that was asked for is an error."""
NEAR_SHARE = 0.3
"""Of the images: where a part is found in this share and they lie differently, the whole image is a near miss. A blob
that was asked for needs no more, since a person looked at it."""
LEFT_OF_WHOLE = 0.8
"""What crops leave unexplained, over what whole images do: with more they are no more alike."""
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
    near_miss: NearMiss | None = None


@dataclass(frozen=True)
class NearMiss:
    """The whole image is looked at, and yet many of the images show a part that lies differently in each."""

    words: str
    """What was found, why it was not taken, and how to force it."""
    instead: Located
    """What would be taken then; for the pictures."""


@dataclass(frozen=True)
class _Found:
    location: Location
    poses: Sequence[Pose | str | None]
    """For every image; None: the whole image, a text: why the part was not found."""
    words: str
    near: _Near | None = None


@dataclass(frozen=True)
class _Near:
    why: str
    found: _Found


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
    least = NEAR_SHARE if options.method == "blob" else MIN_LOCATED_SHARE
    failed = _failed(dataset, found)
    _check_enough(dataset, failed, options.method, least)
    return _located(dataset, found, options)


def _failed(dataset: Dataset, found: _Found) -> tuple[NotLocated, ...]:
    outcomes = zip(dataset.files, found.poses, strict=True)
    return tuple(NotLocated(file, pose) for file, pose in outcomes if isinstance(pose, str))


def _located(dataset: Dataset, found: _Found, options: LocateOptions) -> Located:
    outcomes = list(zip(dataset.files, found.poses, strict=True))
    failed = _failed(dataset, found)
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
    words += f"; {describe(sizes, spec, located=found.location is not WHOLE_IMAGE)}"
    near_miss = None
    if found.near:
        near_miss = NearMiss(found.near.why, _located(dataset, found.near.found, replace(options, ignore=())))
    return Located(kept, location, spec, failed, words, near_miss)


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


def _auto(dataset: Dataset, _options: LocateOptions, on_progress: OnProgress) -> _Found:
    sample = _small(_sample(dataset.files), on_progress)
    tried = try_cuts(sample, NEAR_SHARE)
    if not tried:
        return _whole(dataset, f"whole image (in less than {NEAR_SHARE:.0%} of the images one part lies free)")
    best = next((each for each in tried if each.located_share >= MIN_LOCATED_SHARE), tried[0])
    if not best.spread.varies:
        return _whole(dataset, f"whole image (the part always lies alike: it varies in {best.spread})")
    whole = unexplained_share(whole_images(sample))
    is_alike = best.unexplained <= LEFT_OF_WHOLE * whole
    if not is_alike and best.located_share < MIN_LOCATED_SHARE:
        return _whole(dataset, "whole image (what can be cut out of some images is not more alike than whole images)")
    found = _cut(dataset, best, on_progress)
    left = sum(not isinstance(pose, str) for pose in found.poses)
    is_enough = _is_enough(left, len(dataset.files), MIN_LOCATED_SHARE)
    if is_alike and is_enough:
        return found
    of_all = {"count": left, "total": len(dataset.files)}
    why = said.NOT_MORE_ALIKE(**of_all) if is_enough else said.FOUND_IN_FEW(**of_all)
    whole_image = _whole(dataset, f"whole image ({why})")
    if not _is_enough(left, len(dataset.files), NEAR_SHARE):
        return whole_image
    near = said.NEAR_MISS(why=why, spread=best.spread, count=len(dataset.files) - left)
    return replace(whole_image, near=_Near(near, found))


def _blob(dataset: Dataset, _options: LocateOptions, on_progress: OnProgress) -> _Found:
    sample = _small(_sample(dataset.files), on_progress)
    tried = try_cuts(sample, NEAR_SHARE)
    if tried:
        best = next((each for each in tried if each.located_share >= MIN_LOCATED_SHARE), tried[0])
        return _cut(dataset, best, on_progress)
    # The reasons of the simplest way; the caller complains.
    least = BlobLocation(contrast=plain_contrast(sample), min_area_share=1e-4, max_area_share=0.9, turn=False)
    return _Found(Location(least), _each(dataset.files, Location(least).locate, on_progress), "")


def _cut(dataset: Dataset, best: Tried, on_progress: OnProgress) -> _Found:
    location = Location(best.spec)
    return _Found(location, _each(dataset.files, location.locate, on_progress), describe_blob(best.spec, best.spread))


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


def _small(files: Sequence[ImageFile], on_progress: OnProgress) -> list[NDArray[np.uint8]]:
    """As large as they are searched."""
    images = []
    for done, file in enumerate(files, start=1):
        images.append(shrunk(read_image(file.path)))
        on_progress(done, len(files))
    return images


def _is_enough(left: int, count: int, least_share: float) -> bool:
    return left >= max(MIN_IMAGES, least_share * count)


def _check_enough(dataset: Dataset, failed: Sequence[NotLocated], method: str, least_share: float) -> None:
    left = len(dataset.files) - len(failed)
    if _is_enough(left, len(dataset.files), least_share):
        return
    shown = "; ".join(f"{entry.file.path.name}: {entry.reason}" for entry in failed[:MAX_LISTED])
    more = f"; and {len(failed) - MAX_LISTED} more" if len(failed) > MAX_LISTED else ""
    raise DatasetError(
        f'location {method}: the part was found in {left} of {len(dataset.files)} images of "{dataset.folder}", at '
        f"least {least_share:.0%} and {MIN_IMAGES} are needed ({shown}{more}); remove images without a part, "
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
