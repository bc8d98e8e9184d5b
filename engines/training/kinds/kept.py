"""The labelled images that an engine's kinds were fitted to, as they look, in its dossier: `dossier/kinds.npz`.

A kind that was taught from a folder of images is on no record of a station; without its looks the next time would
forget it. No part of the engine: nothing that decides reads it. Plain arrays, nothing pickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError
from engines.training.kinds.fit import Examples

FILE = "kinds.npz"
MAX_BYTES = 64 << 20
MAX_IMAGES = 20_000


@dataclass(frozen=True)
class Kept:
    """In the same order throughout."""

    looks: NDArray[np.float32]
    """(images, dim)."""
    names: tuple[str, ...]
    groups: NDArray[np.int64]
    images: tuple[str, ...]
    """SHA-256 of each."""
    parts: tuple[str, ...]
    """Names of the labels that they have on record of a station, where they may have changed since; "": of none."""


def kept_of(examples: Examples, images: Sequence[str], parts: Sequence[str] = ()) -> Kept:
    """`images`: SHA-256 of each of the examples. `parts`: see `Kept`; none: none is on record."""
    return Kept(
        examples.looks.astype(np.float32),
        examples.names,
        examples.groups.astype(np.int64),
        tuple(images),
        tuple(parts) or ("",) * len(images),
    )


def write_kept(file: Path, kept: Kept) -> None:
    """Raises TrainingError."""
    try:
        with file.open("wb") as stream:
            np.savez_compressed(
                stream,
                looks=kept.looks,
                names=np.array(kept.names),
                groups=kept.groups,
                images=np.array(kept.images),
                parts=np.array(kept.parts),
            )
    except OSError as problem:
        raise TrainingError(f'"{file}" cannot be written: {problem.strerror}; make room') from problem


def read_kept(file: Path, dim: int | None) -> Kept | None:
    """None: there is none. `dim`: of the engine's looks; None: any.

    Raises TrainingError: it is damaged, or of another engine.
    """
    try:
        if file.is_symlink() or file.stat().st_size > MAX_BYTES:
            raise ValueError(f"a link, or larger than {MAX_BYTES} bytes")
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            looks, names, groups, images, parts = (
                archive[name] for name in ("looks", "names", "groups", "images", "parts")
            )
        arrays, count = (looks, names, groups, images, parts), len(names)
        shapes, types = [each.shape for each in arrays], "".join(each.dtype.kind for each in arrays)
        if looks.ndim != 2 or dim not in (None, looks.shape[1]):
            raise ValueError(f"looks of shape {looks.shape}, this engine has {dim} numbers an image")
        if shapes[0][0] != count or shapes[1:] != [(count,)] * 4 or types != "fUiUU" or count > MAX_IMAGES:
            raise ValueError(f"arrays of {shapes} and types {types}: not what was written")
        if not np.isfinite(looks).all():
            raise ValueError("looks that are no numbers")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise TrainingError(
            f'"{file}" cannot be used: {problem}; remove it, then kinds of the teaching that are not on record are '
            "forgotten"
        ) from problem
    return Kept(looks, tuple(names.tolist()), groups, tuple(images.tolist()), tuple(parts.tolist()))
