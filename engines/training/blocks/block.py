"""A block on disk: one file of plain arrays, with a header that says what they are and the hash of each.

It is read as untrusted: nothing is unpickled, sizes and shapes are bounded and must agree with each other. Features of
another backbone, input or location are refused by whoever joins them (`key`): nothing could be made of them.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from engines.errors import TrainingError
from engines.training.headed_arrays import Header, read_headed, write_headed

FORMAT = 1
SUFFIX = ".block.npz"
MAX_IMAGES = 1000
"""As many as the closed form takes; a teaching from more leaves no block."""
MAX_BYTES = 4 << 30
MAX_STREAMS = 16
_FEATURES = "features."


class _Header(Header):
    name: str = Field(min_length=1, max_length=100)
    created: str = Field(max_length=40)
    key: str = Field(max_length=64)
    is_dirty: bool
    images: list[str] = Field(max_length=2 * MAX_IMAGES)
    hashes: dict[str, str]


@dataclass(frozen=True)
class Block:
    """Images that were learned, and those set aside whose scores count in the limits, in the order of capture."""

    name: str
    """For people: what it was taught from."""
    created: str
    key: str
    """Of everything that the features depend on beside the images."""
    images: tuple[str, ...]
    """SHA-256 of the files: those learned, then those set aside."""
    features: Mapping[str, NDArray[np.float16]]
    """Stream -> (images, ...)."""
    groups: NDArray[np.int64]
    """(learned,): for each the position of the first image of the same part."""
    parts: NDArray[np.int64]
    """(images,): what shows the same part has the same number; in the order of capture."""
    counts: NDArray[np.bool_]
    """(images,): whether its score is one of those that limits are drawn from."""
    weights: NDArray[np.uint8] | None
    """(learned, map_height, map_width): 0 for a cell that must not be learned; None: all count."""
    is_dirty: bool
    """Refinement found defects among its images."""

    @property
    def learned(self) -> int:
        """How many images were learned: the first ones."""
        return len(self.groups)


def write_block(file: Path, block: Block) -> None:
    """Write a block that survives a power cut. Raises OSError."""
    arrays: dict[str, NDArray[Any]] = {_FEATURES + name: np.asarray(value) for name, value in block.features.items()}
    arrays |= {"groups": block.groups, "parts": block.parts, "counts": block.counts}
    if block.weights is not None:
        arrays["weights"] = block.weights
    header = _Header(
        format=FORMAT,
        name=block.name,
        created=block.created,
        key=block.key,
        is_dirty=block.is_dirty,
        images=list(block.images),
        hashes={name: _hash(value) for name, value in arrays.items()},
    )
    write_headed(file, header, arrays)


def read_block(file: Path) -> Block:
    """Read and check a block. Raises TrainingError: it cannot be used; says why."""
    header, arrays = _read(file, with_arrays=True)
    try:
        return _checked(header, arrays)
    except ValueError as problem:
        raise _unusable(file, problem) from problem


def read_images(file: Path) -> list[str]:
    """SHA-256 of the images of a block, without its features. Raises TrainingError: it cannot be used."""
    return _read(file, with_arrays=False)[0].images


def _read(file: Path, *, with_arrays: bool) -> tuple[_Header, dict[str, NDArray[Any]]]:
    try:
        return read_headed(file, _Header, FORMAT, MAX_BYTES, with_arrays=with_arrays)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as problem:
        raise _unusable(file, problem) from problem


def _unusable(file: Path, problem: Exception) -> TrainingError:
    return TrainingError(f'block "{file}" cannot be used: {problem}; restore it, or teach without it (--without NAME)')


def _checked(header: _Header, arrays: dict[str, NDArray[Any]]) -> Block:
    """Raises ValueError."""
    if arrays.keys() != header.hashes.keys():
        raise ValueError(f"it holds {sorted(arrays)}, its header names {sorted(header.hashes)}")
    for name, value in arrays.items():
        if _hash(value) != header.hashes[name]:
            raise ValueError(f"{name} was changed after it was made")
    features = {name.removeprefix(_FEATURES): value for name, value in arrays.items() if name.startswith(_FEATURES)}
    groups, parts, counts, weights = (arrays.get(name) for name in ("groups", "parts", "counts", "weights"))
    if groups is None or parts is None or counts is None or not 0 < len(features) <= MAX_STREAMS:
        raise ValueError("features, groups, parts or counts are missing")
    total, learned = len(header.images), len(groups)
    is_whole = (
        0 < learned <= min(total, MAX_IMAGES)
        and all(value.dtype == np.float16 and len(value) == total for value in features.values())
        and parts.shape == counts.shape == (total,)
        and groups.dtype == np.int64
        and parts.dtype == np.int64
        and counts.dtype == np.bool_
        and bool(((groups >= 0) & (groups < learned)).all())
        and (weights is None or (weights.dtype == np.uint8 and weights.ndim == 3 and len(weights) == learned))
    )
    if not is_whole:
        raise ValueError("its arrays do not fit each other")
    if not all(bool(np.isfinite(value).all()) for value in features.values()):
        raise ValueError("a feature is not finite")
    return Block(
        header.name, header.created, header.key, tuple(header.images), features, groups, parts, counts, weights,
        header.is_dirty,
    )  # fmt: skip


def _hash(value: NDArray[Any]) -> str:
    kind = f"{value.dtype.str} {value.shape} ".encode()
    return hashlib.sha256(kind + np.ascontiguousarray(value).tobytes()).hexdigest()
