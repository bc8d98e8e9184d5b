"""Features of images, computed once: memory-mapped files named by what they were computed from."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.manifest import InputSpec
from engines.preprocess import fit
from engines.training.dataset import Dataset, read_image
from engines.training.errors import TrainingError

BATCH = 8

CachedFeatures = Mapping[str, NDArray[np.float16]]
"""Stream -> (images, ...), memory-mapped."""


def cached_features(
    detector: Detector,
    dataset: Dataset,
    spec: InputSpec,
    *,
    detector_key: str,
    folder: Path,
    on_progress: Callable[[int, int], None],
) -> CachedFeatures:
    """The features of all images of `dataset`, from `folder` if they are there, else computed and kept there.

    Args:
        detector_key: identifies the frozen part of the detector, weights included.

    Raises:
        TrainingError: a feature is not finite.
    """
    content = "\n".join([detector_key, spec.model_dump_json(), *(file.sha256 for file in dataset.files)])
    entry = folder / hashlib.sha256(content.encode()).hexdigest()
    if not entry.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".features.", dir=folder))
        try:
            _compute(detector, dataset, spec, temporary, on_progress)
            if not entry.is_dir():
                temporary.rename(entry)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return {file.stem: np.load(file, mmap_mode="r") for file in sorted(entry.glob("*.npy"))}


def take(features: CachedFeatures, indices: Sequence[int] | NDArray[np.intp]) -> dict[str, torch.Tensor]:
    """The features of some images as float32 tensors."""
    return {name: torch.from_numpy(np.asarray(array[indices], np.float32)) for name, array in features.items()}


def _compute(
    detector: Detector, dataset: Dataset, spec: InputSpec, folder: Path, on_progress: Callable[[int, int], None]
) -> None:
    total = len(dataset.files)
    arrays: dict[str, NDArray[np.float16]] = {}
    for start in range(0, total, BATCH):
        batch = dataset.files[start : start + BATCH]
        pixels = np.stack([fit(read_image(file.path), spec).pixels for file in batch])
        with torch.inference_mode():
            found = detector.features(torch.from_numpy(pixels))
        for name, value in found.items():
            if not torch.isfinite(value).all():
                raise TrainingError(
                    f"features {name} of {batch[0].path.name}..{batch[-1].path.name} are not finite; "
                    "the weights of the backbone are damaged: install the package that brings them again"
                )
            if name not in arrays:
                shape = (total, *value.shape[1:])
                arrays[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float16, shape)
            arrays[name][start : start + len(batch)] = value.numpy()
        on_progress(start + len(batch), total)
    for array in arrays.values():
        assert isinstance(array, np.memmap)
        array.flush()
