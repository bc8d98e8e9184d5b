"""Sums on disk: one file of plain arrays, with a header that says what they are and the hash of each.

It comes from other sites and is read as untrusted: nothing is unpickled, sizes are bounded, shapes must agree. Of the
second moments only the upper triangle is kept: they are symmetric.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.bundle.files import write_synced
from engines.detectors.sums import LocationSums, Sums
from engines.errors import TrainingError

FORMAT = 1
MAX_BYTES = 1 << 30
MAX_STREAMS = 16
MAX_LOCATIONS = 1 << 14
MAX_DIM = 512
MAX_SITES = 10_000
MAX_IMAGES = 100_000_000
Numbers = NDArray[np.float64]
_H = TypeVar("_H", bound=BaseModel)


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


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: int
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
    write_arrays(file, header, {"values": sums.values})


def read_sums(file: Path) -> SiteSums:
    """Read and check sums. Raises TrainingError: they cannot be used; says why."""
    try:
        header, arrays = read_arrays(file, _Header, ("values",))
        if header.format != FORMAT:
            raise ValueError(f"format {header.format}, this software reads {FORMAT}")
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


def write_arrays(file: Path, header: BaseModel, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raises TrainingError: it cannot be written."""
    stream = io.BytesIO()
    text = np.frombuffer(header.model_dump_json().encode(), np.uint8)
    np.savez(stream, header=text, **arrays)  # type: ignore[arg-type]  # its stub takes the names for its own options
    try:
        write_synced(file, stream.getvalue())
    except OSError as problem:
        raise TrainingError(f'"{file}" cannot be written: {problem.strerror or problem}') from problem


def read_arrays(file: Path, kind: type[_H], names: tuple[str, ...]) -> tuple[_H, dict[str, NDArray[Any]]]:
    """Header and arrays of a file. Raises OSError, ValueError, KeyError, BadZipFile, EOFError."""
    if file.is_symlink() or file.stat().st_size > MAX_BYTES:
        raise ValueError(f"a link, or larger than {MAX_BYTES} bytes")
    with zipfile.ZipFile(file) as packed:
        if sum(member.file_size for member in packed.infolist()) > MAX_BYTES:
            raise ValueError(f"it would unpack to more than {MAX_BYTES} bytes")
    with np.load(file, allow_pickle=False) as found:
        if set(found.files) != {"header", *names}:
            raise ValueError(f"it holds {', '.join(sorted(found.files))}; expected header, {', '.join(names)}")
        header = kind.model_validate_json(found["header"].tobytes())
        return header, {name: found[name] for name in names}


def said(problem: Exception) -> str:
    """What is wrong, in a line."""
    if isinstance(problem, ValidationError):
        first = problem.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'its header'}: {first['msg']}"
    return f"{problem.strerror}" if isinstance(problem, OSError) and problem.strerror else str(problem)
