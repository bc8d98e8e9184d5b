"""The engine on disk: a directory with `manifest.json`, the graphs `model*.onnx` and `frame.onnx`, and images in
`golden/`, `sample/` and `location/`.

A bundle is read once, completely, and every byte that is used later was hashed: nothing can be swapped between the
check and the use. It is treated as untrusted: sizes are bounded, file names come from a fixed pattern, links are not
followed, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from engines.bundle.location_spec import SEARCH_PX, PictureName, needed_pictures
from engines.bundle.manifest import (
    FORMAT_VERSION,
    MODEL_FILE,
    FrameFile,
    GoldenFile,
    InputSpec,
    Manifest,
    ModelFile,
    Variant,
    VariantFile,
)
from engines.bundle.png import decode_grey, decode_rgb, encode_png, png_size
from engines.errors import BundleError
from engines.parity_report import ParityReport

MANIFEST_FILE = "manifest.json"
FRAME_FILE = "frame.onnx"
DOSSIER_FOLDER = "dossier"
"""How the engine came about, for people. No part of the engine: it is the same without."""
MAX_MANIFEST_BYTES = 1 << 20
MAX_MODEL_BYTES = 1 << 30
MAX_GOLDEN_BYTES = 64 << 20


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


def read_bundle(path: Path) -> Bundle:
    """Read and check the engine in directory `path`.

    Raises:
        BundleError: something is missing, too large, a link, of another format version, or differs from its hash.
    """
    try:
        folder = path.resolve(strict=True)  # an "active" link to the directory is fine, links inside are not
    except OSError as error:
        raise BundleError(f'engine "{path}": {_reason(error)}; expected a directory made by "station teach"') from error
    if not folder.is_dir():
        raise BundleError(f'engine "{path}" is not a directory; expected a directory made by "station teach"')

    manifest = read_manifest(folder)
    model = _read_hashed(folder, manifest.model.file, manifest.model.sha256, MAX_MODEL_BYTES)
    golden = tuple(_read_golden(folder, entry, manifest) for entry in manifest.golden)
    _check_pictures(path, manifest)
    return Bundle(
        path=folder,
        manifest=manifest,
        model=model,
        golden=golden,
        pictures={name: _read_picture(folder, name, manifest) for name in manifest.pictures},
        variants={
            name: Graph(_read_hashed(folder, variant_file(name), entry.sha256, MAX_MODEL_BYTES), entry.parity)
            for name, entry in manifest.variants.items()
        },
        sample=tuple(
            _read_rgb(folder, sample_file(index), sha256, manifest.input)
            for index, sha256 in enumerate(manifest.sample)
        ),
        frame=_read_frame(folder, manifest.frame),
    )


def write_bundle(
    path: Path,
    *,
    manifest: Manifest,
    model: bytes,
    golden: Sequence[Golden],
    pictures: Mapping[PictureName, NDArray[np.uint8]] | None = None,
    variants: Mapping[Variant, Graph] | None = None,
    sample: Sequence[NDArray[np.uint8]] = (),
    frame: FrameGraph | None = None,
    dossier: Path | None = None,
) -> Manifest:
    """Write an engine to the new directory `path`, whole or not at all, and return its manifest.

    The file entries and `engine_id` of `manifest` are ignored and computed here. The folder `dossier` is copied to
    `DOSSIER_FOLDER` beside the manifest and appears together with the engine.

    Raises:
        BundleError: `path` exists already (and is not an empty directory) or cannot be written.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BundleError(f'engine "{path}" exists already; choose another directory or remove it first')
    pngs = [(entry, _png(entry.image)) for entry in golden]
    picture_pngs = {name: _png(image) for name, image in (pictures or {}).items()}
    sample_pngs = [_png(image) for image in sample]
    graphs = dict(variants or {})
    sealed = manifest.model_copy(
        update={
            "model": ModelFile(sha256=_sha256(model)),
            "golden": tuple(
                GoldenFile(
                    file=f"golden/{entry.name}.png",
                    sha256=_sha256(png),
                    image_score=entry.image_score,
                    map_peak=entry.map_peak,
                )
                for entry, png in pngs
            ),
            "pictures": {name: _sha256(png) for name, png in picture_pngs.items()},
            "variants": {
                name: VariantFile(sha256=_sha256(graph.model), parity=graph.parity) for name, graph in graphs.items()
            },
            "sample": tuple(_sha256(png) for png in sample_pngs),
            "frame": frame
            and FrameFile(sha256=_sha256(frame.model), width=frame.width, height=frame.height, grey=frame.grey),
        }
    )
    sealed = sealed.model_copy(update={"engine_id": sealed.content_id()})
    text = sealed.model_dump_json(indent=2) + "\n"
    _check_pictures(path, sealed)
    Manifest.model_validate_json(text)  # model_copy does not validate: never write what cannot be read back

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise BundleError(f'cannot write engine "{path}": {_reason(error)}') from error
    try:
        files = {
            MODEL_FILE: model,
            **{variant_file(variant): graph.model for variant, graph in graphs.items()},
            **({FRAME_FILE: frame.model} if frame else {}),
            **{f"golden/{entry.name}.png": png for entry, png in pngs},
            **{sample_file(index): png for index, png in enumerate(sample_pngs)},
            **{_picture_file(name): png for name, png in picture_pngs.items()},
        }
        for file, data in files.items():
            (temporary / file).parent.mkdir(exist_ok=True)
            write_synced(temporary / file, data)
        if dossier is not None:
            shutil.copytree(dossier, temporary / DOSSIER_FOLDER)
        write_synced(temporary / MANIFEST_FILE, text.encode())
        temporary.chmod(0o755)
        temporary.rename(path)  # replaces an empty directory, fails on any other
        sync_directory(path.parent)
    except OSError as error:
        raise BundleError(f'cannot write engine "{path}": {_reason(error)}') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sealed


def bundle_files(manifest: Manifest) -> tuple[str, ...]:
    """Every file of an engine, relative to its directory."""
    return (
        MANIFEST_FILE,
        manifest.model.file,
        *(variant_file(name) for name in manifest.variants),
        *([FRAME_FILE] if manifest.frame else []),
        *(entry.file for entry in manifest.golden),
        *(sample_file(index) for index in range(len(manifest.sample))),
        *(_picture_file(name) for name in manifest.pictures),
    )


def variant_file(variant: Variant) -> str:
    """Where an engine holds its graph in another precision."""
    return f"model_{variant}.onnx"


def sample_file(index: int) -> str:
    """Where an engine holds an image of its sample."""
    return f"sample/{index:02}.png"


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest alone, without the files that it names.

    Raises:
        BundleError: missing, not a manifest, of another format version, or changed after it was made.
    """
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


def _read_frame(folder: Path, entry: FrameFile | None) -> FrameGraph | None:
    if entry is None:
        return None
    model = _read_hashed(folder, FRAME_FILE, entry.sha256, MAX_MODEL_BYTES)
    return FrameGraph(model, width=entry.width, height=entry.height, grey=entry.grey)


def _read_rgb(folder: Path, file: str, sha256: str, spec: InputSpec) -> NDArray[np.uint8]:
    data = _read_hashed(folder, file, sha256, MAX_GOLDEN_BYTES)
    return _decode_rgb(f'engine "{folder}", {file}', data, spec)


def _check_pictures(path: Path, manifest: Manifest) -> None:
    needed = needed_pictures(manifest.location, manifest.ignore)
    if needed != set(manifest.pictures):
        raise BundleError(
            f'engine "{path}": location {manifest.location.method} with {len(manifest.ignore)} ignored regions needs '
            f"the pictures {sorted(needed)}, the manifest names {sorted(manifest.pictures)}; teach the engine again"
        )


def _read_picture(folder: Path, name: PictureName, manifest: Manifest) -> NDArray[np.uint8]:
    file = _picture_file(name)
    data = _read_hashed(folder, file, manifest.pictures[name], MAX_GOLDEN_BYTES)
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


def _picture_file(name: PictureName) -> str:
    return f"location/{name}.png"


def _read_hashed(folder: Path, name: str, sha256: str, max_bytes: int) -> bytes:
    data = read_bounded(folder, name, max_bytes)
    if _sha256(data) != sha256:
        raise BundleError(
            f'engine "{folder}", {name}: sha256 {_sha256(data)[:12]}, the manifest says {sha256[:12]}: '
            "damaged or changed; restore the engine"
        )
    return data


def read_bounded(folder: Path, name: str, max_bytes: int) -> bytes:
    """Read a regular file that lies inside `folder` without following any link."""
    file = folder / name
    where = f'engine "{folder}", {name}'
    try:
        if file.parent.resolve(strict=True) != file.parent:
            raise BundleError(f"{where}: lies behind a link; an engine holds plain files only")
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise BundleError(f"{where}: not a plain file")
            if info.st_size > max_bytes:
                raise BundleError(f"{where}: {info.st_size} bytes, at most {max_bytes} are allowed")
            return stream.read(max_bytes)
    except OSError as error:
        raise BundleError(f"{where}: {_reason(error)}; restore the engine") from error


def _png(image: NDArray[np.uint8]) -> bytes:
    png = encode_png(image)
    if png is None:
        raise BundleError(f"image of shape {image.shape}: cannot be encoded as PNG")
    return png


def write_synced(file: Path, data: bytes) -> None:
    """Write a file that survives a power cut. Raises OSError."""
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sync_directory(folder: Path) -> None:
    """Make names in `folder` survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
