"""What images look like to an engine's own graph, in ONNX Runtime: some 25 ms an image, and once for all.

    cache/<key>-<sha256 of the image>.npz     look (dim,), whole (rows, columns, dim)

The key names everything that a look depends on beside the image: what the graph scores with, and how the part is found.
An engine whose kinds alone are others has the same, so after each review only new labels are computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle.reading import Bundle
from engines.errors import ImageError, PartNotLocated, TrainingError
from engines.location.location import Location
from engines.preprocess import prepare
from engines.runtimes.onnxruntime_quiet import ort, session_options
from engines.training.images.array_files import read_arrays, write_arrays
from engines.training.images.dataset import read_image
from engines.training.kinds.graph import LOOK, scoring_sha256, with_looks

VERSION = 1
"""Raised when the same graph and image would give another look."""
MAX_CACHED = 5000
"""Looks, some 25 kB each; those used least recently are removed."""
OnImage = Callable[[int, int], None]


@dataclass(frozen=True)
class Look:
    """Of one image."""

    values: NDArray[np.float32]
    """(dim,): its hottest cells."""
    whole: NDArray[np.float16]
    """(rows, columns, dim): its coarsest features, by which twins are found."""

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.values).all() and np.isfinite(self.whole).all())


class Looks:
    """Computes looks with the float32 graph of an engine, and keeps them in a folder.

    Args:
        bundle: the engine.
        folder: of the cache.
        threads: of ONNX Runtime.

    Raises:
        ExportError: the graph has nothing inside that says what a place looks like.
    """

    def __init__(self, bundle: Bundle, folder: Path, *, threads: int) -> None:
        manifest = bundle.manifest
        self.scoring = scoring_sha256(bundle.model)
        """See `graph.scoring_sha256`."""
        self._bundle, self._folder, self._threads = bundle, folder, threads
        self._location = Location(manifest.location, ignore=manifest.ignore, pictures=bundle.pictures)
        named = [str(VERSION), self.scoring, manifest.input.model_dump_json(), self._location.content_id]
        self._key = hashlib.sha256("\n".join(named).encode()).hexdigest()[:16]
        self._graph, self._whole = with_looks(bundle.model, manifest.map)
        self._session: ort.InferenceSession | None = None

    def of_files(self, files: Sequence[Path], on_image: OnImage) -> Iterator[tuple[str, Look | str]]:
        """For each image file its SHA-256 and its look, or why it has none.

        Raises TrainingError: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for number, file in enumerate(files, start=1):
                yield self._of_file(file)
                on_image(number, len(files))
            self._prune()
        except OSError as error:
            raise TrainingError(
                f'folder of looks "{self._folder}": {error.strerror or error}; make room, or choose another folder'
            ) from error

    def of_prepared(self, image: NDArray[np.uint8]) -> Look:
        """Of an image as the model takes it: (height, width, 3)."""
        if self._session is None:
            options = session_options(self._threads)
            self._session = ort.InferenceSession(self._graph, options, providers=["CPUExecutionProvider"])
        values, whole = self._session.run([LOOK, self._whole], {"image": image[np.newaxis]})
        with np.errstate(over="ignore"):  # what does not fit is infinite, and refused
            return Look(values[0], whole[0].astype(np.float16))

    def _of_file(self, file: Path) -> tuple[str, Look | str]:
        try:
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as problem:
            return "", f'"{file}" cannot be read: {problem.strerror}'
        kept = self._folder / f"{self._key}-{sha256}.npz"
        if (known := _read(kept)) is not None:
            return sha256, known
        try:
            pixels = prepare(read_image(file), self._bundle.manifest.input, self._location).pixels
        except (TrainingError, ImageError, PartNotLocated) as problem:
            return sha256, str(problem)
        look = self.of_prepared(pixels)
        if not look.is_finite:
            return sha256, f'"{file}": what it looks like is no number; the engine is damaged, restore it'
        write_arrays(kept, {"look": look.values, "whole": look.whole})
        return sha256, look

    def _prune(self) -> None:
        found = []
        for file in self._folder.glob("*.npz"):
            with suppress(FileNotFoundError):
                found.append((file.stat().st_mtime_ns, file))
        for _, file in sorted(found)[: max(0, len(found) - MAX_CACHED)]:
            file.unlink(missing_ok=True)


def _read(file: Path) -> Look | None:
    """None: there is none, or it is damaged and made anew."""
    found = read_arrays(file)
    if found is None or found.keys() != {"look", "whole"}:
        return None
    look = Look(found["look"], found["whole"])
    return look if look.values.ndim == 1 and look.whole.ndim == 3 and look.is_finite else None
