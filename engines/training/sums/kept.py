"""Sums on disk: one file of plain arrays, with a header that says what they are and the hash of each.

It comes from other sites and is read as untrusted: nothing is unpickled, sizes are bounded, shapes must agree. Of the
second moments only the upper triangle is kept: they are symmetric.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.detectors.sums import LocationSums, Sums
from engines.errors import TrainingError
from engines.training.headed_arrays import Header, read_headed, write_headed

FORMAT = 1
MAX_BYTES = 1 << 30
MAX_STREAMS = 16
MAX_LOCATIONS = 1 << 14
MAX_DIM = 512
MAX_SITES = 10_000
MAX_IMAGES = 100_000_000
Numbers = NDArray[np.float64]


class StreamShape(BaseModel):
    """Of one stream of features."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1, max_length=100)
    height: int = Field(ge=1, le=MAX_LOCATIONS)
    width: int = Field(ge=1, le=MAX_LOCATIONS)
    dim: int = Field(ge=1, le=MAX_DIM)

    @property
    def locations(self) -> int:
        return self.height * self.width

    @property
    def numbers(self) -> int:
        """How many numbers its sums are: count, first, and the upper triangle of the second moments."""
        return self.locations * (1 + self.dim + self.dim * (self.dim + 1) // 2)


class _Header(Header):
    key: str = Field(max_length=64)
    images: int = Field(ge=1, le=MAX_IMAGES)
    sites: int = Field(ge=1, le=MAX_SITES)
    streams: list[StreamShape] = Field(min_length=1, max_length=MAX_STREAMS)
    sha256: str = Field(max_length=64)


@dataclass(frozen=True)
class SiteSums:
    """What one site, or several together, know."""

    key: str
    """Of everything that the features depend on beside the images, see `key_of_sums`."""
    images: int
    sites: int
    streams: tuple[StreamShape, ...]
    values: Numbers
    """(numbers of all streams,): of each stream count, first, second moments, one after the other."""

    def as_sums(self) -> Sums:
        """As a detector learns them."""
        found, start = {}, 0
        for stream in self.streams:
            shape = stream.height, stream.width
            triangle = stream.dim * (stream.dim + 1) // 2
            sizes = stream.locations, stream.locations * stream.dim, stream.locations * triangle
            count, first, packed = np.split(self.values[start : start + stream.numbers], np.cumsum(sizes)[:2])
            second = np.empty((*shape, stream.dim, stream.dim))
            rows, columns = np.triu_indices(stream.dim)
            second[..., rows, columns] = second[..., columns, rows] = packed.reshape(*shape, triangle)
            found[stream.name] = LocationSums(
                torch.from_numpy(count.reshape(shape).copy()),
                torch.from_numpy(first.reshape(*shape, stream.dim).copy()),
                torch.from_numpy(second),
            )
            start += stream.numbers
        return found


def site_sums(sums: Sums, key: str, images: int) -> SiteSums:
    """Of one site, as a file holds them."""
    streams, parts = [], []
    for name in sorted(sums):
        one = sums[name]
        height, width, dim = one.first.shape
        streams.append(StreamShape(name=name, height=height, width=width, dim=dim))
        rows, columns = np.triu_indices(dim)
        parts += [one.count.numpy().ravel(), one.first.numpy().ravel(), one.second.numpy()[..., rows, columns].ravel()]
    return SiteSums(key, images, 1, tuple(streams), np.concatenate(parts))


def combined(several: Mapping[str, SiteSums]) -> SiteSums:
    """The sum of several sites, by where each came from. Raises TrainingError: two of them do not fit each other."""
    (first_name, whole), *others = several.items()
    for name, one in others:
        if one.key != whole.key or one.streams != whole.streams:
            raise TrainingError(
                f'"{name}" has sums of another backbone, input or way to find the part than "{first_name}": no sum'
            )
        whole = SiteSums(
            whole.key, whole.images + one.images, whole.sites + one.sites, whole.streams, whole.values + one.values
        )
    return whole


def write_sums(file: Path, sums: SiteSums) -> None:
    """Write a file that survives a power cut. Raises TrainingError."""
    header = _Header(
        format=FORMAT, key=sums.key, images=sums.images, sites=sums.sites, streams=list(sums.streams),
        sha256=digest(sums.values),
    )  # fmt: skip
    write_sums_file(file, header, {"values": sums.values})


def read_sums(file: Path) -> SiteSums:
    """Read and check sums. Raises TrainingError: they cannot be used; says why."""
    try:
        header, arrays = read_headed(file, _Header, FORMAT, MAX_BYTES, names=("values",))
        values = arrays["values"]
        check_values(values, np.float64, header.streams)
        if digest(values) != header.sha256:
            raise ValueError("its numbers were changed after it was made")
        sums = SiteSums(header.key, header.images, header.sites, tuple(header.streams), values)
        check_plausible(sums)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as problem:
        raise TrainingError(f'sums "{file}" cannot be used: {said(problem)}; export them again') from problem
    return sums


def check_plausible(sums: SiteSums) -> None:
    """Raises ValueError: no images have such sums."""
    if not np.isfinite(sums.values).all():
        raise ValueError("a number is not finite")
    for name, one in sums.as_sums().items():
        counts = one.count
        if bool((counts < -1e-6).any()) or float(counts.max()) > sums.images * (1 + 1e-9) + 1e-6:
            raise ValueError(f"stream {name}: {float(counts.max()):.6g} images at a location, of {sums.images} in all")
        spread = one.second.diagonal(dim1=-2, dim2=-1) * counts.unsqueeze(-1) - one.first.square()
        largest = float(one.second.abs().max()) * max(1.0, float(counts.max()))
        if float(spread.min()) < -1e-6 * max(1.0, largest):
            raise ValueError(f"stream {name}: a variance is below zero")


def check_values(values: NDArray[Any], kind: type, streams: list[StreamShape]) -> None:
    """Raises ValueError: these are not the numbers of the streams."""
    expected = sum(stream.numbers for stream in streams)
    if values.dtype != kind or values.shape != (expected,):
        raise ValueError(f"{values.dtype} {values.shape}, its header says {expected} numbers of {np.dtype(kind)}")
    if len({stream.name for stream in streams}) < len(streams):
        raise ValueError("a stream is there twice")


def digest(values: NDArray[Any]) -> str:
    """SHA-256 of the numbers of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def write_sums_file(file: Path, header: Header, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raises TrainingError: it cannot be written."""
    try:
        write_headed(file, header, arrays)
    except OSError as problem:
        raise TrainingError(f'"{file}" cannot be written: {problem.strerror or problem}') from problem


def said(problem: Exception) -> str:
    """What is wrong, in a line."""
    if isinstance(problem, ValidationError):
        first = problem.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'its header'}: {first['msg']}"
    return f"{problem.strerror}" if isinstance(problem, OSError) and problem.strerror else str(problem)
