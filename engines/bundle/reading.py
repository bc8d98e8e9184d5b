"""The engine on disk: a directory with `manifest.json`, the graphs `model*.onnx` and `frame.onnx`, and images in
`golden/`, `sample/` and `location/`.

A bundle is read once, completely, and every byte that is used later was hashed: nothing can be swapped between the
check and the use. It is treated as untrusted: sizes are bounded, file names come from a fixed pattern, links are not
followed, graphs bring their weights with them, images are no larger than the model's input, and nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from engines.bundle.files import (
    FRAME_FILE,
    MANIFEST_FILE,
    MAX_GOLDEN_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_MODEL_BYTES,
    picture_file,
    read_bounded,
    read_hashed,
    reason,
    sample_file,
    variant_file,
)
from engines.bundle.graph_check import check_self_contained
from engines.bundle.location_spec import SEARCH_PX, PictureName, needed_pictures
from engines.bundle.manifest import (
    FORMAT_VERSION,
    FrameFile,
    GoldenFile,
    InputSpec,
    Manifest,
    Variant,
)
from engines.bundle.png import decode_grey, decode_rgb, png_size
from engines.errors import BundleError
from engines.parity_report import ParityReport

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Golden:
    """A golden image and the scores it must give."""

    name: str
    image: NDArray[np.uint8]
    """(height, width, 3) RGB in the model's input size."""
    image_score: float
    map_peak: float


@dataclass(frozen=True)
class Graph:
    """The ONNX graph in another precision, and how near it came to the float32 one."""

    model: bytes
    parity: ParityReport


@dataclass(frozen=True)
class FrameGraph:
    """The ONNX graph that prepares a frame of one size on a GPU: `image` (1, height, width, 1 or 3) -> `pixels`."""

    model: bytes
    width: int
    height: int
    grey: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame as an array: (height, width) grey or (height, width, 3) RGB."""
        return (self.height, self.width) if self.grey else (self.height, self.width, 3)


@dataclass(frozen=True)
class Bundle:
    """An engine read from disk and checked; not yet running."""

    path: Path
    manifest: Manifest
    model: bytes
    """The ONNX graph in float32."""
    golden: tuple[Golden, ...]
    pictures: Mapping[PictureName, NDArray[np.uint8]] = field(default_factory=dict)
    """What the location needs: grey (height, width) or RGB (height, width, 3)."""
    variants: Mapping[Variant, Graph] = field(default_factory=dict)
    """The graph in other precisions."""
    sample: tuple[NDArray[np.uint8], ...] = ()
    """Good images to compare runtimes on: (height, width, 3) RGB in the model's input size."""
    frame: FrameGraph | None = None
    """What prepares frames of the taught size on a GPU."""


def read_bundle(path: Path, pace: Callable[[], None] = lambda: None) -> Bundle:
    """Read and check the engine in directory `path`.

    Args:
        pace: called before each piece of work that takes a while; it may wait.

    Raises:
        BundleError: something is missing, too large, a link, of another format version, or differs from its hash.
    """
    folder = _folder(path)
    manifest = read_manifest(folder)

    def graph(file: str, sha256: str) -> bytes:
        pace()
        return _read_graph(folder, file, sha256)

    model = graph(manifest.model.file, manifest.model.sha256)
    pace()
    golden = tuple(_read_golden(folder, entry, manifest) for entry in manifest.golden)
    check_pictures(path, manifest)
    return Bundle(
        path=folder,
        manifest=manifest,
        model=model,
        golden=golden,
        pictures=read_pictures(folder, manifest),
        variants={
            name: Graph(graph(variant_file(name), entry.sha256), entry.parity)
            for name, entry in manifest.variants.items()
        },
        sample=tuple(
            _read_rgb(folder, sample_file(index), sha256, manifest.input)
            for index, sha256 in enumerate(manifest.sample)
        ),
        frame=_read_frame(folder, manifest.frame),
    )


def _folder(path: Path) -> Path:
    """Where an engine really lies. Raises BundleError."""
    try:
        folder = path.resolve(strict=True)  # an "active" link to the directory is fine, links inside are not
    except OSError as error:
        raise BundleError(f'engine "{path}": {reason(error)}; expected a directory made by "station teach"') from error
    if not folder.is_dir():
        raise BundleError(f'engine "{path}" is not a directory; expected a directory made by "station teach"')
    return folder


def read_manifest(path: Path) -> Manifest:
    """Read and check the manifest of the engine in directory `path` alone, without the files that it names.

    Raises:
        BundleError: missing, not a manifest, of another format version, or changed after it was made.
    """
    folder = _folder(path)
    where = f'engine "{folder}", {MANIFEST_FILE}'
    data = read_bounded(folder, MANIFEST_FILE, MAX_MANIFEST_BYTES)
    try:
        version = json.loads(data).get("format_version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise BundleError(f"{where}: not a JSON object ({error}); teach the engine again or restore it") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{where}: format_version {version!r}, this software reads {FORMAT_VERSION}; "
            "teach the engine again with this software, or run the version that made it"
        )
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'manifest'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise BundleError(f"{where}: {problems}; teach the engine again or restore it") from error
    if manifest.engine_id != manifest.content_id():
        raise BundleError(
            f"{where}: content does not match engine_id {manifest.engine_id[:12]} (is {manifest.content_id()[:12]}): "
            "changed after it was made; restore it"
        )
    return manifest


def _read_golden(folder: Path, entry: GoldenFile, manifest: Manifest) -> Golden:
    image = _read_rgb(folder, entry.file, entry.sha256, manifest.input)
    return Golden(Path(entry.file).stem, image, entry.image_score, entry.map_peak)


def _read_graph(folder: Path, file: str, sha256: str) -> bytes:
    model = read_hashed(folder, file, sha256, MAX_MODEL_BYTES)
    check_self_contained(model, f'engine "{folder}", {file}')
    return model


def _read_frame(folder: Path, entry: FrameFile | None) -> FrameGraph | None:
    if entry is None:
        return None
    model = _read_graph(folder, FRAME_FILE, entry.sha256)
    return FrameGraph(model, width=entry.width, height=entry.height, grey=entry.grey)


def _read_rgb(folder: Path, file: str, sha256: str, spec: InputSpec) -> NDArray[np.uint8]:
    data = read_hashed(folder, file, sha256, MAX_GOLDEN_BYTES)
    return _decode_rgb(f'engine "{folder}", {file}', data, spec)


def check_pictures(path: Path, manifest: Manifest) -> None:
    """Raise BundleError when the manifest names other pictures than its location needs."""
    needed = needed_pictures(manifest.location, manifest.ignore)
    if needed != set(manifest.pictures):
        raise BundleError(
            f'engine "{path}": location {manifest.location.method} with {len(manifest.ignore)} ignored regions needs '
            f"the pictures {sorted(needed)}, the manifest names {sorted(manifest.pictures)}; teach the engine again"
        )


def read_pictures(folder: Path, manifest: Manifest) -> dict[PictureName, NDArray[np.uint8]]:
    """What the location of the engine in a folder needs, without the rest of the engine. Raises BundleError."""
    return {name: _read_picture(folder, name, manifest) for name in manifest.pictures}


def _read_picture(folder: Path, name: PictureName, manifest: Manifest) -> NDArray[np.uint8]:
    file = picture_file(name)
    data = read_hashed(folder, file, manifest.pictures[name], MAX_GOLDEN_BYTES)
    where = f'engine "{folder}", {file}'
    if name == "fill":
        return _decode_rgb(where, data, manifest.input)
    size = png_size(data)
    if size is None or max(size) > SEARCH_PX:
        raise BundleError(f"{where}: size {size}, at most {SEARCH_PX} px are allowed; restore the engine")
    return _decoded(where, decode_grey(data))


def _decode_rgb(where: str, data: bytes, spec: InputSpec) -> NDArray[np.uint8]:
    size = png_size(data)
    if size != (spec.width, spec.height):
        raise BundleError(
            f"{where}: size {size}, the model takes {(spec.width, spec.height)} (width, height); restore the engine"
        )
    return _decoded(where, decode_rgb(data))


def _decoded(where: str, pixels: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    if pixels is None:
        raise BundleError(f"{where}: cannot be decoded; restore the engine")
    return pixels
