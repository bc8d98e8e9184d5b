"""Features of images, computed once and kept image by image, named by all that they depend on.

A set of images is put together from its entries in one memory-mapped file, so twenty new images cost twenty images.
That file has no name and is gone with its last user, whatever ends it; only the entries stay, up to `MAX_CACHE_BYTES`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec
from engines.detectors.base import Detector
from engines.detectors.without_torch import DETAIL
from engines.errors import DatasetError, PartNotLocated, TrainingError
from engines.location.location import WHOLE_IMAGE, Location
from engines.preprocess import prepare
from engines.training.images.array_files import read_arrays, write_arrays
from engines.training.images.dataset import Dataset, ImageFile, read_image

BATCH = 8
MAX_CACHE_BYTES = 20 << 30
"""Entries beyond this are removed, those first that were not used for the longest time."""

CachedFeatures = Mapping[str, NDArray[np.float16]]
"""Name -> (images, ...), memory-mapped: images in the order of the data set, the other axes as `Features` has them."""
_Entry = dict[str, NDArray[np.float16]]
"""Stream -> features of one image."""


def cached_features(
    detector: Detector,
    dataset: Dataset,
    spec: InputSpec,
    *,
    detector_key: str,
    folder: Path,
    on_progress: Callable[[int, int], None],
    location: Location = WHOLE_IMAGE,
) -> CachedFeatures:
    """The features of all images of `dataset`: those that `folder` has, and the others computed and kept there.

    Args:
        detector_key: identifies the frozen part of the detector, weights included.
        location: how the part is found in each image.

    Raises:
        TrainingError: a feature is not finite, or the cache cannot be written.
        DatasetError: an image cannot be read, or the part is not found in it.
    """
    key = key_of_features(detector_key, spec, location)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{key[:16]}-{file.sha256}{'-upright' * file.turned}.npz" for file in dataset.files]
        known = [file.is_file() for file in files]
        _prune(folder, MAX_CACHE_BYTES, keep=set(files))
        entries = _entries(detector, dataset, spec, location, files)
        features: dict[str, NDArray[np.float16]] = {}
        for index, entry in enumerate(entries):
            for name, value in entry.items():
                if name not in features:
                    features[name] = _unnamed_memmap((len(files), *value.shape), folder)
                features[name][index] = value
            if not known[index] or index + 1 == len(files):
                on_progress(index + 1, len(files))
    except OSError as error:
        raise TrainingError(
            f'feature cache "{folder}": {error.strerror or error}; make room or choose another folder'
        ) from error
    for array in features.values():
        array.flags.writeable = False
    return features


def key_of_features(detector_key: str, spec: InputSpec, location: Location) -> str:
    """Names everything that features depend on beside the image, 64 hex digits. `detector_key`: as above."""
    return hashlib.sha256("\n".join([detector_key, spec.model_dump_json(), location.content_id]).encode()).hexdigest()


def take(
    features: CachedFeatures, indices: Sequence[int] | NDArray[np.intp], *, detail: bool = False
) -> dict[str, torch.Tensor]:
    """The features of some images as float32 tensors; with `detail` also those that only the shown map is made of."""
    return {
        name: torch.from_numpy(np.asarray(array[indices], np.float32))
        for name, array in features.items()
        if detail or name != DETAIL
    }


def _entries(
    detector: Detector, dataset: Dataset, spec: InputSpec, location: Location, files: Sequence[Path]
) -> Iterator[_Entry]:
    """The entry of every image in order; what is missing is computed a batch at a time."""
    computed: dict[int, _Entry] = {}
    for index, file in enumerate(files):
        entry = computed.pop(index, None) or read_arrays(file)
        if entry is None:
            ahead = range(index + 1, len(files))
            others = (other for other in ahead if other not in computed and not files[other].is_file())
            batch = [index, *(other for other, _ in zip(others, range(BATCH - 1), strict=False))]
            found = _compute(detector, [dataset.files[each] for each in batch], spec, location)
            for each, new in zip(batch, found, strict=True):
                write_arrays(files[each], new)
                computed[each] = new
            entry = computed.pop(index)
        yield entry


def _compute(detector: Detector, images: Sequence[ImageFile], spec: InputSpec, location: Location) -> list[_Entry]:
    pixels = []
    for image in images:
        try:
            pixels.append(prepare(read_image(image.path), spec, location).pixels)
        except PartNotLocated as error:
            raise DatasetError(f"{image.path.name}: {error}; leave the image out") from error
    with torch.inference_mode():
        found = detector.features(torch.from_numpy(np.stack(pixels)))
    with np.errstate(over="ignore"):  # what does not fit is infinite, and refused
        halves = {name: value.numpy().astype(np.float16) for name, value in found.items()}
    for name, value in halves.items():
        if not np.isfinite(value).all():
            raise TrainingError(
                f"features {name} of {images[0].path.name}..{images[-1].path.name} are not finite; "
                "the weights of the backbone are damaged: install the package that brings them again"
            )
    return [{name: value[row] for name, value in halves.items()} for row in range(len(images))]


def _unnamed_memmap(shape: tuple[int, ...], folder: Path) -> NDArray[np.float16]:
    size = int(np.prod(shape)) * np.dtype(np.float16).itemsize
    with tempfile.TemporaryFile(dir=folder) as stream:
        os.posix_fallocate(stream.fileno(), 0, size)  # a full disk is an error here, later it would be a crash
        return np.memmap(stream, np.float16, "r+", shape=shape)


def _prune(folder: Path, max_bytes: int, keep: set[Path]) -> None:
    """Remove the entries not used for the longest time until the others fit."""
    entries = []
    for file in folder.glob("*.npz"):
        try:
            entries.append((file.stat(), file))
        except FileNotFoundError:  # another process prunes, too
            continue
    total = sum(info.st_size for info, _ in entries)
    for info, file in sorted(entries, key=lambda entry: entry[0].st_mtime_ns):
        if total <= max_bytes:
            return
        if file not in keep:
            file.unlink(missing_ok=True)
            total -= info.st_size
