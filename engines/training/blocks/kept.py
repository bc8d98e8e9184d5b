"""The blocks of an engine in its dossier: what it has learned itself, and those before it that it has learned, too.

dossier/blocks/
    blocks.json        which there are, with the weight of each
    NAME.block.npz     a block; the same file in every engine that has learned it
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.bundle.files import link_or_copy, write_synced
from engines.errors import TrainingError
from engines.training.blocks.block import MAX_IMAGES, SUFFIX, Block, read_block, read_images, write_block
from engines.training.blocks.earlier import Weighed
from engines.training.images.features import CachedFeatures

FOLDER = "blocks"
LIST = "blocks.json"
MOST = 60
"""Blocks of one engine: a year of weeks, and some."""
_MAX_LIST_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{_NAME.pattern}$")
    weight: float = Field(gt=0, le=1)


class _List(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(ge=1, le=1)
    blocks: tuple[_Entry, ...] = Field(max_length=MOST)


@dataclass(frozen=True)
class BlockOptions:
    """Which blocks a teaching learns beside its own images."""

    earlier: Path | None = None
    """The folder of an engine's blocks; None: none is learned."""
    left_out: tuple[str, ...] = ()
    """Blocks of it that are not."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Blocks of it that count less from now on, by name."""
    name: str = ""
    """Of the block that this teaching makes; empty: its day."""

    def read(self, key: str) -> list[Weighed]:
        """The blocks. `key`: of the features of this teaching. Raises TrainingError: one cannot be used."""
        if self.earlier is None:
            return []
        return read_blocks(self.earlier, key, left_out=self.left_out, weights=self.weights)

    def images(self) -> frozenset[str]:
        """SHA-256 of every image in the blocks. Raises TrainingError."""
        return frozenset() if self.earlier is None else images_in(self.earlier, self.left_out)


@dataclass(frozen=True)
class LearnedImages:
    """What of a teaching becomes a block: positions among its images."""

    kept: NDArray[np.intp]
    aside: NDArray[np.intp]
    """Not learned, and their scores count in the limits."""
    groups: NDArray[np.intp]
    """Of the kept ones: position, in these, of the first image of the same part."""
    in_limits: NDArray[np.intp]
    """Positions, in the kept ones and then those aside, of the images that limits are drawn from."""
    is_dirty: bool

    def block(
        self,
        features: CachedFeatures,
        weights: NDArray[np.uint8] | None,
        images: Sequence[str],
        *,
        name: str,
        key: str,
        created: str,
    ) -> Block | None:
        """The block; None: there are too many images for one.

        Args:
            weights: of the cells of the kept images.
            images: SHA-256 of every image of the teaching.
            key: see `Block`.
        """
        if len(self.kept) + len(self.aside) > MAX_IMAGES:
            return None
        order = np.concatenate([self.kept, self.aside])
        counts = np.zeros(len(order), np.bool_)
        counts[self.in_limits] = True
        return Block(
            name,
            created,
            key,
            tuple(images[index] for index in order),
            {stream: np.asarray(value[order]) for stream, value in features.items()},
            self.groups.astype(np.int64),
            np.concatenate([self.kept[self.groups], self.aside]).astype(np.int64),
            counts,
            weights,
            self.is_dirty,
        )


def write_blocks(folder: Path, mine: Block | None, earlier: Sequence[Weighed], source: Path | None) -> None:
    """Writes the blocks of an engine to the new folder. `source`: the folder that the earlier ones came from.

    Raises TrainingError: they cannot be written.
    """
    try:
        _write(folder, mine, earlier, source)
    except OSError as problem:
        raise TrainingError(f'"{folder}" cannot be written: {problem.strerror or problem}; make room') from problem


def _write(folder: Path, mine: Block | None, earlier: Sequence[Weighed], source: Path | None) -> None:
    folder.mkdir()
    entries = [_Entry(name=one.block.name, weight=one.weight) for one in earlier]
    for entry in entries:
        assert source is not None
        link_or_copy(source / f"{entry.name}{SUFFIX}", folder / f"{entry.name}{SUFFIX}")
    if mine is not None:
        write_block(folder / f"{mine.name}{SUFFIX}", mine)
        entries.append(_Entry(name=mine.name, weight=1.0))
    write_synced(folder / LIST, _List(format=1, blocks=tuple(entries)).model_dump_json(indent=1).encode())


def names_in(folder: Path) -> list[str]:
    """The blocks of an engine, oldest first. Raises TrainingError."""
    return [entry.name for entry in _read_list(folder).blocks]


def images_in(folder: Path, left_out: Collection[str] = ()) -> frozenset[str]:
    """SHA-256 of every image in the blocks of an engine, but for those that are left out. Raises TrainingError."""
    names = [entry.name for entry in _read_list(folder).blocks if entry.name not in left_out]
    return frozenset(image for name in names for image in read_images(folder / f"{name}{SUFFIX}"))


def read_blocks(
    folder: Path, key: str, *, left_out: Collection[str] = (), weights: Mapping[str, float] | None = None
) -> list[Weighed]:
    """The blocks of an engine, oldest first.

    Args:
        key: of the features of this teaching, see `Block`.
        left_out: names of blocks to leave out.
        weights: by name, what a block counts from now on, in place of what it did.

    Raises:
        TrainingError: one cannot be read or used, or a name is not there; says which.
    """
    entries, wanted = _read_list(folder).blocks, dict(weights or {})
    there = {entry.name for entry in entries}
    if unknown := sorted({*left_out, *wanted} - there):
        raise TrainingError(
            f'block "{unknown[0]}" is not in "{folder}": there are {", ".join(sorted(there)) or "none"}'
        )
    found = []
    for entry in entries:
        if entry.name in left_out:
            continue
        block = read_block(folder / f"{entry.name}{SUFFIX}")
        if block.name != entry.name:
            raise TrainingError(f'"{folder / (entry.name + SUFFIX)}" holds block "{block.name}": restore it')
        if block.key != key:
            raise TrainingError(
                f'block "{entry.name}" has features of another backbone, input or place of the part: teach anew from '
                f"images, or leave it out (--without {entry.name})"
            )
        found.append(Weighed(block, wanted.get(entry.name, entry.weight)))
    return found


def block_weights(text: str) -> dict[str, float]:
    """`NAME=0.5,OTHER=0.2`: by name, how much a block counts. Raises TrainingError."""
    found = {}
    for entry in filter(None, text.split(",")):
        name, _, value = entry.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise TrainingError(f"weigh {entry!r}: NAME=W, with W above 0 and at most 1") from None
    return found


def free_name(wanted: str, taken: Collection[str]) -> str:
    """A name for a new block that no other one has."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", wanted)[:80].lstrip("_.-") or "block"
    return next(name for name in (plain, *(f"{plain}-{number}" for number in range(2, MOST + 3))) if name not in taken)


def _read_list(folder: Path) -> _List:
    file = folder / LIST
    try:
        if file.is_symlink() or file.stat().st_size > _MAX_LIST_BYTES:
            raise ValueError(f"a link, or larger than {_MAX_LIST_BYTES} bytes")
        return _List.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError, RecursionError) as problem:
        raise TrainingError(
            f'"{file}" cannot be read: {problem}; an engine taught by this software has it, teach anew'
        ) from problem
